//! What rows of the report are called: devices by id, actors and processes by label, times by the
//! wall clock.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, UNIX_EPOCH};

use stall_common::actor::{FLUSH_MACHINERY, UNKNOWN};

use super::role;
use stall_capture::{Actor, Capture, Process, Window};
use stall_report::model;

/// Times of one kernel told as wall clock.
#[derive(Clone, Copy)]
pub(super) struct Clock<'a> {
    window: &'a Window,
}

impl<'a> Clock<'a> {
    pub(super) const fn new(window: &'a Window) -> Self {
        Self { window }
    }

    /// RFC 3339 of a `CLOCK_MONOTONIC` time, to the millisecond. A time before the last suspension of the
    /// machine comes out too late by its length.
    pub(super) fn wall(self, monotonic_ns: u64) -> String {
        let since = i128::from(monotonic_ns) - i128::from(self.window.start_ns);
        rfc3339(i128::from(self.window.start_unix_ns) + since)
    }

    /// RFC 3339 of a time since the epoch.
    pub(super) fn wall_of_unix(self, unix_ns: i64) -> String {
        rfc3339(i128::from(unix_ns))
    }

    /// RFC 3339 of a `CLOCK_BOOTTIME` time.
    pub(super) fn wall_of_boottime(self, boottime_ns: u64) -> String {
        let start = i128::from(self.window.start_ns) + i128::from(self.window.suspended_ns);
        rfc3339(i128::from(self.window.start_unix_ns) + i128::from(boottime_ns) - start)
    }

    /// From a `CLOCK_BOOTTIME` start to a `CLOCK_MONOTONIC` end.
    fn age(self, boottime_ns: u64, end_ns: u64) -> u64 {
        end_ns
            .saturating_add(self.window.suspended_ns)
            .saturating_sub(boottime_ns)
    }
}

fn rfc3339(unix_ns: i128) -> String {
    // The last second humantime can write is the end of the year 9999.
    const LAST_NS: i128 = 253_402_300_799_000_000_000;
    let ns = unix_ns.clamp(0, LAST_NS);
    let seconds = u64::try_from(ns / 1_000_000_000).unwrap_or(0);
    let rest = u32::try_from(ns % 1_000_000_000).unwrap_or(0);
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::new(seconds, rest)).to_string()
}

/// Names of one capture.
pub(super) struct Names<'a> {
    pub(super) clock: Clock<'a>,
    capture: &'a Capture,
    end_ns: u64,
    /// Ids in the order of the capture's disks.
    device_ids: Vec<String>,
    by_index: HashMap<u16, usize>,
    by_pid: HashMap<u32, Vec<&'a Actor>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(capture: &'a Capture) -> Self {
        let disks = capture.disks.iter().enumerate();
        Self {
            clock: Clock::new(&capture.window),
            capture,
            end_ns: capture.window.end_ns,
            device_ids: device_ids(capture),
            by_index: disks
                .filter_map(|(row, disk)| Some((disk.index?, row)))
                .collect(),
            by_pid: by_pid(&capture.actors),
        }
    }

    /// Id of the disk in this row of the capture.
    pub(super) fn device_of_row(&self, row: usize) -> String {
        self.device_ids[row].clone()
    }

    /// Id of the disk with this index; one that the capture does not list is called by its index.
    pub(super) fn device(&self, index: u16) -> String {
        match self.by_index.get(&index) {
            Some(row) => self.device_ids[*row].clone(),
            None => format!("#{index}"),
        }
    }

    /// The actor that is this process.
    pub(super) fn actor_of(&self, process: &Process) -> Option<u32> {
        let namesakes = self.by_pid.get(&process.pid)?;
        let same = namesakes
            .iter()
            .find(|actor| is_same(actor.process.as_ref(), process))?;
        Some(same.id)
    }

    pub(super) fn process(&self, process: &Process) -> model::Process {
        let end_ns = process.exited_ns.unwrap_or(self.end_ns);
        model::Process {
            pid: process.pid,
            comm: process.comm.clone(),
            worker: process.worker.clone(),
            kernel_thread: process.kernel_thread,
            command: (!process.args.is_empty()).then(|| process.args.join(" ")),
            args: process.args.clone(),
            args_truncated: process.args_truncated,
            exe: process.exe.clone(),
            unit: process.unit.clone(),
            cgroup: process.cgroup.clone(),
            parent_pid: process.parent_pid,
            started: self.clock.wall_of_boottime(process.start_boottime_ns),
            start_boottime_ns: process.start_boottime_ns,
            age_ns: self.clock.age(process.start_boottime_ns, end_ns),
            exited: process.exited_ns.map(|ns| self.clock.wall(ns)),
            role: role::role(self.capture, process),
            pod: process.pod.as_ref().map(role::pod),
        }
    }
}

/// What people call an actor.
pub(super) fn actor_label(actor: &Actor) -> String {
    match &actor.process {
        Some(process) => process_label(process),
        None => nobody(actor.id),
    }
}

pub(super) fn nobody(actor: u32) -> String {
    match actor {
        UNKNOWN => "unknown submitter".to_owned(),
        FLUSH_MACHINERY => "the block layer's flushes".to_owned(),
        other => format!("actor {other}"),
    }
}

/// What people call a process.
pub(super) fn process_label(process: &Process) -> String {
    let Process {
        pid,
        comm,
        worker,
        unit,
        ..
    } = process;
    if let Some(label) = role::label(process) {
        return label;
    }
    let name = if comm.is_empty() { "?" } else { comm };
    match worker.as_ref().or(unit.as_ref()) {
        Some(more) => format!("{name} (pid {pid}, {more})"),
        None => format!("{name} (pid {pid})"),
    }
}

/// `/proc` tells the start in ticks of 10 ms, the kernel's structures to the nanosecond.
const TICK_NS: u64 = 10_000_000;

fn is_same(one: Option<&Process>, other: &Process) -> bool {
    one.is_some_and(|one| {
        one.pid == other.pid && one.start_boottime_ns.abs_diff(other.start_boottime_ns) <= TICK_NS
    })
}

fn by_pid(actors: &[Actor]) -> HashMap<u32, Vec<&Actor>> {
    let mut by_pid: HashMap<u32, Vec<&Actor>> = HashMap::new();
    for actor in actors {
        if let Some(process) = &actor.process {
            by_pid.entry(process.pid).or_default().push(actor);
        }
    }
    by_pid
}

/// A loop device detached and attached again is another disk of the same name.
fn device_ids(capture: &Capture) -> Vec<String> {
    let mut taken = HashSet::new();
    let ids = capture.disks.iter().enumerate().map(|(row, disk)| {
        if taken.insert(disk.name.clone()) {
            disk.name.clone()
        } else {
            format!("{}#{row}", disk.name)
        }
    });
    ids.collect()
}
