//! Outcomes of pairs made from a capture of a real incident: each rule K4 and K5 turns exactly on what it names.

mod reasons;
mod words;

use std::sync::Arc;

use proptest::prelude::*;

use super::model::{Finding, Measure, ReasonKind};
use super::*;
use stall_capture::{Op, Window};
use stall_report::model::Kind;

const SECOND: u64 = 1_000_000_000;

/// A trim that held up three others, traced for 6 s.
fn before() -> Capture {
    let text = include_bytes!("../../../../../tests/fixtures/captures/trim.json");
    let mut capture = Capture::read(text.as_slice()).unwrap();
    capture.host.boot_id = Some("a boot".to_owned());
    capture
}

/// The same, later.
fn later(mut capture: Capture) -> Capture {
    let by = 20 * SECOND;
    let Window {
        start_ns, end_ns, ..
    } = capture.window;
    capture.window.start_ns = start_ns + by;
    capture.window.end_ns = end_ns + by;
    for interval in &mut capture.intervals {
        interval.start_ns += by;
        interval.end_ns += by;
    }
    for request in capture
        .slow_requests
        .iter_mut()
        .chain(&mut capture.discard_requests)
    {
        request.queued_ns += by;
        request.issued_ns = request.issued_ns.map(|ns| ns + by);
        request.completed_ns += by;
    }
    capture
}

/// Without the trim: nobody discards.
fn without_trim(mut capture: Capture) -> Capture {
    let discards = |op: Op| stall_capture::is_discard(op);
    capture.uses.retain(|used| !discards(used.op));
    capture.series.retain(|series| !discards(series.op));
    capture.discards.clear();
    capture.discard_requests.clear();
    for interval in &mut capture.intervals {
        interval.discards.clear();
        interval.uses.retain(|used| !discards(used.op));
    }
    for disk in &mut capture.disks {
        disk.discard_busy_ns = 0;
    }
    capture
}

/// With a part of the slow requests.
fn with_slow(mut capture: Capture, part: f64) -> Capture {
    for used in &mut capture.uses {
        used.slow_ops = (used.slow_ops as f64 * part) as u64;
        used.slow_total_ns = (used.slow_total_ns as f64 * part) as u64;
    }
    if part == 0.0 {
        capture.slow_requests.clear();
    }
    capture
}

fn after() -> Capture {
    with_slow(without_trim(later(before())), 0.0)
}

fn outcome(before: &Capture, after: &Capture) -> (OutcomeKind, Option<Finding>, Vec<ReasonKind>) {
    let found = compare(before, after);
    valid(&found);
    let reasons = found.verdict.reasons.iter().map(|reason| reason.kind);
    (found.verdict.kind, found.verdict.finding, reasons.collect())
}

/// What every comparison promises.
fn valid(found: &Comparison) {
    let json = serde_json::to_value(found).unwrap();
    let validator = jsonschema::validator_for(&schema()).unwrap();
    if let Err(error) = validator.validate(&json) {
        panic!("{error} at {}", error.instance_path);
    }
    assert_eq!(serde_json::from_value::<Comparison>(json).unwrap(), *found);
    let text = text(found);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert!(
        !text.contains(|c: char| c.is_control() && c != '\n'),
        "{text:?}"
    );
    let is_kind = |kind| found.verdict.kind == kind;
    assert_eq!(
        is_kind(OutcomeKind::NotComparable),
        found.verdict.finding.is_none()
    );
    assert_eq!(
        is_kind(OutcomeKind::NotComparable),
        !found.verdict.reasons.is_empty()
    );
}

fn reasons(before: &Capture, after: &Capture) -> Vec<ReasonKind> {
    outcome(before, after).2
}

#[test]
fn a_cause_that_is_gone_with_the_latency_is_confirmed() {
    let (kind, finding, reasons) = outcome(&before(), &after());
    assert_eq!(kind, OutcomeKind::Confirmed, "{reasons:?}");
    assert_eq!(finding, Some(Finding::LatencyFell));
}

#[test]
fn the_suspect_is_measured_by_the_discard_clock() {
    let found = compare(&before(), &after());
    let suspect = found.suspect.unwrap();
    assert_eq!(
        (suspect.kind, suspect.measure),
        (Kind::HostTrim, Measure::DiscardNs)
    );
    let busy = suspect.use_per_s.before.unwrap();
    assert!(
        (busy - 3_158_754_970.0 / 6.002_655).abs() < busy * 1e-4,
        "{busy}"
    );
    assert_eq!(
        (suspect.use_per_s.after, suspect.gone),
        (Some(0.0), Some(true))
    );
    let suspects: Vec<_> = found.parties.iter().filter(|party| party.suspect).collect();
    assert_eq!(suspects.len(), 1);
    assert!(suspects[0].label.starts_with("fstrim"));
}

#[test]
fn a_cause_that_is_still_there_is_not() {
    let (kind, finding, _) = outcome(&before(), &later(before()));
    assert_eq!(
        (kind, finding),
        (OutcomeKind::NotConfirmed, Some(Finding::CauseStillThere))
    );
    // Also when nothing is slow any more.
    let fast = with_slow(later(before()), 0.0);
    assert_eq!(outcome(&before(), &fast).1, Some(Finding::CauseStillThere));
}

#[test]
fn a_discard_of_unknown_origin_may_be_the_suspects() {
    let mut after = with_slow(later(before()), 0.0);
    for group in &mut after.discards {
        group.stack = None;
    }
    assert_eq!(outcome(&before(), &after).1, Some(Finding::CauseStillThere));
}

#[test]
fn latency_that_stays_without_the_cause_is_not() {
    let (kind, finding, _) = outcome(&before(), &without_trim(later(before())));
    assert_eq!(kind, OutcomeKind::NotConfirmed);
    assert_eq!(finding, Some(Finding::LatencyNotBetter));
}

#[test]
fn what_the_numbers_do_not_tell_is_undecided() {
    // 45 % of the slow requests: the estimate is below one half, its interval is not.
    let fewer = with_slow(without_trim(later(before())), 0.45);
    assert_eq!(outcome(&before(), &fewer).1, Some(Finding::Undecided));
}

#[test]
fn an_unfinished_request_is_slow() {
    let mut stuck = after();
    let requests =
        before()
            .slow_requests
            .into_iter()
            .map(|request| stall_capture::UnfinishedRequest {
                actor: request.actor,
                tid: request.tid,
                disk: request.disk,
                op: request.op,
                bytes: request.bytes,
                sector: request.sector,
                queued_ns: stuck.window.end_ns - SECOND,
                issued_ns: None,
                requeues: 0,
                older: false,
                stack: None,
            });
    stuck.unfinished_requests.extend(requests);
    let found = compare(&before(), &stuck);
    assert_eq!(found.disks[0].others.slow.after.slow_ops, 167);
    assert_eq!(found.verdict.finding, Some(Finding::LatencyNotBetter));
}

fn with(mut capture: Capture, change: impl FnOnce(&mut Capture)) -> Capture {
    change(&mut capture);
    capture
}

/// Of the uses after, all counts times something.
fn scaled(capture: Capture, actors: impl Fn(u32) -> bool, by: f64) -> Capture {
    with(capture, |capture| {
        for used in capture.uses.iter_mut().filter(|used| actors(used.actor)) {
            for field in [&mut used.ops, &mut used.bytes, &mut used.total_ns] {
                *field = (*field as f64 * by) as u64;
            }
        }
    })
}

#[test]
fn a_restarted_database_is_itself_again() {
    let restarted = with(after(), |capture| {
        let actors = capture.actors.iter_mut().map(|actor| &mut actor.process);
        let tasks = capture.tasks.iter_mut();
        let tasks = tasks.map(|task| Arc::make_mut(&mut task.process));
        for process in actors.flatten().chain(tasks) {
            process.pid += 1_000;
            process.start_boottime_ns += 10 * SECOND;
        }
    });
    let found = compare(&before(), &restarted);
    assert_eq!(found.verdict.kind, OutcomeKind::Confirmed);
    let etcd = found
        .parties
        .iter()
        .find(|party| party.label.starts_with("etcd"))
        .unwrap();
    assert!(!etcd.same_process && etcd.after_actors == [4]);
    assert!(compare(&before(), &after()).parties[0].same_process);
}

#[test]
fn a_hostile_name_stays_in_its_line() {
    let hostile = |capture| {
        with(capture, |capture: &mut Capture| {
            for actor in &mut capture.actors {
                if let Some(process) = &mut actor.process {
                    process.comm = "a\u{1b}[2J\nVERDICT \u{202e}x".to_owned();
                }
            }
        })
    };
    let found = compare(&hostile(before()), &hostile(after()));
    valid(&found);
    let lines = text(&found);
    assert_eq!(
        lines
            .lines()
            .filter(|line| line.starts_with("VERDICT"))
            .count(),
        1
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn equal_captures_are_never_confirmed(
        slow in 0.0f64..1.0, load in 0.1f64..3.0, shift in any::<bool>(), trim in any::<bool>()
    ) {
        let one = scaled(with_slow(before(), slow), |actor| actor != 5, load);
        let one = if trim { one } else { without_trim(one) };
        let other = if shift { later(one.clone()) } else { one.clone() };
        let found = compare(&one, &other);
        valid(&found);
        prop_assert_ne!(found.verdict.kind, OutcomeKind::Confirmed);
    }

    /// Whatever is left of the slow requests: confirmed only from one half down, and both intervals say so.
    #[test]
    fn confirmed_is_at_most_half(part in 0.0f64..1.5, load in 0.3f64..3.0) {
        let after = scaled(with_slow(without_trim(later(before())), part), |_| true, load);
        let found = compare(&before(), &after);
        let slow = &found.disks[0].others.slow;
        if found.verdict.kind == OutcomeKind::Confirmed {
            prop_assert!(slow.relative_risk.as_ref().unwrap().high <= 0.5);
            prop_assert!(slow.batches_high.unwrap() <= 0.5);
        }
        if let (Some(low), Some(high)) = (slow.batches_low, slow.batches_high) {
            let risk = slow.relative_risk.as_ref().unwrap();
            prop_assert!(low <= risk.ratio * 1.001 && risk.ratio <= high * 1.001);
        }
    }
}
