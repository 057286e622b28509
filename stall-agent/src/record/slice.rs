//! A slice of time: everything a capture of it is made of, but for names. Pure.
//!
//! Contract: slices that follow each other, joined, are what one slice of the whole time would have been, but for single
//! requests, of which a joined one keeps fewer that stand for as many.

use std::collections::BTreeMap;

use stall_capture::{
    Blocked, Discards, DiskStat, EndedRequest, EndedSleep, InFlight, Interval, Loss, Op, Owner,
    Series, UnfinishedRequest, UnfinishedSleep, Use,
};
use stall_common::histogram::middle;

use super::sums::{Row, Short, add_up, since};
use crate::collect::intervals;

/// Single requests kept of a slice, of each kind; and sleeps.
const MOST_RECORDS: usize = 600;
/// Of these the longest, which are kept whatever they stand for.
const LONGEST: usize = 20;

/// All sums of the kernel's and ours, at one look.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    pub uses: Vec<Use>,
    pub owners: Vec<Owner>,
    pub series: Vec<Series>,
    pub discards: Vec<Discards>,
    pub blocked: Vec<Blocked>,
    pub short: Vec<Short>,
    pub loss: Vec<Loss>,
}

/// What ended one by one, and what had not at the end.
#[derive(Clone, Debug, Default)]
pub struct Records {
    pub slow_requests: Vec<EndedRequest>,
    pub discard_requests: Vec<EndedRequest>,
    pub long_sleeps: Vec<EndedSleep>,
    pub unfinished_requests: Vec<UnfinishedRequest>,
    pub unfinished_sleeps: Vec<UnfinishedSleep>,
}

/// What the kernel itself counts of a disk, at the end of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub disk: u16,
    pub in_flight: InFlight,
    pub stat: DiskStat,
}

/// What happened from one look to the next.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    pub end_ns: u64,
    /// Wall clock less `CLOCK_MONOTONIC` at its end.
    pub wall_less_monotonic_ns: i64,
    pub intervals: Vec<Interval>,
    /// What they grew by.
    pub sums: Sums,
    pub records: Records,
    pub counted: Vec<Counted>,
}

impl Sums {
    /// What all grew by since they were `before`.
    #[must_use]
    pub fn since(self, before: &Self) -> Self {
        Self {
            uses: since(&before.uses, self.uses),
            owners: since(&before.owners, self.owners),
            series: since(&before.series, self.series),
            discards: since(&before.discards, self.discards),
            blocked: since(&before.blocked, self.blocked),
            short: since(&before.short, self.short),
            loss: since(&before.loss, self.loss),
        }
    }

    /// Tells of actors by another's id.
    pub fn rename(&mut self, to: &BTreeMap<u32, u32>) {
        let uses = self.uses.iter_mut().map(|row| &mut row.actor);
        let owners = self.owners.iter_mut().map(|row| &mut row.actor);
        let discards = self.discards.iter_mut().map(|row| &mut row.actor);
        if renamed(uses.chain(owners).chain(discards), to) {
            add_up(&mut self.uses);
            add_up(&mut self.owners);
            add_up(&mut self.discards);
        }
    }

    fn add(&mut self, more: Self) {
        put(&mut self.uses, more.uses);
        put(&mut self.owners, more.owners);
        put(&mut self.series, more.series);
        put(&mut self.discards, more.discards);
        put(&mut self.blocked, more.blocked);
        put(&mut self.short, more.short);
        put(&mut self.loss, more.loss);
    }
}

impl Slice {
    /// Of what was counted and recorded in it. `start_ns` and `end_ns` are the looks.
    #[must_use]
    pub fn new(
        (start_ns, end_ns): (u64, u64),
        intervals: Vec<Interval>,
        sums: Sums,
        records: Records,
    ) -> Self {
        let mut slice = Self {
            start_ns,
            end_ns,
            intervals,
            sums,
            records,
            ..Self::default()
        };
        slice.fill_in();
        slice.thin();
        slice
    }

    /// Tells of actors by another's id.
    pub fn rename(&mut self, to: &BTreeMap<u32, u32>) {
        self.sums.rename(to);
        for row in &mut self.intervals {
            if renamed(row.uses.iter_mut().map(|used| &mut used.actor), to) {
                intervals::add_up(&mut row.uses);
            }
        }
        let records = &mut self.records;
        let ended = records.slow_requests.iter_mut();
        let ended = ended.chain(&mut records.discard_requests);
        renamed(ended.map(|row| &mut row.actor), to);
        let open = records.unfinished_requests.iter_mut();
        renamed(open.map(|row| &mut row.actor), to);
    }

    /// Takes in the one that follows.
    pub fn join(&mut self, next: Self) {
        self.end_ns = next.end_ns;
        self.wall_less_monotonic_ns = next.wall_less_monotonic_ns;
        self.intervals.extend(next.intervals);
        self.sums.add(next.sums);
        let more = next.records;
        self.records.slow_requests.extend(more.slow_requests);
        self.records.discard_requests.extend(more.discard_requests);
        self.records.long_sleeps.extend(more.long_sleeps);
        self.records.unfinished_requests = more.unfinished_requests;
        self.records.unfinished_sleeps = more.unfinished_sleeps;
        self.counted = next.counted;
    }

    /// Makes one interval of all, and keeps fewer records: what happened long ago is told in less detail.
    pub fn coarsen(&mut self) {
        let mut rows = std::mem::take(&mut self.intervals).into_iter();
        if let Some(mut all) = rows.next() {
            rows.for_each(|row| intervals::join(&mut all, row));
            self.intervals.push(all);
        }
        self.thin();
    }

    /// What it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Sums {
            uses,
            owners,
            series,
            discards,
            blocked,
            short,
            loss,
        } = &self.sums;
        let counts = |counts: &stall_capture::Histogram| size_of_val(counts.0.as_slice());
        let of_uses = uses
            .iter()
            .map(|row| counts(&row.exposed_latency) + counts(&row.unexposed_latency));
        let of_series = series.iter().map(|row| {
            counts(&row.queue) + counts(&row.device) + counts(&row.total) + counts(&row.exposed)
        });
        let records = &self.records;
        size_of::<Self>()
            + self.intervals.iter().map(intervals::bytes).sum::<usize>()
            + of_uses.chain(of_series).sum::<usize>()
            + size_of_val(uses.as_slice())
            + size_of_val(owners.as_slice())
            + size_of_val(series.as_slice())
            + size_of_val(discards.as_slice())
            + size_of_val(blocked.as_slice())
            + size_of_val(short.as_slice())
            + loss.len() * (size_of::<Loss>() + 32)
            + size_of_val(records.slow_requests.as_slice())
            + size_of_val(records.discard_requests.as_slice())
            + size_of_val(records.long_sleeps.as_slice())
            + size_of_val(records.unfinished_requests.as_slice())
            + size_of_val(records.unfinished_sleeps.as_slice())
            + size_of_val(self.counted.as_slice())
    }

    /// The longest and the first of what is not known by the sums: as recorded, or else by the counts.
    fn fill_in(&mut self) {
        let mut slowest = BTreeMap::<(u16, u32, Op), u64>::new();
        let mut of_disk = BTreeMap::<(u16, Op), u64>::new();
        for row in &self.records.slow_requests {
            let took = row.completed_ns.saturating_sub(row.queued_ns);
            let most = slowest.entry((row.disk, row.actor, row.op)).or_default();
            *most = took.max(*most);
            let most = of_disk.entry((row.disk, row.op)).or_default();
            *most = took.max(*most);
        }
        let top = |counts: &stall_capture::Histogram| {
            let last = counts.0.last();
            last.map_or(0, |(bucket, _)| middle(usize::from(*bucket)))
        };
        for row in &mut self.sums.uses {
            if row.slowest_ns == 0 {
                let by_counts = top(&row.exposed_latency).max(top(&row.unexposed_latency));
                row.slowest_ns = slowest.get(&row.key()).copied().unwrap_or(by_counts);
            }
        }
        for row in &mut self.sums.series {
            if row.slowest_ns == 0 {
                row.slowest_ns = of_disk.get(&row.key()).copied().unwrap_or(top(&row.total));
            }
        }
        for row in &mut self.sums.discards {
            let key = row.key();
            let is_its = |one: &&EndedRequest| (one.disk, one.actor, one.op, one.stack) == key;
            let its = || self.records.discard_requests.iter().filter(is_its);
            if row.first_queued_ns == 0 {
                row.first_queued_ns = its()
                    .map(|one| one.queued_ns)
                    .min()
                    .unwrap_or(self.start_ns);
            }
            if row.slowest_ns == 0 {
                let took = its().filter_map(|one| one.completed_ns.checked_sub(one.issued_ns?));
                let mean = row.device_ns / row.ops.max(1);
                row.slowest_ns = took.max().unwrap_or(mean);
            }
        }
        for row in &mut self.sums.blocked {
            if row.longest_ns == 0 {
                let is_its = |one: &&EndedSleep| {
                    (one.task, one.stack, one.killable, one.io_wait) == row.key()
                };
                let its = self.records.long_sleeps.iter().filter(is_its);
                let its = its.map(|one| one.end_ns.saturating_sub(one.start_ns));
                let mean = (row.blocked_ns + row.before_ns) / row.sleeps.max(1);
                row.longest_ns = its.max().unwrap_or(mean);
            }
        }
    }

    fn thin(&mut self) {
        thin(&mut self.records.slow_requests);
        thin(&mut self.records.discard_requests);
        let sleeps = &mut self.records.long_sleeps;
        if sleeps.len() > MOST_RECORDS {
            sleeps.sort_by_key(|row| std::cmp::Reverse(row.end_ns.saturating_sub(row.start_ns)));
            sleeps.truncate(MOST_RECORDS);
            sleeps.sort_by_key(|row| row.end_ns);
        }
        sleeps.shrink_to_fit();
    }
}

fn put<T: Row>(rows: &mut Vec<T>, more: Vec<T>) {
    if !more.is_empty() {
        rows.extend(more);
        add_up(rows);
    }
}

/// Whether any was.
fn renamed<'a>(actors: impl Iterator<Item = &'a mut u32>, to: &BTreeMap<u32, u32>) -> bool {
    let mut any = false;
    for actor in actors {
        if let Some(other) = to.get(actor) {
            (*actor, any) = (*other, true);
        }
    }
    any
}

/// Leaves so many that stand for as many as before, each row its part; the longest stay.
fn thin(rows: &mut Vec<EndedRequest>) {
    if rows.len() <= MOST_RECORDS {
        rows.shrink_to_fit();
        return;
    }
    let took = |row: &EndedRequest| row.completed_ns.saturating_sub(row.queued_ns);
    rows.sort_by_key(|row| std::cmp::Reverse(took(row)));
    let mut kept: Vec<EndedRequest> = rows.drain(..LONGEST).collect();
    let mut by_row = BTreeMap::<(u16, u32, Op), Vec<EndedRequest>>::new();
    rows.sort_by_key(|row| row.completed_ns);
    for row in rows.drain(..) {
        by_row
            .entry((row.disk, row.actor, row.op))
            .or_default()
            .push(row);
    }
    let room = MOST_RECORDS - LONGEST;
    let all: usize = by_row.values().map(Vec::len).sum();
    for of_row in by_row.into_values() {
        let stood: f64 = of_row.iter().map(|row| row.stands_for).sum();
        // Every n-th, so that the whole time keeps some.
        let step = all.div_ceil(room).max(1);
        let mut few: Vec<EndedRequest> = of_row.into_iter().step_by(step).collect();
        let stand: f64 = few.iter().map(|row| row.stands_for).sum();
        for row in &mut few {
            row.stands_for = if stand > 0.0 {
                row.stands_for * stood / stand
            } else {
                row.stands_for
            };
        }
        kept.extend(few);
    }
    kept.sort_by_key(|row| row.completed_ns);
    kept.shrink_to_fit();
    *rows = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(actor: u32, completed_ns: u64, took_ns: u64) -> EndedRequest {
        EndedRequest {
            actor,
            tid: actor,
            disk: 0,
            op: Op::Read,
            bytes: 4096,
            sector: None,
            queued_ns: completed_ns - took_ns,
            issued_ns: None,
            completed_ns,
            overlap_ns: 0,
            service_ns: 0,
            requeues: 0,
            older: false,
            stack: None,
            stands_for: 2.0,
        }
    }

    #[test]
    fn fewer_records_stand_for_as_many() {
        let mut rows: Vec<_> = (0..5_000u64)
            .map(|index| {
                request(
                    1 + u32::from(index % 50 == 0),
                    1_000_000 + index,
                    1_000 + index % 977,
                )
            })
            .collect();
        let stood = |rows: &[EndedRequest], actor| {
            let its = rows.iter().filter(|row| row.actor == actor);
            its.map(|row| row.stands_for).sum::<f64>()
        };
        let before = [stood(&rows, 1), stood(&rows, 2)];
        thin(&mut rows);
        assert!(rows.len() <= MOST_RECORDS + 2, "{}", rows.len());
        for (actor, before) in [1, 2].into_iter().zip(before) {
            assert!((stood(&rows, actor) - before).abs() < 1e-6);
        }
        let longest = rows
            .iter()
            .map(|row| row.completed_ns - row.queued_ns)
            .max();
        assert_eq!(longest, Some(1_976));
        assert!(rows.is_sorted_by_key(|row| row.completed_ns));
    }

    #[test]
    fn the_slowest_is_the_recorded_one_where_the_sums_do_not_tell() {
        let used = |slowest_ns| Use {
            actor: 7,
            disk: 0,
            op: Op::Read,
            ops: 3,
            bytes: 0,
            queue_ns: 0,
            device_ns: 0,
            total_ns: 0,
            slowest_ns,
            slow_ops: 1,
            slow_total_ns: 0,
            service_ns: 0,
            exposed_ops: 0,
            exposed_slow_ops: 0,
            exposed_total_ns: 0,
            overlap_ns: 0,
            exposed_latency: Default::default(),
            unexposed_latency: stall_capture::Histogram(vec![(100, 3)]),
        };
        let of = |slowest_ns, slow_requests| {
            let sums = Sums {
                uses: vec![used(slowest_ns)],
                ..Sums::default()
            };
            let records = Records {
                slow_requests,
                ..Records::default()
            };
            Slice::new((0, 1), Vec::new(), sums, records).sums.uses[0].slowest_ns
        };
        assert_eq!(of(500, vec![request(7, 900, 300)]), 500);
        assert_eq!(of(0, vec![request(7, 900, 300), request(8, 900, 700)]), 300);
        assert_eq!(of(0, Vec::new()), middle(100));
    }
}
