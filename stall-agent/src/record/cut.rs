//! A capture of some time that has been, of the slices of that time and the names that are known now. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stall_capture::{Blocked, Capture, EndedSleep, Interval, Window};

use super::ring::Ring;
use super::slice::{Slice, Sums};
use super::sums::add_up;
use crate::live::Look;

/// Who and what there is, without anything that was done.
#[derive(Debug)]
pub struct Frame {
    /// Host, settings, hooks, disks, actors, tasks, inventory.
    pub capture: Capture,
    /// Addresses of all stacks by index.
    pub stacks: Vec<Vec<u64>>,
}

/// The capture from about `from_ns` to about `to_ns`: it begins and ends with a slice. `None` when there is none.
#[must_use]
pub fn cut(ring: &Ring, from_ns: u64, to_ns: u64, frame: &Frame) -> Option<Look> {
    let mut slices = ring.between(from_ns, to_ns);
    let mut all = slices.next()?.clone();
    // As they were before any of it.
    let at_start = all.counted.clone();
    slices.for_each(|slice| all.join(slice.clone()));
    Some(of_slice(all, &at_start, frame))
}

fn of_slice(mut all: Slice, at_start: &[super::slice::Counted], frame: &Frame) -> Look {
    before_it(
        &mut all.sums.blocked,
        &all.records.long_sleeps,
        all.start_ns,
    );
    let stacks = renumber(&mut all, &frame.stacks);
    let mut capture = frame.capture.clone();
    keep_actors(&mut capture, &all);
    keep_tasks(&mut capture, &all);
    let offset = all.wall_less_monotonic_ns;
    capture.window = Window {
        start_ns: all.start_ns,
        end_ns: all.end_ns,
        start_unix_ns: offset.saturating_add_unsigned(all.start_ns),
        interrupted: false,
        ..capture.window
    };
    capture.settings.duration_ns = Some(all.end_ns - all.start_ns);
    let busy = busy(&all.intervals);
    let last = all.intervals.last();
    for disk in &mut capture.disks {
        let Some(index) = disk.index else { continue };
        disk.discard_busy_ns = busy.get(&index).copied().unwrap_or(0);
        let in_flight = last.and_then(|last| last.discards.iter().find(|row| row.disk == index));
        disk.discards_in_flight_at_end = in_flight.map_or(0, |row| row.in_flight);
        let start = at_start.iter().find(|row| row.disk == index);
        let end = all.counted.iter().find(|row| row.disk == index);
        (disk.in_flight_at_start, disk.stat_at_start) =
            (start.map(|row| row.in_flight), start.map(|row| row.stat));
        (disk.in_flight_at_end, disk.stat_at_end) =
            (end.map(|row| row.in_flight), end.map(|row| row.stat));
    }
    let Sums {
        uses,
        owners,
        series,
        discards,
        blocked,
        short: _,
        loss,
    } = all.sums;
    let records = all.records;
    let capture = Capture {
        uses,
        owners,
        series,
        discards,
        slow_requests: records.slow_requests,
        discard_requests: records.discard_requests,
        unfinished_requests: records.unfinished_requests,
        blocked,
        long_sleeps: records.long_sleeps,
        unfinished_sleeps: records.unfinished_sleeps,
        intervals: all.intervals,
        loss,
        stacks: Vec::new(),
        ..capture
    };
    Look { capture, stacks }
}

/// Time of sleeps that began before the window is told as such.
fn before_it(rows: &mut [Blocked], sleeps: &[EndedSleep], start_ns: u64) {
    for sleep in sleeps.iter().filter(|sleep| sleep.start_ns < start_ns) {
        let key = (sleep.task, sleep.stack, sleep.killable, sleep.io_wait);
        let mut rows = rows.iter_mut();
        let row = rows.find(|row| (row.task, row.stack, row.killable, row.io_wait) == key);
        if let Some(row) = row {
            let before = (start_ns - sleep.start_ns).min(row.blocked_ns);
            row.blocked_ns -= before;
            row.before_ns += before;
        }
    }
}

/// Time with a discard in flight, by disk.
fn busy(intervals: &[Interval]) -> BTreeMap<u16, u64> {
    let mut busy = BTreeMap::<u16, u64>::new();
    for row in intervals.iter().flat_map(|interval| &interval.discards) {
        *busy.entry(row.disk).or_default() += row.busy_ns;
    }
    busy
}

/// Leaves the stacks that are referred to, and refers to them by where they are then.
fn renumber(all: &mut Slice, stacks: &[Vec<u64>]) -> Vec<Vec<u64>> {
    let mut places = HashMap::<usize, usize>::new();
    let mut kept = Vec::new();
    let mut place = |index: &mut Option<usize>| {
        let known = index.filter(|index| *index < stacks.len());
        *index = known.map(|index| {
            *places.entry(index).or_insert_with(|| {
                kept.push(stacks[index].clone());
                kept.len() - 1
            })
        });
    };
    all.sums
        .discards
        .iter_mut()
        .for_each(|row| place(&mut row.stack));
    all.sums
        .blocked
        .iter_mut()
        .for_each(|row| place(&mut row.stack));
    let records = &mut all.records;
    records
        .slow_requests
        .iter_mut()
        .for_each(|row| place(&mut row.stack));
    records
        .discard_requests
        .iter_mut()
        .for_each(|row| place(&mut row.stack));
    records
        .unfinished_requests
        .iter_mut()
        .for_each(|row| place(&mut row.stack));
    records
        .long_sleeps
        .iter_mut()
        .for_each(|row| place(&mut row.stack));
    records
        .unfinished_sleeps
        .iter_mut()
        .for_each(|row| place(&mut row.stack));
    add_up(&mut all.sums.discards);
    add_up(&mut all.sums.blocked);
    kept
}

fn keep_actors(capture: &mut Capture, all: &Slice) {
    let intervals = all.intervals.iter().flat_map(|row| &row.uses);
    let records = &all.records;
    let ended = records
        .slow_requests
        .iter()
        .chain(&records.discard_requests);
    let referred: BTreeSet<u32> = (all.sums.uses.iter().map(|row| row.actor))
        .chain(all.sums.owners.iter().map(|row| row.actor))
        .chain(all.sums.discards.iter().map(|row| row.actor))
        .chain(intervals.map(|row| row.actor))
        .chain(ended.map(|row| row.actor))
        .chain(records.unfinished_requests.iter().map(|row| row.actor))
        .collect();
    capture.actors.retain(|actor| referred.contains(&actor.id));
}

fn keep_tasks(capture: &mut Capture, all: &Slice) {
    let short: BTreeMap<u32, _> = all.sums.short.iter().map(|row| (row.task, row)).collect();
    let records = &all.records;
    let referred: BTreeSet<u32> = (all.sums.blocked.iter().map(|row| row.task))
        .chain(short.keys().copied())
        .chain(records.long_sleeps.iter().map(|row| row.task))
        .chain(records.unfinished_sleeps.iter().map(|row| row.task))
        .collect();
    capture.tasks.retain(|task| referred.contains(&task.id));
    for task in &mut capture.tasks {
        let row = short.get(&task.id);
        (task.short_sleeps, task.short_ns) = row.map_or((0, 0), |row| (row.sleeps, row.ns));
    }
}
