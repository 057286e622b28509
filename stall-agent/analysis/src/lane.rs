//! Which threads were in D when: the recorded sleeps, cut by the intervals they reach into.

use std::collections::{BTreeMap, HashMap};

use crate::reason::{self, Facts, facts};
use crate::symbol;
use stall_capture::Capture;
use stall_report::model::{IntervalBlocked, Reason};

/// Threads followed through the intervals.
const THREADS: usize = 64;

/// Rows for each interval; `tasks` are ids of the capture in the order of the report's `blocked`.
pub(super) fn lanes(capture: &Capture, tasks: &[u32]) -> Vec<Vec<IntervalBlocked>> {
    let mut lanes = Lanes {
        capture,
        sums: vec![BTreeMap::new(); capture.intervals.len()],
        reasons: HashMap::new(),
    };
    let numbers = tasks.iter().take(THREADS).zip(0u32..);
    let numbers: BTreeMap<u32, u32> = numbers.map(|(id, number)| (*id, number)).collect();
    for sleep in &capture.long_sleeps {
        if let Some(task) = numbers.get(&sleep.task) {
            lanes.add(
                *task,
                (sleep.stack, facts(false, sleep.io_wait)),
                (sleep.start_ns, sleep.end_ns),
            );
        }
    }
    for sleep in &capture.unfinished_sleeps {
        if let Some(task) = numbers.get(&sleep.task) {
            let facts = facts(sleep.holder.is_some(), sleep.io_wait);
            let span = (sleep.start_ns, capture.window.end_ns);
            lanes.add(*task, (sleep.stack, facts), span);
        }
    }
    lanes.sums.iter().map(rows).collect()
}

/// Time by task and reason.
type Sums = BTreeMap<(u32, Reason), u64>;

struct Lanes<'a> {
    capture: &'a Capture,
    sums: Vec<Sums>,
    /// What each stack waits for, decided once: sleeps are many, stacks few.
    reasons: HashMap<(Option<usize>, Facts), Reason>,
}

impl Lanes<'_> {
    fn add(&mut self, task: u32, key: (Option<usize>, Facts), (start_ns, end_ns): (u64, u64)) {
        let decide = || reason::decide(symbol::stack(self.capture, key.0), key.1).reason;
        let reason = *self.reasons.entry(key).or_insert_with(decide);
        let intervals = &self.capture.intervals;
        let first = intervals.partition_point(|interval| interval.end_ns <= start_ns);
        for (interval, sums) in intervals.iter().zip(&mut self.sums).skip(first) {
            if interval.start_ns >= end_ns {
                break;
            }
            let from = interval.start_ns.max(start_ns);
            let ns = interval.end_ns.min(end_ns).saturating_sub(from);
            let sum = sums.entry((task, reason)).or_default();
            *sum = sum.saturating_add(ns);
        }
    }
}

fn rows(sums: &Sums) -> Vec<IntervalBlocked> {
    let mut rows: Vec<IntervalBlocked> = Vec::new();
    let mut longest = 0;
    for ((task, reason), ns) in sums.iter().filter(|(_, ns)| **ns > 0) {
        match rows.last_mut().filter(|row| row.task == *task) {
            Some(row) => {
                row.blocked_ns = row.blocked_ns.saturating_add(*ns);
                if *ns > longest {
                    (row.reason, longest) = (*reason, *ns);
                }
            }
            None => {
                longest = *ns;
                rows.push(IntervalBlocked {
                    task: *task,
                    reason: *reason,
                    blocked_ns: *ns,
                });
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::{Builder, SECOND, START, TRIM_SLEEP, disk, stack_of};
    use super::super::test_report::judged;
    use super::*;
    use stall_capture::{EndedSleep, Interval};

    fn interval(second: u64) -> Interval {
        Interval {
            start_ns: START + second * SECOND,
            end_ns: START + (second + 1) * SECOND,
            ..Interval::default()
        }
    }

    fn sleep(task: u32, stack: Option<usize>, start_ns: u64, end_ns: u64) -> EndedSleep {
        EndedSleep {
            task,
            stack,
            killable: false,
            io_wait: None,
            start_ns,
            end_ns,
            waker: None,
        }
    }

    fn row(task: u32, reason: Reason, blocked_ns: u64) -> IntervalBlocked {
        IntervalBlocked {
            task,
            reason,
            blocked_ns,
        }
    }

    /// A sleep begun before the window, one over an end of an interval, two reasons in one, one that has not ended.
    #[test]
    fn a_sleep_is_cut_by_the_intervals_it_reaches_into() {
        const HALF: u64 = SECOND / 2;
        let builder = Builder::of_disks(vec![disk("sda")])
            .slept(3, "reader", &["io_schedule", "folio_wait_bit"], (SECOND, 0))
            .asleep(2, "fstrim", TRIM_SLEEP, HALF);
        let capture = builder.with(|capture| {
            capture.window.end_ns = START + 3 * SECOND;
            capture.unfinished_sleeps[0].start_ns = START + 2 * SECOND + HALF;
            capture.intervals = (0..3).map(interval).collect();
            capture.stacks.push(stack_of(&["blk_mq_get_tag"]));
            let tag = Some(capture.stacks.len() - 1);
            capture.long_sleeps = vec![
                sleep(0, None, START - 9 * SECOND, START + HALF),
                sleep(0, tag, START + HALF + 10, START + SECOND + HALF),
            ];
        });
        let report = judged(&capture.capture());
        let rows: Vec<_> = report.intervals.iter().map(|one| &one.blocked).collect();
        assert_eq!(report.blocked[0].comm, "reader");
        assert_eq!(*rows[0], [row(0, Reason::Unknown, SECOND - 10)]);
        assert_eq!(*rows[1], [row(0, Reason::RequestTag, HALF)]);
        assert_eq!(*rows[2], [row(1, Reason::Discard, HALF)]);
    }
}
