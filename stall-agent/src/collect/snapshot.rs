//! One look at the sums in the kernel, per interval; the intervals are differences of looks.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use stall_common::copies;
use stall_common::discard;
use stall_common::disk::{DiskState, Latency, SERIES_COPIED};
use stall_common::exposure::{EXPOSED, Sides, UNEXPOSED, finer};
use stall_common::loss::Loss;
use stall_common::uses::{Use as Sums, UseKey};

use super::intervals::Intervals;
use super::maps::Maps;
use super::series::Series;
use super::uses::{Grown, Rows};
use stall_capture as capture;
use stall_capture::sample::Key;
use stall_capture::{
    Histogram, Interval, IntervalDiscards, IntervalDisk, IntervalSeries, IntervalUse,
    IntervalWaited, Op,
};

/// Everything read so far, and the intervals made of it.
pub struct Snapshots {
    copies: u32,
    series: BTreeMap<(u16, u8), Series>,
    pub rows: Rows,
    /// Requests that no row counted, at the last look.
    unused: u64,
    /// The discard clock of each disk at the last look. It begins at 0 with the window.
    clocks: BTreeMap<u16, u64>,
    last_ns: u64,
    pub intervals: Intervals,
}

/// The disk and operation with the highest 99th percentile in the last interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worst {
    pub disk: u16,
    pub p99_ns: u64,
}

impl Snapshots {
    /// Nothing read yet; the window begins at `start_ns`.
    #[must_use]
    pub fn new(rows: u32, copies: u32, start_ns: u64) -> Self {
        Self {
            copies,
            series: BTreeMap::new(),
            rows: Rows::new(rows, copies),
            unused: 0,
            clocks: BTreeMap::new(),
            last_ns: start_ns,
            intervals: Intervals::default(),
        }
    }

    /// Reads what `disks` disks did until `now_ns`, and closes an interval with it and what the kernel itself `counted`. Returns
    /// what the rows grew by.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to read a map.
    pub fn take(
        &mut self,
        maps: &mut Maps,
        (disks, now_ns): (u16, u64),
        blocked_tasks: u32,
        counted: Vec<IntervalDisk>,
        has_ended: impl Fn(u32) -> bool,
    ) -> Result<Growth> {
        let grown = self.rows.look(maps, has_ended)?;
        let series = self.series(maps, &grown)?;
        let discards = self.discards(maps, disks, now_ns)?;
        let growth = Growth::of(&grown);
        self.intervals.add(Interval {
            start_ns: self.last_ns,
            end_ns: now_ns,
            series,
            discards,
            uses: interval_uses(&grown),
            disks: counted,
            blocked_tasks,
        });
        self.last_ns = now_ns;
        Ok(growth)
    }

    /// Tells of actors by another's id from now on.
    pub fn fold(&mut self, to: &BTreeMap<u32, u32>) {
        self.rows.fold(to);
        self.intervals.rename(to);
    }

    /// Where the last interval was slowest.
    #[must_use]
    pub fn worst(&self) -> Option<Worst> {
        let series = self.intervals.last()?.series.iter();
        let worst = series.max_by_key(|row| row.p99_ns)?;
        Some(Worst {
            disk: worst.disk,
            p99_ns: worst.p99_ns,
        })
    }

    /// Discards in flight at the last look.
    #[must_use]
    pub fn discards_in_flight(&self) -> u64 {
        let rows = self.intervals.last().map(|last| last.discards.iter());
        rows.into_iter()
            .flatten()
            .map(|row| u64::from(row.in_flight))
            .sum()
    }

    /// Time in the window with a discard in flight, up to the last look.
    #[must_use]
    pub fn discard_busy_ns(&self, disk: u16) -> u64 {
        self.clocks.get(&disk).copied().unwrap_or(0)
    }

    /// The rows of the capture per disk and operation; `states` by the disk's index.
    #[must_use]
    pub fn series_rows(&self, states: &[DiskState]) -> Vec<capture::Series> {
        let rows = self.series.iter();
        rows.filter_map(|((disk, op), series)| {
            let events = states
                .get(usize::from(*disk))?
                .events
                .get(usize::from(*op))?;
            Some(row(*disk, super::in_flight::op(*op), series, events))
        })
        .collect()
    }

    /// The rows of the capture per actor, disk and operation.
    #[must_use]
    pub fn use_rows(&self, maps: &Maps) -> Vec<capture::Use> {
        let sides = self.rows.all_sides(maps);
        let none = Sides::EMPTY;
        // A row is made when a request is submitted, and says nothing before one has ended.
        let all = self.rows.all().into_iter().filter(|(_, sums)| sums.ops > 0);
        let mut rows: Vec<_> = all
            .map(|(key, sums)| use_row(key, &sums, sides.get(&key).map_or(&none, |sides| &**sides)))
            .collect();
        rows.sort_by_key(|row| (row.disk, row.actor, row.op));
        rows
    }

    /// Reads the series of what grew; all of them when there was something that no row tells of.
    fn series(&mut self, maps: &Maps, grown: &[Grown]) -> Result<Vec<IntervalSeries>> {
        let unused = maps.losses.get(&(Loss::UsesFull as u32), 0)?
            + maps.losses.get(&(Loss::MissedCompletion as u32), 0)?;
        let all = std::mem::replace(&mut self.unused, unused) != unused;
        let busy: BTreeSet<_> = grown.iter().map(|grown| of_series(&grown.key)).collect();
        let mut rows = Vec::new();
        let used = self.used();
        for id in &maps.series_ids {
            let (key, number) = id?;
            let (disk, op) = ((key >> 8) as u16, key as u8);
            if !all && !busy.contains(&(disk, op)) {
                continue;
            }
            // A series beyond the map's end was refused by the programs, and counted.
            let copies = copies::all(number, SERIES_COPIED, self.copies)
                .filter_map(|place| maps.series.get(&place, 0).ok());
            let series = self.series.entry((disk, op)).or_default();
            let used = used.get(&(disk, op)).copied().unwrap_or_default();
            let grown = series.update(used, copies);
            if grown.ops > 0 {
                rows.push(interval_row(disk, super::in_flight::op(op), series, &grown));
            }
        }
        rows.sort_by_key(|row| (row.disk, row.op));
        rows.shrink_to_fit();
        Ok(rows)
    }

    /// What all actors did, by disk and operation, at the last look.
    fn used(&self) -> BTreeMap<(u16, u8), super::series::Sums> {
        let mut used = BTreeMap::<_, super::series::Sums>::new();
        for (key, sums) in &self.rows.all() {
            used.entry(of_series(key)).or_default().add_use(sums);
        }
        used
    }

    fn discards(&mut self, maps: &Maps, disks: u16, now_ns: u64) -> Result<Vec<IntervalDiscards>> {
        let mut rows = Vec::new();
        for disk in 0..disks {
            let state = maps.disk_states.get(&u32::from(disk), 0)?;
            // Between two changes the clock stands where it was.
            let before = self.clocks.get(&disk).copied();
            let clock = discard::read(state.discard_clock, now_ns)
                .or(before)
                .unwrap_or(0);
            self.clocks.insert(disk, clock);
            let busy_ns = clock.saturating_sub(before.unwrap_or(0));
            if busy_ns > 0 || state.discards_in_flight > 0 {
                rows.push(IntervalDiscards {
                    disk,
                    busy_ns,
                    in_flight: state.discards_in_flight as u32,
                });
            }
        }
        Ok(rows)
    }
}

/// What rows grew by in an interval: all of their requests, and the slow of them.
#[derive(Default)]
pub struct Growth(BTreeMap<Key, (u64, u64)>);

impl Growth {
    fn of(grown: &[Grown]) -> Self {
        let mut sums = BTreeMap::<_, (u64, u64)>::new();
        for Grown { key, before, now } in grown {
            let op = super::in_flight::op(key.op as u8);
            let sum = sums.entry((key.disk, key.actor, op)).or_default();
            sum.0 += now.ops - before.ops;
            sum.1 += now.slow_ops.saturating_sub(before.slow_ops);
        }
        Self(sums)
    }

    #[must_use]
    pub fn ops(&self, key: &Key) -> u64 {
        self.0.get(key).map_or(0, |sum| sum.0)
    }

    #[must_use]
    pub fn slow_ops(&self, key: &Key) -> u64 {
        self.0.get(key).map_or(0, |sum| sum.1)
    }

    /// Slow requests that are no discards, and discards.
    #[must_use]
    pub fn recorded(&self) -> (u64, u64) {
        let mut recorded = (0, 0);
        for ((_, _, op), (ops, slow_ops)) in &self.0 {
            if capture::is_discard(*op) {
                recorded.1 += ops;
            } else {
                recorded.0 += slow_ops;
            }
        }
        recorded
    }
}

fn of_series(key: &UseKey) -> (u16, u8) {
    (key.disk, key.op as u8)
}

fn interval_uses(grown: &[Grown]) -> Vec<IntervalUse> {
    let rows = grown.iter().map(|Grown { key, before, now }| IntervalUse {
        actor: key.actor,
        disk: key.disk,
        op: super::in_flight::op(key.op as u8),
        ops: now.ops - before.ops,
        bytes: now.bytes.saturating_sub(before.bytes),
        queue_ns: now.queue_ns.saturating_sub(before.queue_ns),
        device_ns: now.device_ns.saturating_sub(before.device_ns),
        service_ns: now.service_ns.saturating_sub(before.service_ns),
        waited: Some(IntervalWaited {
            total_ns: now.total_ns().saturating_sub(before.total_ns()),
            slow_ops: now.slow_ops.saturating_sub(before.slow_ops),
            slow_total_ns: now.slow_total_ns.saturating_sub(before.slow_total_ns),
            overlap_ns: now.overlap_ns.saturating_sub(before.overlap_ns),
        }),
    });
    let mut rows: Vec<_> = rows.collect();
    super::intervals::add_up(&mut rows);
    rows
}

fn interval_row(disk: u16, op: Op, series: &Series, grown: &super::series::Sums) -> IntervalSeries {
    IntervalSeries {
        disk,
        op,
        ops: grown.ops,
        bytes: grown.bytes,
        queue_ns: grown.queue_ns,
        device_ns: grown.device_ns,
        p50_ns: series.recent_quantile_ns(0.5).unwrap_or(0),
        p99_ns: series.recent_quantile_ns(0.99).unwrap_or(0),
        total_counts: Some(series.recent_counts()),
    }
}

fn row(disk: u16, op: Op, series: &Series, events: &stall_common::disk::Events) -> capture::Series {
    capture::Series {
        disk,
        op,
        ops: series.sums.ops,
        bytes: series.sums.bytes,
        queue_ns: series.sums.queue_ns,
        device_ns: series.sums.device_ns,
        total_ns: series.sums.total_ns,
        slowest_ns: series.sums.slowest_ns,
        queue: series.histogram(Latency::Queue),
        device: series.histogram(Latency::Device),
        total: series.histogram(Latency::Total),
        exposed: series.histogram(Latency::Exposed),
        requeues: events.requeues,
        merges: events.merges,
        errors: events.errors,
        partial_completions: events.partial,
        sequenced_completions: events.sequenced,
        older_requests: events.older,
    }
}

fn use_row(key: UseKey, sums: &Sums, sides: &Sides) -> capture::Use {
    capture::Use {
        actor: key.actor,
        disk: key.disk,
        op: super::in_flight::op(key.op as u8),
        ops: sums.ops,
        bytes: sums.bytes,
        queue_ns: sums.queue_ns,
        device_ns: sums.device_ns,
        total_ns: sums.total_ns(),
        slowest_ns: sums.slowest_ns,
        slow_ops: sums.slow_ops,
        slow_total_ns: sums.slow_total_ns,
        service_ns: sums.service_ns,
        exposed_ops: sums.exposed_ops,
        exposed_slow_ops: sums.exposed_slow_ops,
        exposed_total_ns: sums.exposed_total_ns,
        overlap_ns: sums.overlap_ns,
        exposed_latency: side(&sides.counts[EXPOSED]),
        unexposed_latency: side(&sides.counts[UNEXPOSED]),
    }
}

/// In the buckets of `stall_common::histogram` that stand for the wider ones.
fn side(counts: &[u32]) -> Histogram {
    let filled = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let rows = filled.map(|(index, count)| (finer(index) as u16, u64::from(*count)));
    Histogram(rows.collect())
}
