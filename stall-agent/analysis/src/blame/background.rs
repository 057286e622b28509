//! What a disk worked for in each interval beside the requests that were recorded one by one: those too fast to be.

use std::collections::BTreeMap;

use super::served::Group;
use crate::total::Total as _;
use stall_capture::{Capture, EndedRequest, Interval};

/// The rest of each interval of one disk.
pub(super) struct Background {
    rests: Vec<Rest>,
    /// A request that was not recorded took less than this; all the time there is, when not all slow ones were recorded.
    pub(super) fast_ns: u64,
}

struct Rest {
    start_ns: u64,
    end_ns: u64,
    /// Service that no recorded request accounts for.
    by_group: BTreeMap<Group, u64>,
    /// Its sum.
    sum_ns: u64,
    /// Time without a recorded service.
    free_ns: u64,
}

impl Background {
    pub(super) fn new(capture: &Capture, disk: u16, recorded: &[&EndedRequest]) -> Self {
        let intervals = capture.intervals.iter();
        Self {
            rests: intervals
                .map(|interval| rest(interval, disk, recorded))
                .collect(),
            fast_ns: fast_ns(capture, disk, recorded),
        }
    }

    /// Splits a span in which no recorded request was served: calls with each group and its part. What is left is
    /// the disk's own.
    pub(super) fn split(&self, start_ns: u64, end_ns: u64, mut add: impl FnMut(Group, u64)) {
        let first = self.rests.partition_point(|rest| rest.end_ns <= start_ns);
        let touched = self.rests[first..]
            .iter()
            .take_while(|rest| rest.start_ns < end_ns);
        for rest in touched {
            // Of a damaged capture intervals may overlap or end before they begin.
            let (from_ns, to_ns) = (start_ns.max(rest.start_ns), end_ns.min(rest.end_ns));
            let part_ns = to_ns.saturating_sub(from_ns);
            for (group, service_ns) in &rest.by_group {
                add(*group, rest.share(part_ns, *service_ns));
            }
        }
    }
}

/// Of slow requests as good as all are recorded.
const AS_GOOD_AS_ALL: f64 = 0.95;

fn fast_ns(capture: &Capture, disk: u16, recorded: &[&EndedRequest]) -> u64 {
    let slow_ns = capture.settings.slow_ns;
    let uses = capture.uses.iter().filter(|used| used.disk == disk);
    let slow = uses.map(|used| used.slow_ops).total();
    let kept = recorded.iter().filter(|one| {
        one.completed_ns.saturating_sub(one.queued_ns) >= slow_ns && one.stands_for <= 1.0
    });
    if (kept.count() as f64) < AS_GOOD_AS_ALL * slow as f64 {
        return u64::MAX;
    }
    slow_ns
}

impl Rest {
    /// Of a part of the free time, as much as the group has of it all.
    fn share(&self, part_ns: u64, service_ns: u64) -> u64 {
        let whole_ns = self.free_ns.max(self.sum_ns).max(1);
        let share = u128::from(part_ns) * u128::from(service_ns) / u128::from(whole_ns);
        u64::try_from(share).unwrap_or(part_ns)
    }
}

fn rest(interval: &Interval, disk: u16, recorded: &[&EndedRequest]) -> Rest {
    let mut by_group = BTreeMap::<Group, u64>::new();
    for used in interval.uses.iter().filter(|used| used.disk == disk) {
        let sum = by_group.entry((used.actor, used.op)).or_default();
        *sum = sum.saturating_add(used.service_ns);
    }
    let first = recorded.partition_point(|one| one.completed_ns < interval.start_ns);
    let ended = recorded[first..]
        .iter()
        .take_while(|one| one.completed_ns < interval.end_ns);
    let mut recorded_ns = 0u64;
    for request in ended {
        recorded_ns = recorded_ns.saturating_add(request.service_ns);
        if let Some(sum) = by_group.get_mut(&(request.actor, request.op)) {
            *sum = sum.saturating_sub(request.service_ns);
        }
    }
    let length_ns = interval.end_ns.saturating_sub(interval.start_ns);
    Rest {
        start_ns: interval.start_ns,
        end_ns: interval.end_ns,
        sum_ns: by_group
            .values()
            .fold(0, |sum, service_ns| sum.saturating_add(*service_ns)),
        by_group,
        free_ns: length_ns.saturating_sub(recorded_ns),
    }
}
