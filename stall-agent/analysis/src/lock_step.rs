//! Do slow requests end when discards end? The evidence that is left when a discard is in flight all the time.
//!
//! From the discards and the slow requests that were recorded one by one: each slow request of a victim is placed
//! in the time from one discard's end to the next one's. Where discards and requests have nothing to do with each other
//! any place is as likely; where a disk serves others only between discards, requests end soon after a discard does.

use stall_common::actor::UNKNOWN;

use super::exposure::submits;
use super::{batch, ratio};
use stall_capture::{Capture, EndedRequest};
use stall_capture::{is_discard, is_waited_for};
use stall_report::model::{DiscardGroup, LockStep};

/// Discards that end together are one end.
const TOGETHER_NS: u64 = 1_000_000;
/// Times between ends that are this many times as long as usual are gaps in the record, or pauses.
const LONGEST: u64 = 4;

/// `None` when no request can be placed.
pub(super) fn of_disk(
    capture: &Capture,
    discards: &[DiscardGroup],
    id: &str,
    disk: u16,
) -> Option<LockStep> {
    let cycles = cycles(&ends(capture, disk));
    let victims = capture.slow_requests.iter().filter(|request| {
        request.disk == disk
            && is_waited_for(request.op)
            && request.actor != UNKNOWN
            && !submits(discards, id, request.actor)
    });
    let places: Vec<f64> = victims
        .filter_map(|request| place(&cycles, request))
        .collect();
    let count = |is: fn(f64) -> bool| places.iter().filter(|place| is(**place)).count() as u64;
    let (requests, early) = (places.len() as u64, count(|place| place < 0.25));
    Some(LockStep {
        requests,
        early,
        late: count(|place| place >= 0.75),
        early_share: ratio(early, requests)?,
    })
}

fn ends(capture: &Capture, disk: u16) -> Vec<u64> {
    let recorded = capture.discard_requests.iter();
    let mut ends: Vec<u64> = recorded
        .filter(|request| request.disk == disk && is_discard(request.op))
        .map(|request| request.completed_ns)
        .collect();
    ends.sort_unstable();
    ends
}

/// From each end to the next.
fn cycles(ends: &[u64]) -> Vec<(u64, u64)> {
    let apart = |pair: &&[u64]| pair[1] - pair[0] > TOGETHER_NS;
    let mut cycles: Vec<(u64, u64)> = ends
        .windows(2)
        .filter(apart)
        .map(|pair| (pair[0], pair[1]))
        .collect();
    let mut lengths: Vec<u64> = cycles.iter().map(|(start, end)| end - start).collect();
    lengths.sort_unstable();
    let usual = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    cycles.retain(|(start, end)| end - start <= usual.saturating_mul(LONGEST));
    cycles
}

/// 0 at the end of a discard, also when the two were told together and the request's first; towards 1 at the next one's.
fn place(cycles: &[(u64, u64)], request: &EndedRequest) -> Option<f64> {
    let next = cycles.partition_point(|(_, end)| *end <= request.completed_ns);
    let (start, end) = cycles.get(next)?;
    let since = request.completed_ns.checked_sub(*start)?;
    if end - request.completed_ns <= batch::within_ns(end - start) {
        return Some(0.0);
    }
    Some(since as f64 / (end - start) as f64)
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::ended;
    use super::*;
    use stall_capture::Op;

    #[test]
    fn ends_together_are_one_and_gaps_are_left_out() {
        const MS: u64 = 1_000_000;
        let ends = [
            0,
            30 * MS,
            30 * MS + 1,
            60 * MS,
            90 * MS,
            900 * MS,
            930 * MS,
        ];
        let starts: Vec<u64> = cycles(&ends)
            .into_iter()
            .map(|(start, _)| start / MS)
            .collect();
        assert_eq!(starts, [0, 30, 60, 900]);
    }

    #[test]
    fn an_end_told_just_before_a_discards_is_at_its_end() {
        const MS: u64 = 1_000_000;
        let cycles = cycles(&[0, 1_000 * MS]);
        let at = |ms| place(&cycles, &ended(2, Op::Read, (0, ms * MS)));
        assert_eq!(at(997), Some(0.0));
        assert_eq!(at(950), Some(0.95));
        assert_eq!(at(10), Some(0.01));
    }

    #[test]
    fn nothing_recorded_says_nothing() {
        assert!(cycles(&[]).is_empty());
        assert!(cycles(&[5]).is_empty());
    }
}
