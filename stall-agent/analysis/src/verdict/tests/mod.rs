//! Verdicts on captures made by hand: the cause is found and named.

mod acquittals;
mod between;
mod confidence;
mod output;
mod simulated;
mod standstill;

use crate::test_capture::{BLKDISCARD, Builder, MS, Part, SECOND, TRIM, TRIM_SLEEP, disk, ended};
use crate::test_report::judged;
use stall_capture::{HookState, Loss, Op};
use stall_report::model::{Confidence, Kind, LoweredBy, Origin, Report, Standing};

const FSTRIM: u32 = 2;
const VM: u32 = 3;
const ETCD: u32 = 4;
const WRITER: u32 = 5;

/// Half a minute of slow discards; reads of a VM and flushes of etcd wait for them.
fn host_trim(name: &str) -> Builder {
    Builder::of_disks(vec![disk("nvme0n1"), disk("sda")])
        .actor(FSTRIM, name)
        .actor(VM, "qemu-system-x86")
        .actor(ETCD, "etcd")
        .discards(FSTRIM, 0, TRIM, 1_000, 30 * MS)
        .busy(0, 30 * SECOND)
        .slept(FSTRIM, name, TRIM_SLEEP, (29 * SECOND, 1_560 * SECOND))
        .flow(
            VM,
            0,
            Op::Read,
            Part(500, 450, 58 * MS),
            Part(80_000, 40, 350_000),
        )
        .flow(
            ETCD,
            0,
            Op::Preflush,
            Part(300, 290, 70 * MS),
            Part(3_000, 3, MS),
        )
}

fn report(builder: Builder) -> Report {
    judged(&builder.capture())
}

fn trim_standing(report: &Report) -> Standing {
    let of_trim = report
        .verdict
        .hypotheses
        .iter()
        .find(|hypothesis| hypothesis.kind == Kind::HostTrim);
    of_trim.map(|hypothesis| hypothesis.standing).unwrap()
}

fn is(report: &Report, kind: Kind, confidence: Option<Confidence>) {
    let verdict = &report.verdict;
    assert_eq!(
        (verdict.kind, verdict.confidence),
        (kind, confidence),
        "{verdict:#?}"
    );
}

#[test]
fn a_plain_host_trim_is_found_and_named() {
    let report = report(host_trim("fstrim"));
    is(&report, Kind::HostTrim, Some(Confidence::High));
    let verdict = &report.verdict;
    assert_eq!(verdict.device.as_deref(), Some("nvme0n1"));
    assert_eq!(verdict.mount_points, ["/mnt/nvme0n1"]);
    let culprit = &verdict.culprits[0];
    assert_eq!(
        (culprit.label.as_str(), culprit.origin),
        ("fstrim (pid 1002)", Some(Origin::FilesystemTrim))
    );
    let sleep = culprit.sleep.as_ref().unwrap();
    assert_eq!(
        (sleep.in_window_ns, sleep.before_ns),
        (29 * SECOND, 1_560 * SECOND)
    );
    let waiters: Vec<&str> = verdict
        .waiters
        .iter()
        .map(|waiter| waiter.label.as_str())
        .collect();
    assert_eq!(waiters, ["qemu-system-x86 (pid 1003)", "etcd (pid 1004)"]);
    assert!(
        verdict.sentence.contains("fstrim (pid 1002)"),
        "{}",
        verdict.sentence
    );
}

#[test]
fn a_trim_under_another_name_is_one() {
    is(
        &report(host_trim("cleaner")),
        Kind::HostTrim,
        Some(Confidence::High),
    );
}

/// Discards one after the other; each read of a VM ends that long after a discard.
fn without_pause(after: impl Fn(u64) -> u64) -> Builder {
    Builder::of_disks(vec![disk("sda")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .discards(FSTRIM, 0, TRIM, 2_000, 30 * MS)
        .busy(0, 59_900 * MS)
        .asleep(FSTRIM, "fstrim", TRIM_SLEEP, 1_600 * SECOND)
        .flow(
            VM,
            0,
            Op::Read,
            Part(1_000, 990, 59 * MS),
            Part(3, 0, 300_000),
        )
        .with(|capture| {
            for index in 1..1_000 {
                let end = capture.window.start_ns + index * 30 * MS;
                let ended = |actor, op, end: u64| ended(actor, op, (end - 30 * MS, end));
                capture
                    .discard_requests
                    .push(ended(FSTRIM, Op::Discard, end));
                capture
                    .slow_requests
                    .push(ended(VM, Op::Read, end + after(index)));
            }
        })
}

#[test]
fn a_trim_without_pause_is_told_by_when_others_requests_end() {
    is(
        &report(without_pause(|_| MS)),
        Kind::HostTrim,
        Some(Confidence::High),
    );
    is(
        &report(without_pause(|index| index % 12 * MS)),
        Kind::HostTrim,
        Some(Confidence::Medium),
    );
    // A disk that takes all in turn and is as slow with everything.
    is(
        &report(without_pause(|_| 15 * MS)),
        Kind::Inconclusive,
        None,
    );
    is(
        &report(without_pause(|index| index % 30 * MS)),
        Kind::Inconclusive,
        None,
    );
}

/// A trim with pauses, and slow requests that end that long after a discard.
fn with_pauses(after: impl Fn(u64) -> u64) -> Builder {
    host_trim("fstrim").with(|capture| {
        for index in 1..100 {
            let end = capture.window.start_ns + index * 30 * MS;
            let ended = |actor, op, end: u64| ended(actor, op, (end - 30 * MS, end));
            capture
                .discard_requests
                .push(ended(FSTRIM, Op::Discard, end));
            capture
                .slow_requests
                .push(ended(VM, Op::Read, end + after(index)));
        }
    })
}

#[test]
fn who_ends_at_any_time_may_be_slow_for_another_reason_just_then() {
    let sure = |after: fn(u64) -> u64| report(with_pauses(after)).verdict.confidence;
    assert_eq!(sure(|_| MS), Some(Confidence::High));
    assert_eq!(sure(|index| index % 30 * MS), Some(Confidence::Medium));
}

#[test]
fn one_discard_stuck_all_the_time_is_told_by_what_hung_first() {
    let stuck = |victim_age| {
        let builder = Builder::of_disks(vec![disk("sda")])
            .actor(FSTRIM, "fstrim")
            .actor(VM, "qemu-kvm")
            .busy(0, 60 * SECOND)
            .unfinished(FSTRIM, 0, Op::Discard, 100 * SECOND, Some(TRIM))
            .unfinished(VM, 0, Op::Read, victim_age, None);
        report(builder)
    };
    let first = stuck(99 * SECOND);
    is(&first, Kind::HostTrim, Some(Confidence::Medium));
    assert_eq!(
        first.verdict.waiters[0].oldest_unfinished_ns,
        Some(99 * SECOND)
    );
    is(&stuck(101 * SECOND), Kind::Inconclusive, None);
}

#[test]
fn a_discard_older_than_the_trace_is_inferred_from_the_one_trim_asleep() {
    let builder = Builder::of_disks(vec![disk("sda"), disk("sdb")])
        .actor(VM, "qemu-kvm")
        .busy(0, 60 * SECOND)
        .unfinished(0, 0, Op::Discard, 100 * SECOND, None)
        .unfinished(VM, 0, Op::Read, 50 * SECOND, None)
        .asleep(FSTRIM, "renamed", TRIM_SLEEP, 1_600 * SECOND);
    let report = report(builder);
    is(&report, Kind::HostTrim, Some(Confidence::Medium));
    assert_eq!(report.verdict.culprits[0].label, "renamed (pid 1002)");
    assert!(report.discards[0].inferred);
}

#[test]
fn discards_of_another_origin_are_called_that() {
    let builder = host_trim("x")
        .with(|capture| capture.stacks[0] = crate::test_capture::stack_of(BLKDISCARD));
    let builder = builder.with(|capture| {
        capture.actors[0].process.as_mut().unwrap().exe = Some("/usr/sbin/blkdiscard".to_owned());
    });
    let report = report(builder);
    is(&report, Kind::OtherDiscards, Some(Confidence::High));
    assert_eq!(report.verdict.culprits[0].origin, Some(Origin::Blkdiscard));
}

#[test]
fn who_is_held_up_half_the_time_has_few_slow_requests() {
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .discards(FSTRIM, 0, TRIM, 500, 58 * MS)
        .busy(0, 29 * SECOND)
        .flow(
            VM,
            0,
            Op::Read,
            Part(500, 500, 58 * MS),
            Part(80_000, 0, 350_000),
        );
    is(&report(builder), Kind::HostTrim, Some(Confidence::High));
}

#[test]
fn of_two_origins_the_main_one_is_named() {
    let builder =
        host_trim("fstrim")
            .actor(WRITER, "dd")
            .discards(WRITER, 0, BLKDISCARD, 9_000, 30 * MS);
    let report = report(builder);
    is(&report, Kind::OtherDiscards, Some(Confidence::High));
    assert_eq!(report.verdict.culprits[0].label, "dd (pid 1005)");
    assert_eq!(trim_standing(&report), Standing::Refuted);
}
