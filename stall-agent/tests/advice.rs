//! What is advised, for captures of real incidents: that it fits who was found, and that each command is one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use stall_agent::analysis::analyze;
use stall_agent::capture::Capture;
use stall_agent::report::model::{Advice, AdviceWhen, Kind};
use stall_agent::report::{Paint, Report, sheet};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures")
}

fn capture(name: &str) -> Capture {
    let file =
        File::open(folder().join(format!("{name}.json"))).expect("each case has its capture");
    Capture::read(file).expect("it was written by a version of this format")
}

fn all() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("there is a folder");
    let names = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        Some(name.strip_suffix(".json")?.to_owned())
    });
    let mut names: Vec<_> = names.filter(|name| name != "expected").collect();
    names.sort_unstable();
    names
}

fn advice(name: &str) -> Vec<Advice> {
    analyze(&capture(name)).verdict.advice
}

fn commands(advice: &[Advice]) -> Vec<&str> {
    let commands = advice.iter().filter_map(|one| one.command.as_deref());
    commands.collect()
}

/// Whether a shell reads it; nothing is run.
fn is_read_by_a_shell(command: &str) -> bool {
    let mut shell = Command::new("sh")
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell");
    let mut input = shell.stdin.take().expect("it was asked for");
    input
        .write_all(command.as_bytes())
        .expect("the shell reads it");
    drop(input);
    shell.wait().expect("it ends").success()
}

#[test]
fn every_command_is_one_and_says_what_it_does() {
    let mut seen = 0;
    for name in all() {
        for one in advice(&name) {
            assert!(one.source.is_some(), "{name}: {one:?}");
            let Some(command) = &one.command else {
                assert!(one.undo.is_none(), "{name}: {one:?}");
                continue;
            };
            assert!(
                one.changes.is_some() && one.risk.is_some(),
                "{name}: {one:?}"
            );
            for command in [Some(command), one.undo.as_ref()].into_iter().flatten() {
                assert!(
                    command.chars().all(|c| c.is_ascii_graphic() || c == ' '),
                    "{command:?}"
                );
                assert!(is_read_by_a_shell(command), "{name}: {command}");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
    assert!(
        !is_read_by_a_shell("echo 'open"),
        "the shell refuses what is none"
    );
}

#[test]
fn there_is_something_to_do_and_something_to_confirm_it_with() {
    for name in all() {
        let advice = advice(&name);
        let confirms = advice.iter().any(|one| one.when == AdviceWhen::ToConfirm);
        assert!(confirms, "{name}: {advice:?}");
    }
}

#[test]
fn advice_fits_what_was_found() {
    let cases: [(&str, Kind, &[&str]); 8] = [
        ("trim_stuck_in_one_discard", Kind::HostTrim, &["kill 32683"]),
        ("trim", Kind::HostTrim, &["fstrim --offset ${at}GiB"]),
        ("blkdiscard", Kind::OtherDiscards, &["stall-agent trace"]),
        (
            "mounted_with_discard",
            Kind::OtherDiscards,
            &[
                "mount -o remount,nodiscard /staged-disk/mount",
                "grep -nw discard /etc/fstab",
            ],
        ),
        (
            "guest_trims_own_volume",
            Kind::GuestTrim,
            &[
                "systemctl stop fstrim.timer fstrim.service",
                "findmnt --options discard",
            ],
        ),
        (
            "flush_storm",
            Kind::Flushes,
            &["cat /sys/block/loop0/queue/write_cache"],
        ),
        (
            "slow_disk",
            Kind::SlowDevice,
            &["dmesg --time-format iso | grep -iE 'loop0|"],
        ),
        ("idle", Kind::NoStall, &["stall-agent trace --duration 60s"]),
    ];
    for (name, kind, expected) in cases {
        let verdict = analyze(&capture(name)).verdict;
        assert_eq!(verdict.kind, kind, "{name}");
        let commands = commands(&verdict.advice);
        for command in expected {
            let found = commands.iter().any(|one| one.contains(command));
            assert!(found, "{name} lacks {command}: {commands:#?}");
        }
    }
}

/// The same locks, held by somebody who waits for no disk.
#[test]
fn who_holds_a_lock_is_looked_at_where_no_disk_is_why() {
    let mut capture = capture("lock_holder");
    capture.settings.devices.clear();
    capture.uses.clear();
    capture.series.clear();
    capture.slow_requests.clear();
    capture.unfinished_requests.clear();
    for interval in &mut capture.intervals {
        interval.uses.clear();
        interval.series.clear();
    }
    let verdict = analyze(&capture).verdict;
    assert_eq!(verdict.kind, Kind::LockHolder, "{}", verdict.sentence);
    let commands = commands(&verdict.advice);
    let looks = |command: &&str| command.contains("echo w > /proc/sysrq-trigger");
    assert!(commands.iter().any(looks), "{commands:#?}");
}

/// The limits of a loop device or of a volume are nobody's to change; those of a disk of this host may be.
#[test]
fn only_a_disk_of_this_host_has_its_discards_limited() {
    let limited = |capture: &Capture| {
        let advice = analyze(capture).verdict.advice;
        let commands = commands(&advice).join("\n");
        commands.contains("/queue/discard_max_bytes")
    };
    let mut capture = capture("trim");
    assert!(!limited(&capture), "a loop device");
    let facts = capture.disks[0].facts.as_mut().expect("it was looked at");
    facts.backing_file = None;
    facts.backing_device = None;
    facts.made_of.clear();
    facts.transport = Some("nvme".to_owned());
    facts.discard_max_bytes = Some(2_199_023_255_040);
    assert!(limited(&capture), "a disk of this host");
    let facts = capture.disks[0].facts.as_mut().expect("it was looked at");
    facts.transport = Some("iscsi".to_owned());
    facts.iscsi_target = Some("iqn.2019-10.io.longhorn:pvc-1".to_owned());
    assert!(!limited(&capture), "a volume");
    let advice = analyze(&capture).verdict.advice;
    let warned = advice
        .iter()
        .any(|one| one.text.contains("provisioning_mode"));
    assert!(warned, "{advice:#?}");
}

/// What is printed is the command again, when a shell has read it.
#[test]
fn a_printed_command_can_be_pasted() {
    for name in all() {
        let report = analyze(&capture(&name));
        let text = sheet(&report, Paint::Plain).replace("\\\n", "");
        let blanks = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = blanks(&text);
        for command in commands(&report.verdict.advice) {
            assert!(text.contains(&blanks(command)), "{name}: {command}");
        }
    }
}

/// A report that a version before wrote has none of what each advice says now.
#[test]
fn a_report_without_reasons_is_read() {
    let mut report = serde_json::to_value(analyze(&capture("trim"))).expect("a report is JSON");
    let advice = report["verdict"]["advice"].as_array_mut();
    for one in advice.expect("there is advice") {
        let one = one.as_object_mut().expect("each is an object");
        one.retain(|key, _| ["when", "text", "command"].contains(&key.as_str()));
    }
    report["trim"].as_object_mut().expect("facts").remove("oem");
    let report: Report = serde_json::from_value(report).expect("it is read");
    assert!(sheet(&report, Paint::Plain).contains("to confirm: "));
}

/// What comes first is no alternative to anything, and no sentence has two ends.
#[test]
fn advice_reads_as_sentences() {
    for name in all() {
        let advice = advice(&name);
        for when in [AdviceWhen::Now, AdviceWhen::ToConfirm, AdviceWhen::ForGood] {
            let mut all = advice.iter();
            let first = all.find(|one| one.when == when);
            let is_alone = first.is_none_or(|one| !one.text.starts_with("or "));
            assert!(is_alone, "{name}: {first:?}");
        }
        for one in &advice {
            assert!(!one.text.contains("?;"), "{name}: {}", one.text);
        }
    }
}
