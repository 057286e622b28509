//! Foreign names, advice, and the report as it is written.

use super::*;

#[test]
fn a_hostile_name_stays_a_name() {
    let name = "x\u{1b}[2J\nVERDICT \u{202e}; rm -rf /";
    let builder = host_trim(name).with(|capture| {
        let process = capture.actors[0].process.as_mut().unwrap();
        process.unit = Some("a;reboot.service".to_owned());
        process.args = vec![name.to_owned()];
    });
    let report = report(builder);
    assert_eq!(
        report.verdict.culprits[0].process.as_ref().unwrap().comm,
        name
    );
    let commands: Vec<_> = report
        .verdict
        .advice
        .iter()
        .filter_map(|advice| advice.command.as_ref())
        .collect();
    assert!(
        commands
            .iter()
            .all(|command| !command.contains("reboot") && !command.contains("rm ")),
        "{commands:?}"
    );
}

#[test]
fn the_timers_service_is_stopped_and_masked() {
    let builder = host_trim("fstrim").with(|capture| {
        capture.actors[0].process.as_mut().unwrap().unit = Some("fstrim.service".to_owned());
        capture.host.os = Some("Harvester v1.7.0".to_owned());
    });
    let report = report(builder);
    let commands: Vec<_> = report
        .verdict
        .advice
        .iter()
        .filter_map(|advice| advice.command.as_deref())
        .collect();
    assert_eq!(commands[0], "systemctl stop fstrim.service");
    assert!(commands.contains(&"systemctl mask --now fstrim.timer fstrim.service"));
    assert!(report.verdict.advice.iter().any(|advice| {
        advice
            .command
            .as_ref()
            .is_some_and(|one| one.ends_with("/oem/99_fstrim.yaml"))
    }));
}

#[test]
fn a_report_is_read_back_as_it_was() {
    let report = report(host_trim("fstrim"));
    let text = serde_json::to_string(&report).unwrap();
    assert!(serde_json::from_str::<Report>(&text).unwrap() == report);
    assert!(text.starts_with("{\"schema\":\"stall-agent/report/1\""));
}

#[test]
fn the_summary_says_who_what_where_and_what_to_do() {
    let builder = host_trim("fstrim").with(|capture| {
        capture.actors[0].process.as_mut().unwrap().unit = Some("fstrim.service".to_owned());
    });
    let summary = stall_report::summary(&report(builder), Some("stall.json"));
    let expected = "\
VERDICT   a filesystem trim on this host, confidence high (60 s)
          fstrim (pid 1002, fstrim.service) holds up nvme0n1 with a filesystem
          trim: requests of others took 62.5 ms on average with a discard in
          flight, 373 us without; 2 processes waited
WHERE     nvme0n1, /mnt/nvme0n1
WHY       1,364 times as often slow with a discard in flight as without (95 %:
          805 to 2,310); in D for 26.5 min, 26 min of it before the trace
WAITED    qemu-system-x86 (pid 1003): 490 of 80,500 slow, 28.8 s too long
          etcd (pid 1004): 293 of 3,300 slow, 20.7 s too long
DISCARDS  1,000 ended, 0 unfinished, in flight 50 % of the time on nvme0n1
LOST      nothing
NOW       systemctl stop fstrim.service
FOR GOOD  systemctl mask --now fstrim.timer fstrim.service
REPORT    stall.json
";
    assert_eq!(summary, expected);
}
