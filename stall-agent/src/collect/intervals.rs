//! The intervals of a window, in bounded memory however long the window is.
//!
//! Contract: what happened in the window is in exactly one of them. When they outgrow their budget each two neighbours are
//! joined, and from then on as many looks make one interval; the newest is always that of a single look.

use std::collections::BTreeMap;

use stall_common::histogram::wide_bounds;

use super::series::bucket_of_quantile;
use stall_capture::{
    InFlight, Interval, IntervalDiscards, IntervalDisk, IntervalSeries, IntervalUse, IntervalWaited,
};

/// A minute and more at a second each on a host with a thousand flows, hours on a quiet one.
const BUDGET_BYTES: usize = 4 << 20;

/// All so far.
pub struct Intervals {
    budget_bytes: usize,
    /// Without the newest.
    rows: Vec<Interval>,
    bytes: usize,
    /// Looks that make an interval, and those in the last of the rows.
    looks: u32,
    in_last: u32,
    newest: Option<Interval>,
}

impl Default for Intervals {
    fn default() -> Self {
        Self::within(BUDGET_BYTES)
    }
}

impl Intervals {
    const fn within(budget_bytes: usize) -> Self {
        Self {
            budget_bytes,
            rows: Vec::new(),
            bytes: 0,
            looks: 1,
            in_last: 0,
            newest: None,
        }
    }

    /// What happened since the last look.
    pub fn add(&mut self, row: Interval) {
        if let Some(before) = self.newest.replace(row) {
            self.keep(before);
        }
    }

    /// What was told of a disk by one index was of the disk of another.
    pub fn renumber(&mut self, from: u16, to: u16) {
        for row in self.rows.iter_mut().chain(&mut self.newest) {
            for disk in row.disks.iter_mut().filter(|disk| disk.disk == from) {
                disk.disk = to;
            }
            row.disks.sort_by_key(|disk| disk.disk);
        }
    }

    /// Tells of actors by another's id.
    pub fn rename(&mut self, to: &BTreeMap<u32, u32>) {
        for row in self.rows.iter_mut().chain(&mut self.newest) {
            let mut any = false;
            for used in &mut row.uses {
                if let Some(actor) = to.get(&used.actor) {
                    (used.actor, any) = (*actor, true);
                }
            }
            if any {
                add_up(&mut row.uses);
            }
        }
        self.bytes = self.rows.iter().map(bytes).sum();
    }

    /// That of the last look.
    #[must_use]
    pub const fn last(&self) -> Option<&Interval> {
        self.newest.as_ref()
    }

    /// In order of time, with that of the last look by itself.
    #[must_use]
    pub fn so_far(&self) -> Vec<Interval> {
        self.rows.iter().chain(&self.newest).cloned().collect()
    }

    /// In order of time, the last look's with those it belongs to.
    #[must_use]
    pub fn into_rows(mut self) -> Vec<Interval> {
        if let Some(newest) = self.newest.take() {
            self.keep(newest);
        }
        self.rows
    }

    fn keep(&mut self, row: Interval) {
        match self.rows.last_mut().filter(|_| self.in_last < self.looks) {
            Some(last) => {
                self.bytes -= bytes(last);
                join(last, row);
                self.bytes += bytes(last);
                self.in_last += 1;
            }
            None => {
                self.bytes += bytes(&row);
                self.rows.push(row);
                self.in_last = 1;
            }
        }
        while self.bytes > self.budget_bytes && self.rows.len() > 1 {
            self.halve();
        }
    }

    fn halve(&mut self) {
        // Of an odd number the last stays alone, to be joined with what comes.
        if self.rows.len().is_multiple_of(2) {
            self.in_last += self.looks;
        }
        self.looks = self.looks.saturating_mul(2);
        let mut rows = std::mem::take(&mut self.rows).into_iter();
        while let Some(mut first) = rows.next() {
            if let Some(second) = rows.next() {
                join(&mut first, second);
            }
            self.rows.push(first);
        }
        self.bytes = self.rows.iter().map(bytes).sum();
    }
}

/// What it takes in memory.
pub(crate) fn bytes(row: &Interval) -> usize {
    let counts = row.series.iter().flat_map(|series| &series.total_counts);
    size_of_val(row)
        + size_of_val(row.series.as_slice())
        + size_of_val(row.discards.as_slice())
        + size_of_val(row.uses.as_slice())
        + size_of_val(row.disks.as_slice())
        + counts
            .map(|counts| size_of_val(counts.as_slice()))
            .sum::<usize>()
}

/// Of two successive ones.
pub(crate) fn join(first: &mut Interval, second: Interval) {
    let Interval {
        start_ns: _,
        end_ns,
        series,
        discards,
        uses,
        disks,
        blocked_tasks,
    } = second;
    (first.end_ns, first.blocked_tasks) = (end_ns, blocked_tasks);
    // A disk that is not in the second has none in flight at its end.
    for row in &mut first.discards {
        row.in_flight = 0;
    }
    for row in &mut first.disks {
        row.in_flight = InFlight::default();
    }
    let disk = |row: &IntervalDiscards| row.disk;
    merge(&mut first.discards, discards, disk, add_discards);
    merge(
        &mut first.uses,
        uses,
        |row| (row.disk, row.actor, row.op),
        add_use,
    );
    merge(&mut first.disks, disks, |row| row.disk, add_disk);
    merge(
        &mut first.series,
        series,
        |row| (row.disk, row.op),
        add_series,
    );
}

/// Rows of a key are added up; they come sorted by it, and stay so.
fn merge<T, K: Ord>(
    rows: &mut Vec<T>,
    more: Vec<T>,
    key: impl Fn(&T) -> K,
    add: impl Fn(&mut T, &T),
) {
    rows.extend(more);
    rows.sort_by_key(&key);
    rows.dedup_by(|later, first| {
        let same = key(later) == key(first);
        if same {
            add(first, later);
        }
        same
    });
    rows.shrink_to_fit();
}

/// Rows of one actor, disk and operation become one.
pub fn add_up(rows: &mut Vec<IntervalUse>) {
    merge(
        rows,
        Vec::new(),
        |row| (row.disk, row.actor, row.op),
        add_use,
    );
}

fn add_discards(sum: &mut IntervalDiscards, row: &IntervalDiscards) {
    sum.busy_ns += row.busy_ns;
    sum.in_flight = row.in_flight;
}

fn add_use(sum: &mut IntervalUse, row: &IntervalUse) {
    sum.ops += row.ops;
    sum.bytes += row.bytes;
    sum.queue_ns += row.queue_ns;
    sum.device_ns += row.device_ns;
    sum.service_ns += row.service_ns;
    sum.waited = match (sum.waited, row.waited) {
        (Some(sum), Some(row)) => Some(IntervalWaited {
            total_ns: sum.total_ns + row.total_ns,
            slow_ops: sum.slow_ops + row.slow_ops,
            slow_total_ns: sum.slow_total_ns + row.slow_total_ns,
            overlap_ns: sum.overlap_ns + row.overlap_ns,
        }),
        _ => None,
    };
}

fn add_disk(sum: &mut IntervalDisk, row: &IntervalDisk) {
    sum.in_flight = row.in_flight;
    sum.ended += row.ended;
    sum.busy_ms += row.busy_ms;
}

fn add_series(sum: &mut IntervalSeries, row: &IntervalSeries) {
    sum.ops += row.ops;
    sum.bytes += row.bytes;
    sum.queue_ns += row.queue_ns;
    sum.device_ns += row.device_ns;
    let more = row.total_counts.iter().flatten().copied();
    let counts = sum.total_counts.get_or_insert_default();
    merge(
        counts,
        more.collect(),
        |row| row.0,
        |sum, row| {
            sum.1 = sum.1.saturating_add(row.1);
        },
    );
    sum.p50_ns = quantile_ns(counts, 0.5);
    sum.p99_ns = quantile_ns(counts, 0.99);
}

/// The middle of the wide bucket it is in: what is kept of joined ones.
fn quantile_ns(counts: &[(u8, u32)], quantile: f64) -> u64 {
    let bucket = bucket_of_quantile(counts.iter().copied(), quantile);
    let bounds = bucket.map(|bucket| wide_bounds(usize::from(bucket)));
    bounds.map_or(0, |(low, high)| u64::midpoint(low, high))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use stall_capture::Op;

    fn series(disk: u16, counts: &[(u8, u32)]) -> IntervalSeries {
        let ops = counts.iter().map(|(_, count)| u64::from(*count)).sum();
        IntervalSeries {
            disk,
            op: Op::Read,
            ops,
            bytes: ops * 4096,
            queue_ns: ops * 10,
            device_ns: ops * 100,
            p50_ns: 1,
            p99_ns: 2,
            total_counts: Some(counts.to_vec()),
        }
    }

    fn used(actor: u32, disk: u16, ops: u64) -> IntervalUse {
        IntervalUse {
            actor,
            disk,
            op: Op::Read,
            ops,
            bytes: ops * 4096,
            queue_ns: ops * 10,
            device_ns: ops * 100,
            service_ns: ops * 50,
            waited: Some(IntervalWaited {
                total_ns: ops * 200,
                slow_ops: ops / 2,
                slow_total_ns: ops * 150,
                overlap_ns: ops * 20,
            }),
        }
    }

    const fn discards(disk: u16, busy_ns: u64, in_flight: u32) -> IntervalDiscards {
        IntervalDiscards {
            disk,
            busy_ns,
            in_flight,
        }
    }

    fn interval(second: u64) -> Interval {
        Interval {
            start_ns: second * 1_000,
            end_ns: (second + 1) * 1_000,
            ..Interval::default()
        }
    }

    #[test]
    fn two_joined_are_what_one_look_would_have_seen() {
        let mut first = Interval {
            series: vec![series(0, &[(20, 60), (30, 1)]), series(2, &[(9, 1)])],
            discards: vec![discards(0, 500, 3), discards(1, 1_000, 1)],
            uses: vec![used(7, 0, 50), used(8, 0, 11), used(7, 2, 1)],
            blocked_tasks: 5,
            ..interval(0)
        };
        let second = Interval {
            series: vec![series(0, &[(20, 30), (40, 9)]), series(1, &[(5, 1)])],
            discards: vec![discards(1, 10, 0), discards(2, 1_000, 2)],
            uses: vec![used(7, 0, 39), used(9, 1, 1)],
            blocked_tasks: 2,
            ..interval(1)
        };
        join(&mut first, second);
        assert_eq!(
            (first.start_ns, first.end_ns, first.blocked_tasks),
            (0, 2_000, 2)
        );
        let expected = [
            discards(0, 500, 0),
            discards(1, 1_010, 0),
            discards(2, 1_000, 2),
        ];
        assert_eq!(first.discards, expected);
        let expected = [used(7, 0, 89), used(8, 0, 11), used(9, 1, 1), used(7, 2, 1)];
        assert_eq!(first.uses, expected);
        let (low, high) = (wide_bounds(20), wide_bounds(40));
        let both = IntervalSeries {
            p50_ns: u64::midpoint(low.0, low.1),
            p99_ns: u64::midpoint(high.0, high.1),
            ..series(0, &[(20, 90), (30, 1), (40, 9)])
        };
        assert_eq!(
            first.series,
            [both, series(1, &[(5, 1)]), series(2, &[(9, 1)])]
        );
    }

    #[test]
    fn the_newest_is_of_one_look_and_the_others_of_as_many_each() {
        let empty = size_of::<Interval>();
        let mut intervals = Intervals::within(4 * empty);
        for second in 0..23 {
            intervals.add(interval(second));
            assert_eq!(intervals.last(), Some(&interval(second)));
            assert_eq!(intervals.so_far().last(), Some(&interval(second)));
        }
        let looks = intervals.into_rows();
        let looks: Vec<_> = looks
            .iter()
            .map(|row| (row.end_ns - row.start_ns) / 1_000)
            .collect();
        assert_eq!(looks, [8, 8, 7]);
    }

    proptest! {
        /// Whatever comes and however little there is room for: nothing is missing or twice, and the budget is kept as long
        /// as there are two to join.
        #[test]
        fn nothing_is_lost_and_the_budget_is_kept(
            looks in prop::collection::vec(prop::collection::vec((0u32..5, 0u16..3, 1u64..9), 0..6), 1..60),
            budget in 0usize..8_000,
        ) {
            let mut intervals = Intervals::within(budget);
            let mut all = BTreeMap::<_, u64>::new();
            for (look, second) in looks.iter().zip(0..) {
                let mut row = interval(second);
                for (actor, disk, ops) in look {
                    merge(&mut row.uses, vec![used(*actor, *disk, *ops)], |row| (row.disk, row.actor, row.op), add_use);
                    *all.entry((*disk, *actor)).or_default() += ops;
                }
                intervals.add(row);
                prop_assert!(intervals.bytes <= budget || intervals.rows.len() == 1);
                prop_assert_eq!(intervals.bytes, intervals.rows.iter().map(bytes).sum::<usize>());
            }
            let rows = intervals.into_rows();
            prop_assert_eq!(rows.first().map(|row| row.start_ns), Some(0));
            prop_assert_eq!(rows.last().map(|row| row.end_ns), Some(looks.len() as u64 * 1_000));
            for pair in rows.windows(2) {
                prop_assert_eq!(pair[0].end_ns, pair[1].start_ns);
            }
            for used in rows.iter().flat_map(|row| &row.uses) {
                *all.get_mut(&(used.disk, used.actor)).unwrap() -= used.ops;
            }
            prop_assert!(all.values().all(|left| *left == 0));
        }
    }
}
