//! Advice on findings made by hand: hostile names never become part of a command.

use super::*;
use crate::test_capture::{Builder, MS, Part, SECOND, TRIM, disk};
use crate::test_report::judged;
use stall_capture::{Capture, OemFile, Op};
use stall_report::model::Report;

const NASTY: &str = "a'; reboot #\n$(reboot)";

/// A trim that two readers wait for, on a plain disk with one filesystem.
fn trim(change: impl Fn(&mut Capture)) -> Report {
    let builder = Builder::of_disks(vec![disk("nvme0n1")])
        .actor(2, "fstrim")
        .actor(3, "qemu-kvm")
        .discards(2, 0, TRIM, 1_000, 30 * MS)
        .busy(0, 30 * SECOND)
        .flow(
            3,
            0,
            Op::Read,
            Part(500, 450, 58 * MS),
            Part(80_000, 40, 350_000),
        )
        .with(|capture| {
            let process = capture.actors[0].process.as_mut().unwrap();
            process.unit = Some("fstrim.service".to_owned());
            change(capture);
        });
    let report = judged(&builder.capture());
    assert_eq!(report.verdict.kind, Kind::HostTrim);
    report
}

fn commands(report: &Report) -> String {
    let advice = report.verdict.advice.iter();
    let commands = advice.flat_map(|one| [one.command.as_deref(), one.undo.as_deref()]);
    commands.flatten().collect::<Vec<_>>().join("\n")
}

fn texts(report: &Report) -> String {
    let texts: Vec<_> = report
        .verdict
        .advice
        .iter()
        .map(|one| one.text.as_str())
        .collect();
    texts.join("\n")
}

#[test]
fn nothing_hostile_becomes_part_of_a_command() {
    let report = trim(|capture| {
        let process = capture.actors[0].process.as_mut().unwrap();
        process.unit = Some(format!("{NASTY}.service"));
        process.comm = NASTY.to_owned();
        process.cgroup = vec![format!("0::/{NASTY}")];
        capture.disks[0].name = NASTY.to_owned();
        let facts = capture.disks[0].facts.as_mut().unwrap();
        facts.transport = Some("nvme".to_owned());
        facts.discard_max_bytes = Some(1 << 40);
        for mount in &mut facts.mounts {
            mount.mount_point = format!("/{NASTY}");
        }
        capture.inventory.oem = Some(vec![OemFile {
            name: format!("{NASTY}.yaml"),
            mentions_fstrim: Some(true),
        }]);
    });
    let commands = commands(&report);
    assert!(!commands.contains("reboot"), "{commands}");
    assert!(commands.contains("kill 1002"), "{commands}");
}

fn oem(files: &[(&str, Option<bool>)]) -> Option<Vec<OemFile>> {
    let files = files.iter().map(|&(name, mentions_fstrim)| OemFile {
        name: name.to_owned(),
        mentions_fstrim,
    });
    Some(files.collect())
}

#[test]
fn where_the_system_comes_back_at_boot_the_change_is_repeated_in_oem() {
    let writes = |report: &Report| commands(report).contains("> /oem/99_fstrim.yaml");
    let plain = trim(|_| {});
    assert!(!commands(&plain).contains("/oem"));
    let clean = trim(|capture| capture.inventory.oem = oem(&[("90_custom.yaml", Some(false))]));
    assert!(writes(&clean) && texts(&clean).contains("none of its 1 files mentions fstrim"));
    assert!(
        !commands(&clean).contains("CloudInit"),
        "it is not Harvester"
    );
    let there = trim(|capture| {
        capture.host.os = Some("Harvester v1.7.0".to_owned());
        capture.inventory.oem = oem(&[("90_custom.yaml", Some(true)), ("a.yaml", None)]);
    });
    assert!(!writes(&there), "{}", commands(&there));
    assert!(texts(&there).contains("90_custom.yaml mentions fstrim already"));
    assert!(commands(&there).contains("kind: CloudInit"));
    let unread = trim(|capture| capture.inventory.oem = oem(&[("90_custom.yaml", None)]));
    assert!(texts(&unread).contains("of its 1 files 1 could not be read"));
    let ours = trim(|capture| capture.inventory.oem = oem(&[("99_fstrim.yaml", None)]));
    assert!(!writes(&ours), "what is there is not overwritten");
}

#[test]
fn what_is_done_already_is_not_advised() {
    let masks = |report: &Report| commands(report).contains("systemctl mask");
    assert!(masks(&trim(|_| {})));
    assert!(!masks(&trim(|capture| capture
        .inventory
        .trim
        .timer
        .masked = true)));
    let spread = trim(|capture| {
        capture.inventory.trim.timer.randomized_delay = Some("12h".to_owned());
    });
    assert!(!commands(&spread).contains("10-spread.conf"));
    let daily = trim(|capture| capture.inventory.trim.timer.on_calendar = Some("daily".to_owned()));
    assert!(texts(&daily).contains("(now: daily, not spread)"));
}

/// Of 30 ms for 16 MiB each, so much is left that one takes 10 ms.
#[test]
fn discards_are_made_as_small_as_the_slow_limit_asks() {
    let report = trim(|capture| {
        for discards in &mut capture.discards {
            discards.bytes = discards.ops * (16 << 20);
        }
        let facts = capture.disks[0].facts.as_mut().unwrap();
        facts.transport = Some("nvme".to_owned());
        facts.discard_max_bytes = Some(1 << 40);
    });
    let commands = commands(&report);
    assert!(
        commands.contains("echo 4194304 > /sys/block/nvme0n1/queue/discard_max_bytes"),
        "{commands}"
    );
    assert!(commands.contains("echo 1099511627776 > "), "{commands}");
}

/// The kept report of a trim by Longhorn's manager names its recurring job.
#[test]
fn longhorns_trim_is_a_recurring_job() {
    let report = trim(|capture| {
        let process = capture.actors[0].process.as_mut().unwrap();
        process.unit = None;
        process.args = vec!["fstrim".to_owned(), "/mnt/nvme0n1".to_owned()];
        process.pod = Some(stall_capture::Pod {
            namespace: Some("longhorn-system".to_owned()),
            name: Some("longhorn-manager-q8w2z".to_owned()),
            ..stall_capture::Pod::default()
        });
    });
    let commands = commands(&report);
    assert!(commands.contains("recurringjobs.longhorn.io"), "{commands}");
    assert!(!commands.contains("systemctl mask"), "{commands}");
}
