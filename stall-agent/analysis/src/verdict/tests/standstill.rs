//! A disk that stands still behind one discard: how sure that may be, and what it takes.

use std::sync::Arc;

use super::*;
use crate::test_capture::START;
use stall_report::model::Fact;

/// A trim asleep in a discard from before the window, `waits_ns` after it was submitted, and a reader that hangs a second
/// later. The trim's process began `ran_ns` before the discard.
fn still(ran_ns: u64, waits_ns: u64) -> Builder {
    let age_ns = 100 * SECOND;
    Builder::of_disks(vec![disk("sda")])
        .actor(VM, "qemu-kvm")
        .busy(0, 60 * SECOND)
        .unfinished(0, 0, Op::Discard, age_ns, None)
        .unfinished(VM, 0, Op::Read, age_ns - SECOND, None)
        .asleep(FSTRIM, "fstrim", TRIM_SLEEP, age_ns - waits_ns)
        .with(|capture| {
            let queued_ns = capture.window.end_ns - age_ns;
            let process = Arc::make_mut(&mut capture.tasks[0].process);
            process.start_boottime_ns = queued_ns - ran_ns;
        })
}

fn chance(report: &Report) -> Option<f64> {
    let mut all = report.verdict.hypotheses[0]
        .evidence_for
        .iter()
        .chain(&report.verdict.hypotheses[0].evidence_against);
    all.find(|one| one.fact == Fact::HangByChance)?.value
}

#[test]
fn a_trim_that_had_hardly_begun_is_no_chance() {
    let report = report(still(SECOND, MS));
    is(&report, Kind::HostTrim, Some(Confidence::High));
    assert_eq!(report.discards[0].inferred_gap_ns, Some(MS));
    // Two seconds, of the time since boot.
    let hung_ns = (START + 60 * SECOND - 99 * SECOND) as f64;
    let expected = (2 * SECOND) as f64 / hung_ns;
    let found = chance(&report).unwrap();
    assert!((found / expected - 1.0).abs() < 1e-4, "{found} {expected}");
}

#[test]
fn a_trim_that_had_run_for_long_may_be_chance() {
    let report = report(still(1_000 * SECOND, MS));
    is(&report, Kind::HostTrim, Some(Confidence::Medium));
    assert!(chance(&report).unwrap() > 0.001);
}

#[test]
fn a_task_that_slept_before_or_long_after_is_only_inferred() {
    is(
        &report(still(SECOND, 20 * MS)),
        Kind::HostTrim,
        Some(Confidence::Medium),
    );
}

#[test]
fn a_disk_on_which_something_ends_does_not_stand_still() {
    let one = Part(1, 1, 2 * SECOND);
    let builder = still(SECOND, MS).flow(VM, 0, Op::Read, one, Part(0, 0, 0));
    let report = report(builder);
    is(&report, Kind::HostTrim, Some(Confidence::Medium));
    assert_eq!(chance(&report), None);
}

#[test]
fn a_request_that_hung_before_the_discard_acquits_it() {
    let builder = still(SECOND, MS).unfinished(VM, 0, Op::Read, 101 * SECOND, None);
    is(&report(builder), Kind::Inconclusive, None);
}

#[test]
fn of_two_trims_asleep_the_one_that_waits_for_it_is_told() {
    let another = still(SECOND, MS).asleep(ETCD, "fstrim", TRIM_SLEEP, 700 * SECOND);
    let report = report(another);
    is(&report, Kind::HostTrim, Some(Confidence::High));
    assert_eq!(report.verdict.culprits[0].label, "fstrim (pid 1002)");
    let neither = still(SECOND, 20 * MS).asleep(ETCD, "fstrim", TRIM_SLEEP, 700 * SECOND);
    is(
        &super::report(neither),
        Kind::OtherDiscards,
        Some(Confidence::Medium),
    );
}
