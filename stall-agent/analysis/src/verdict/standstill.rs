//! A disk that stands still behind a trim's discard: whether that can be chance, the last strand of rule D5.
//!
//! There is no time to compare with. What can be compared is when: a disk that stops by itself stops at any time, and
//! a trim runs for a small part of all time.

use super::discards::Case;
use super::evidence::{self, Scales};
use super::rules;
use stall_report::model::{BlockedTask, Evidence, Fact, Origin, Unit};

impl Case<'_> {
    /// Whether no request has ended since before the window, and a trim that had hardly begun is what all wait for.
    /// Asked only when a discard was the first to hang.
    pub(super) fn stands_still_by_no_chance(&self, scales: &mut Scales) -> bool {
        let Some(age_ns) = self.oldest_discard().filter(|_| self.stands_still()) else {
            return false;
        };
        let text = "and more a discard has been in flight, and nothing ended on the disk";
        scales.put(
            true,
            evidence::of_time(Fact::StandsStill, age_ns, None, text),
        );
        let Some(chance) = self.chance() else {
            return false;
        };
        let rare = chance <= rules::BY_CHANCE;
        scales.put(rare, of_chance(chance));
        rare
    }

    /// The discard is older than the window, and no request ended in it.
    fn stands_still(&self) -> bool {
        let ended = self.device.operations.iter().any(|row| row.ops > 0);
        let older = |age_ns| age_ns >= self.findings.window.length_ns;
        self.origin == Origin::FilesystemTrim && !ended && self.oldest_discard().is_some_and(older)
    }

    /// Probability that a disk that stops at any time of this boot, or of a week, stops between the trim's start and the
    /// first request of others that hangs. The time suspended is counted at the window's start, so that of a trim
    /// from before a suspension it errs towards chance.
    fn chance(&self) -> Option<f64> {
        let window = &self.findings.window;
        let queued_ns = window.end_ns.saturating_sub(self.oldest_discard()?);
        let waits = |task: &&BlockedTask| {
            let sleep = task.unfinished.as_ref();
            let gap_ns = sleep.and_then(|sleep| sleep.start_ns.checked_sub(queued_ns));
            gap_ns.is_some_and(|ns| ns <= rules::SAME_SLEEP_NS)
        };
        let tasks = self.findings.blocked.iter().filter(waits);
        let started = tasks.filter(|task| self.is_submitter(task));
        let started = started.map(|task| task.process.start_boottime_ns);
        let started_ns = started.min()?.saturating_sub(window.suspended_ns);
        let hung_ns = window.end_ns.saturating_sub(self.oldest_victim()?);
        let all_ns = hung_ns.min(rules::TRIMS_COME_BACK_NS);
        (all_ns > 0).then(|| hung_ns.saturating_sub(started_ns) as f64 / all_ns as f64)
    }
}

fn of_chance(chance: f64) -> Evidence {
    Evidence {
        fact: Fact::HangByChance,
        value: Some(crate::significant(chance)),
        low: None,
        high: None,
        bound: Some(rules::BY_CHANCE),
        unit: Unit::Share,
        text: format!(
            "1 to {}: the odds that a disk that stops by itself stops so soon after a trim's start",
            stall_report::factor(1.0 / chance.max(1e-9))
        ),
    }
}
