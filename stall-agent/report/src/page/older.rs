//! Discards that were queued before the first hook: the clock has them from when they were found only, so pictures draw
//! them by what is known of them one by one.

use stall_common::actor::UNKNOWN;

use super::time_axis::Column;
use crate::Report;
use crate::model::DiscardGroup;

/// Until when one of them was in flight on a device; `None` where there was none. Who submitted them is not known, or was
/// inferred, which tells them from others.
pub(super) fn until_ns(report: &Report, device: &str) -> Option<u64> {
    let is_older = |group: &&DiscardGroup| {
        let is_before = |ns| ns < report.window.start_ns;
        let is_nobodys = group.inferred || group.actor == UNKNOWN;
        is_nobodys && group.device == device && group.first_queued_ns.is_some_and(is_before)
    };
    let groups = report.discards.iter().filter(is_older);
    let ends = groups.filter_map(|group| {
        if group.unfinished_ops > 0 {
            Some(report.window.end_ns)
        } else {
            group.last_completed_ns
        }
    });
    ends.max()
}

/// Part of a column that is before that.
pub(super) fn part(column: &Column, until_ns: Option<u64>) -> f64 {
    let Some(until_ns) = until_ns else { return 0.0 };
    let length_ns = column.end_ns.saturating_sub(column.start_ns);
    let in_it = until_ns.min(column.end_ns).saturating_sub(column.start_ns);
    in_it as f64 / length_ns.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page;

    fn report(case: &str) -> Report {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/captures");
        crate::judged(&format!("{folder}/{case}.json"))
    }

    #[test]
    fn a_trim_that_was_there_before_is_in_the_picture_from_the_beginning() {
        let begun = report("trim_begun_before");
        let device = begun.verdict.device.clone().unwrap();
        let until = until_ns(&begun, &device).unwrap() - begun.window.start_ns;
        assert!((590_000_000..600_000_000).contains(&until), "{until}");
        assert!(page(&begun).contains("path class=\"older\""));
        let stuck = report("trim_stuck_in_one_discard");
        let device = stuck.verdict.device.clone().unwrap();
        assert_eq!(until_ns(&stuck, &device), Some(stuck.window.end_ns));
    }

    #[test]
    fn others_are_as_the_clock_has_them() {
        let report = report("trim_and_readers");
        let device = report.verdict.device.clone().unwrap();
        assert_eq!(until_ns(&report, &device), None);
        assert!(!page(&report).contains("path class=\"older\""));
    }

    #[test]
    fn a_column_is_cut_where_it_ended() {
        let column = Column {
            intervals: 0..1,
            start_ns: 100,
            end_ns: 200,
            from: 0.0,
            to: 1.0,
        };
        for (until, expected) in [
            (None, 0.0),
            (Some(50), 0.0),
            (Some(150), 0.5),
            (Some(900), 1.0),
        ] {
            assert!((part(&column, until) - expected).abs() < 1e-9, "{until:?}");
        }
    }
}
