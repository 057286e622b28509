//! Sums that only grow, as differences of two looks, and differences added up again. Pure.
//!
//! Contract: what a row grew by is told exactly. The longest of something is known only where it grew, or where the one was
//! recorded; elsewhere it is 0 here, and [`super::slice`] fills it in as well as it is known.

use std::collections::BTreeMap;

use stall_capture::{Blocked, Discards, Histogram, Loss, Op, Owner, Series, Use};

/// A row of sums.
pub(super) trait Row: Clone {
    type Key: Ord;
    fn key(&self) -> Self::Key;
    /// Adds another row of the same key.
    fn add(&mut self, more: &Self);
    /// Leaves what it grew by since it was `before`.
    fn subtract(&mut self, before: &Self);
    /// Nothing happened.
    fn is_nothing(&self) -> bool;
}

/// Sleeps of one task that were too short for their stack to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    pub task: u32,
    pub sleeps: u64,
    pub ns: u64,
}

/// What rows grew by, those that did.
pub(super) fn since<T: Row>(before: &[T], now: Vec<T>) -> Vec<T> {
    let before: BTreeMap<T::Key, &T> = before.iter().map(|row| (row.key(), row)).collect();
    let grown = now.into_iter().filter_map(|mut row| {
        if let Some(before) = before.get(&row.key()) {
            row.subtract(before);
        }
        (!row.is_nothing()).then_some(row)
    });
    grown.collect()
}

/// Rows of one key become one; they are sorted by it.
pub(super) fn add_up<T: Row>(rows: &mut Vec<T>) {
    rows.sort_by_key(Row::key);
    rows.dedup_by(|later, first| {
        let same = later.key() == first.key();
        if same {
            first.add(later);
        }
        same
    });
    rows.shrink_to_fit();
}

/// Each of these sums of one row with the same of the other.
macro_rules! each {
    ($row:ident, $other:ident, $how:ident: $($field:ident),+) => {
        $($row.$field = $row.$field.$how($other.$field);)+
    };
}

/// The longest of what came since: known when it is longer than any before.
const fn longest_since(now: u64, before: u64) -> u64 {
    if now > before { now } else { 0 }
}

fn add_counts(counts: &mut Histogram, more: &Histogram) {
    let mut all: BTreeMap<u16, u64> = counts.0.iter().copied().collect();
    for (bucket, count) in &more.0 {
        let sum = all.entry(*bucket).or_default();
        *sum = sum.saturating_add(*count);
    }
    counts.0 = all.into_iter().collect();
}

fn subtract_counts(counts: &mut Histogram, before: &Histogram) {
    let before: BTreeMap<u16, u64> = before.0.iter().copied().collect();
    for (bucket, count) in &mut counts.0 {
        *count = count.saturating_sub(before.get(bucket).copied().unwrap_or(0));
    }
    counts.0.retain(|(_, count)| *count > 0);
}

impl Row for Use {
    type Key = (u16, u32, Op);

    fn key(&self) -> Self::Key {
        (self.disk, self.actor, self.op)
    }

    fn add(&mut self, more: &Self) {
        each!(self, more, saturating_add: ops, bytes, queue_ns, device_ns, total_ns, slow_ops, slow_total_ns,
            service_ns, exposed_ops, exposed_slow_ops, exposed_total_ns, overlap_ns);
        self.slowest_ns = self.slowest_ns.max(more.slowest_ns);
        add_counts(&mut self.exposed_latency, &more.exposed_latency);
        add_counts(&mut self.unexposed_latency, &more.unexposed_latency);
    }

    fn subtract(&mut self, before: &Self) {
        each!(self, before, saturating_sub: ops, bytes, queue_ns, device_ns, total_ns, slow_ops, slow_total_ns,
            service_ns, exposed_ops, exposed_slow_ops, exposed_total_ns, overlap_ns);
        self.slowest_ns = longest_since(self.slowest_ns, before.slowest_ns);
        subtract_counts(&mut self.exposed_latency, &before.exposed_latency);
        subtract_counts(&mut self.unexposed_latency, &before.unexposed_latency);
    }

    fn is_nothing(&self) -> bool {
        self.ops == 0
    }
}

impl Row for Owner {
    type Key = (u16, u32, Op, u64);

    fn key(&self) -> Self::Key {
        (self.disk, self.actor, self.op, self.cgroup_id)
    }

    fn add(&mut self, more: &Self) {
        each!(self, more, saturating_add: ops, bytes, total_ns, service_ns);
    }

    fn subtract(&mut self, before: &Self) {
        each!(self, before, saturating_sub: ops, bytes, total_ns, service_ns);
    }

    fn is_nothing(&self) -> bool {
        self.ops == 0
    }
}

impl Row for Series {
    type Key = (u16, Op);

    fn key(&self) -> Self::Key {
        (self.disk, self.op)
    }

    fn add(&mut self, more: &Self) {
        each!(self, more, saturating_add: ops, bytes, queue_ns, device_ns, total_ns, requeues, merges, errors,
            partial_completions, sequenced_completions, older_requests);
        self.slowest_ns = self.slowest_ns.max(more.slowest_ns);
        add_counts(&mut self.queue, &more.queue);
        add_counts(&mut self.device, &more.device);
        add_counts(&mut self.total, &more.total);
        add_counts(&mut self.exposed, &more.exposed);
    }

    fn subtract(&mut self, before: &Self) {
        each!(self, before, saturating_sub: ops, bytes, queue_ns, device_ns, total_ns, requeues, merges, errors,
            partial_completions, sequenced_completions, older_requests);
        self.slowest_ns = longest_since(self.slowest_ns, before.slowest_ns);
        subtract_counts(&mut self.queue, &before.queue);
        subtract_counts(&mut self.device, &before.device);
        subtract_counts(&mut self.total, &before.total);
        subtract_counts(&mut self.exposed, &before.exposed);
    }

    fn is_nothing(&self) -> bool {
        let events = self.requeues + self.merges + self.errors + self.partial_completions;
        self.ops + events + self.sequenced_completions + self.older_requests == 0
    }
}

impl Row for Discards {
    type Key = (u16, u32, Op, Option<usize>);

    fn key(&self) -> Self::Key {
        (self.disk, self.actor, self.op, self.stack)
    }

    fn add(&mut self, more: &Self) {
        each!(self, more, saturating_add: ops, bytes, queue_ns, device_ns);
        self.slowest_ns = self.slowest_ns.max(more.slowest_ns);
        self.first_queued_ns = match (self.first_queued_ns, more.first_queued_ns) {
            (0, one) | (one, 0) => one,
            (one, other) => one.min(other),
        };
        self.last_completed_ns = self.last_completed_ns.max(more.last_completed_ns);
    }

    fn subtract(&mut self, before: &Self) {
        each!(self, before, saturating_sub: ops, bytes, queue_ns, device_ns);
        self.slowest_ns = longest_since(self.slowest_ns, before.slowest_ns);
        // The first of all was before.
        self.first_queued_ns = 0;
    }

    fn is_nothing(&self) -> bool {
        self.ops == 0
    }
}

impl Row for Blocked {
    type Key = (u32, Option<usize>, bool, Option<bool>);

    fn key(&self) -> Self::Key {
        (self.task, self.stack, self.killable, self.io_wait)
    }

    fn add(&mut self, more: &Self) {
        each!(self, more, saturating_add: sleeps, blocked_ns, before_ns);
        self.longest_ns = self.longest_ns.max(more.longest_ns);
    }

    fn subtract(&mut self, before: &Self) {
        each!(self, before, saturating_sub: sleeps, blocked_ns, before_ns);
        self.longest_ns = longest_since(self.longest_ns, before.longest_ns);
    }

    fn is_nothing(&self) -> bool {
        self.sleeps == 0
    }
}

impl Row for Short {
    type Key = u32;

    fn key(&self) -> u32 {
        self.task
    }

    fn add(&mut self, more: &Self) {
        each!(self, more, saturating_add: sleeps, ns);
    }

    fn subtract(&mut self, before: &Self) {
        each!(self, before, saturating_sub: sleeps, ns);
    }

    fn is_nothing(&self) -> bool {
        self.sleeps == 0
    }
}

impl Row for Loss {
    type Key = String;

    fn key(&self) -> String {
        self.cause.clone()
    }

    fn add(&mut self, more: &Self) {
        each!(self, more, saturating_add: count);
    }

    fn subtract(&mut self, before: &Self) {
        each!(self, before, saturating_sub: count);
    }

    fn is_nothing(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(task: u32, sleeps: u64, longest_ns: u64) -> Blocked {
        Blocked {
            task,
            stack: None,
            killable: false,
            io_wait: None,
            sleeps,
            blocked_ns: sleeps * 10,
            before_ns: 0,
            longest_ns,
        }
    }

    #[test]
    fn rows_that_grew_are_told_by_how_much() {
        let before = [blocked(1, 5, 40), blocked(2, 7, 90)];
        let now = vec![blocked(1, 8, 60), blocked(2, 7, 90), blocked(3, 1, 10)];
        let grown = since(&before, now);
        assert_eq!(grown, [blocked(1, 3, 60), blocked(3, 1, 10)]);
        let later = since(&[blocked(1, 8, 60)], vec![blocked(1, 9, 60)]);
        assert_eq!(
            later[0].longest_ns, 0,
            "it is not known which was the longest"
        );
    }

    #[test]
    fn what_was_taken_apart_is_put_together_again() {
        let looks = [blocked(1, 5, 40), blocked(1, 8, 60), blocked(1, 20, 60)];
        let mut rows = vec![looks[0].clone()];
        for pair in looks.windows(2) {
            rows.extend(since(&pair[..1], vec![pair[1].clone()]));
        }
        add_up(&mut rows);
        assert_eq!(rows, [looks[2].clone()]);
    }

    #[test]
    fn counts_are_subtracted_by_bucket() {
        let mut counts = Histogram(vec![(3, 5), (9, 2), (11, 4)]);
        subtract_counts(&mut counts, &Histogram(vec![(3, 5), (9, 1)]));
        assert_eq!(counts, Histogram(vec![(9, 1), (11, 4)]));
        add_counts(&mut counts, &Histogram(vec![(3, 1), (9, 1)]));
        assert_eq!(counts, Histogram(vec![(3, 1), (9, 2), (11, 4)]));
    }
}
