//! What is left when a discard was in flight all the time: rule D5.

use super::comparison::{Outcome, refuted, supported, undecided};
use super::discards::Case;
use super::evidence::{self, Scales};
use super::rules;
use crate::discard::is_submitted_by;
use crate::{mean, ratio};
use stall_report::model::{BlockedTask, Confidence, DiscardGroup, Exposure, Fact};
use stall_report::{share, thousands};

/// How the ends of slow requests lie to those of discards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The disk serves others only between discards.
    Strict,
    /// Others mostly end soon after a discard.
    In,
    /// Others end at any time.
    Out,
    /// Too few, or between the two.
    Unknown,
}

impl Case<'_> {
    /// Rule D5.
    pub(super) fn without_comparison(&self, exposure: &Exposure, scales: &mut Scales) -> Outcome {
        self.tell_nothing_to_compare(exposure, scales);
        if self.discards_are_fast(scales) {
            return refuted("D5");
        }
        let hurt = self.victims_are_hurt(exposure, scales);
        let slow = self.discards_are_slow(scales);
        // Not short-circuited: each tells what it found. That the submitter was in D accuses nobody.
        self.tell_submitter_waits(scales);
        let first = self.is_first_to_hang(scales);
        let step = self.step(scales);
        if !(hurt && slow) {
            return undecided("D5");
        }
        let still = first == Some(true) && self.stands_still_by_no_chance(scales);
        match (step, first) {
            (Step::Unknown, Some(true)) if still => supported("D5", Confidence::High),
            (Step::Strict, _) => supported("D5", Confidence::High),
            (Step::In, _) | (Step::Unknown, Some(true)) => supported("D5", Confidence::Medium),
            (Step::Unknown, None) => supported("D5", Confidence::Low),
            (Step::Unknown, Some(false)) | (Step::Out, _) => undecided("D5"),
        }
    }

    pub(super) fn step(&self, scales: &mut Scales) -> Step {
        let Some(seen) = &self.device.lock_step else {
            return Step::Unknown;
        };
        let late_share = ratio(seen.late, seen.requests).unwrap_or(1.0);
        let is = |step: rules::Step| {
            seen.requests >= step.requests
                && seen.early_share >= step.early
                && late_share <= step.late
        };
        let step = match seen.requests {
            _ if is(rules::STRICT_STEP) => Step::Strict,
            _ if is(rules::IN_STEP) => Step::In,
            rules::OUT_OF_STEP_REQUESTS.. if seen.early_share <= rules::OUT_OF_STEP => Step::Out,
            _ => Step::Unknown,
        };
        let in_step = matches!(step, Step::Strict | Step::In);
        let text = "of the slow requests ended right after a discard did (by chance: 25 %)";
        let bound = Some(rules::IN_STEP.early);
        scales.put(
            in_step,
            evidence::of_share(Fact::LockStep, seen.early_share, bound, text),
        );
        step
    }

    fn tell_nothing_to_compare(&self, exposure: &Exposure, scales: &mut Scales) {
        let busy = self.device.discard_clock.busy_share.unwrap_or(0.0);
        let text = format!(
            "a discard was in flight {} of the time: too little without to compare with ({} requests)",
            share(busy),
            thousands(exposure.unexposed.ops)
        );
        let bound = Some(rules::COMPARED_OPS);
        scales.put(
            false,
            evidence::of_count(Fact::NothingToCompare, exposure.unexposed.ops, bound, text),
        );
    }

    /// Too fast for a request to have waited long for them.
    fn discards_are_fast(&self, scales: &mut Scales) -> bool {
        let slow_ns = self.findings.settings.slow_ns;
        let mean_ns = self.mean_discard();
        let all_fast = self
            .groups
            .iter()
            .all(|group| group.slowest_ns.is_none_or(|ns| ns < slow_ns));
        let none_stuck = self.oldest_discard().is_none_or(|ns| ns < slow_ns);
        let fast = mean_ns.is_none_or(|ns| ns < slow_ns / 2) && all_fast && none_stuck;
        if fast && let Some(ns) = mean_ns {
            let text = "a discard on average, none of them slow";
            scales.put(
                false,
                evidence::of_time(Fact::DiscardTime, ns, Some(slow_ns / 2), text),
            );
        }
        fast
    }

    fn victims_are_hurt(&self, exposure: &Exposure, scales: &mut Scales) -> bool {
        let mut hurt = false;
        if let Some(part) = ratio(exposure.exposed.slow_ops, exposure.exposed.ops) {
            hurt = exposure.exposed.slow_ops >= rules::HURT_SLOW_OPS
                && part >= rules::HURT_EXPOSED_SHARE;
            let text = "of the requests with a discard in flight were slow";
            let bound = Some(rules::HURT_EXPOSED_SHARE);
            scales.put(
                hurt,
                evidence::of_share(Fact::ExposedSlowShare, part, bound, text),
            );
        }
        if let Some(age) = self.oldest_victim().filter(|age| *age >= rules::SEVERE_NS) {
            hurt = true;
            let text = "and more the oldest request of others has waited, without an end";
            scales.put(
                true,
                evidence::of_time(Fact::StuckRequests, age, Some(rules::SEVERE_NS), text),
            );
        }
        hurt
    }

    fn discards_are_slow(&self, scales: &mut Scales) -> bool {
        let slow_ns = self.findings.settings.slow_ns;
        let mut slow = false;
        if let Some(ns) = self.mean_discard() {
            slow = ns >= slow_ns;
            scales.put(
                slow,
                evidence::of_time(Fact::DiscardTime, ns, Some(slow_ns), "a discard on average"),
            );
        }
        if let Some(age) = self.oldest_discard().filter(|age| *age >= rules::SEVERE_NS) {
            slow = true;
            let text = "and more a discard has been in flight, without an end";
            scales.put(
                true,
                evidence::of_time(Fact::StuckDiscard, age, Some(rules::SEVERE_NS), text),
            );
        }
        slow
    }

    /// `None` when no discard hangs, or nobody else.
    fn is_first_to_hang(&self, scales: &mut Scales) -> Option<bool> {
        let hangs = |age: &u64| *age >= rules::SEVERE_NS;
        let discard = self.oldest_discard().filter(hangs)?;
        let victim = self.oldest_victim()?;
        let first = discard >= victim;
        let text = if first {
            "old is the oldest unfinished request of others; the oldest discard is older"
        } else {
            "old is the oldest unfinished request of others: it hung before any discard that did"
        };
        scales.put(
            first,
            evidence::of_time(Fact::FirstToHang, victim, Some(discard), text),
        );
        Some(first)
    }

    fn tell_submitter_waits(&self, scales: &mut Scales) {
        let tasks = self
            .findings
            .blocked
            .iter()
            .filter(|task| self.is_submitter(task));
        let longest = tasks.max_by_key(|task| task.in_window_ns);
        let part =
            longest.and_then(|task| ratio(task.in_window_ns, self.findings.window.length_ns));
        if let (Some(task), Some(part)) = (longest, part) {
            let text = format!("of the window its submitter {} was in D", task.label);
            scales.put(
                true,
                evidence::of_share(Fact::SubmitterBlocked, part, None, &text),
            );
        }
    }

    /// The task that submitted these discards, or of which that is inferred.
    pub(super) fn is_submitter(&self, task: &BlockedTask) -> bool {
        self.groups.iter().any(|group| is_submitted_by(group, task))
    }

    fn mean_discard(&self) -> Option<u64> {
        let sum = |field: fn(&DiscardGroup) -> u64| {
            self.groups
                .iter()
                .fold(0u64, |sum, group| sum.saturating_add(field(group)))
        };
        mean(sum(|group| group.device_ns), sum(|group| group.ops))
    }

    pub(super) fn oldest_discard(&self) -> Option<u64> {
        self.groups
            .iter()
            .filter_map(|group| group.oldest_unfinished_ns)
            .max()
    }
}
