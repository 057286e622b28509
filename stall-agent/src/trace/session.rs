//! A run while its window is open: records and snapshots as they come.

use std::time::Instant;

use aya::maps::{MapData, RingBuf};

use super::disks::{HostDisks, Seen};
use super::inventory::Looks;
use super::start::Parts;
use crate::collect::blocked::{self, Tasks};
use crate::collect::d_state::Found;
use crate::collect::loss::Own;
use crate::collect::maps::Maps;
use crate::collect::names::Names;
use crate::collect::records::{self, Record};
use crate::collect::snapshot::Snapshots;
use crate::collect::stacks::Stacks;
use crate::collect::{clock, in_flight};
use crate::config;
use crate::overhead::Timing;
use crate::probe::loader::Attached;
use crate::progress::{Line, Progress, Verbosity, Worst};
use stall_capture::{Confinement, EndedRequest, EndedSleep, Gap, Host, Settings, Window};
use stall_host::HostRoot;

/// Records taken in before signals and the end of the window are looked at again: some 20 ms of them.
const AT_ONCE: usize = 4_096;
/// Recorded requests and sleeps kept of each kind.
const KEPT: usize = 2_000;

/// Everything collected so far.
pub(super) struct Session {
    pub(super) attached: Attached,
    pub(super) maps: Maps,
    pub(super) timing: Timing,
    pub(super) names: Names,
    pub(super) host_disks: HostDisks,
    pub(super) host_root: HostRoot,
    pub(super) host: Host,
    pub(super) confinement: Option<Confinement>,
    pub(super) inventory: Looks,
    pub(super) settings: Settings,
    pub(super) window: Window,
    pub(super) attach_ns: u64,
    pub(super) gaps: Vec<Gap>,
    pub(super) disks: Vec<Seen>,
    pub(super) tasks: Tasks,
    pub(super) stacks: Stacks,
    pub(super) snapshots: Snapshots,
    pub(super) slow_requests: Kept<EndedRequest>,
    pub(super) discard_requests: Kept<EndedRequest>,
    pub(super) long_sleeps: Kept<EndedSleep>,
    pub(super) own: Own,
    progress: Progress,
    began: Instant,
}

/// The longest of what was recorded one by one.
#[derive(Clone)]
pub(super) struct Kept<T> {
    rows: Vec<T>,
    length_ns: fn(&T) -> u64,
    pub(super) dropped: u64,
}

impl<T> Kept<T> {
    const fn new(length_ns: fn(&T) -> u64) -> Self {
        Self {
            rows: Vec::new(),
            length_ns,
            dropped: 0,
        }
    }

    fn add(&mut self, row: T) {
        self.rows.push(row);
        if self.rows.len() >= 2 * KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.rows
            .sort_by_key(|row| std::cmp::Reverse((self.length_ns)(row)));
        self.dropped += self.rows.len().saturating_sub(KEPT) as u64;
        self.rows.truncate(KEPT);
    }

    /// What is kept, in order of its end.
    pub(super) fn into_rows(mut self, end_ns: fn(&T) -> u64) -> (Vec<T>, u64) {
        self.cut();
        self.rows.sort_by_key(end_ns);
        (self.rows, self.dropped)
    }
}

impl Session {
    /// The window is open.
    pub(super) fn new(config: &config::Trace, parts: Parts) -> Self {
        let Parts {
            attached,
            maps,
            timing,
            names,
            sizes,
            gaps,
            host,
            host_disks,
            confinement,
            start_ns,
            attach_ns,
        } = parts;
        Self {
            attached,
            maps,
            timing,
            names,
            host_disks,
            host_root: config.host_root.clone(),
            host,
            confinement,
            inventory: Looks::begin(&config.host_root),
            settings: settings(config),
            window: window(start_ns),
            attach_ns,
            gaps,
            disks: Vec::new(),
            tasks: Tasks::default(),
            stacks: Stacks::default(),
            snapshots: Snapshots::new(sizes.shards, start_ns),
            slow_requests: Kept::new(|row| row.completed_ns - row.queued_ns),
            discard_requests: Kept::new(|row| row.completed_ns - row.queued_ns),
            long_sleeps: Kept::new(|row| row.end_ns - row.start_ns),
            own: Own::default(),
            progress: Progress::new(if config.live {
                Verbosity::Quiet
            } else {
                config.verbosity
            }),
            began: Instant::now(),
        }
    }

    /// Takes in records that are there. True when there may be more of them: who sends them faster than they are taken in must
    /// not keep the window open.
    pub(super) fn drain(&mut self, ring: &mut RingBuf<MapData>) -> bool {
        let mut left = AT_ONCE;
        while left > 0
            && let Some(bytes) = ring.next()
        {
            match records::decode(&bytes) {
                Some(record) => self.take_in(record),
                None => self.own.undecodable_records += 1,
            }
            left -= 1;
        }
        self.names.poll();
        left == 0
    }

    /// Closes an interval. Returns the tasks in D at its end.
    pub(super) fn tick(&mut self, end: Option<Instant>) -> Vec<Found> {
        self.timing.end_when_due();
        let found = self.snapshot(clock::monotonic_ns());
        // A failure leaves the budget spent, which is counted.
        let _reset = self.maps.records_sent.set(0, 0, 0);
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        self.progress.update(&Line {
            elapsed: self.began.elapsed(),
            left,
            worst: self.worst(),
            discards_in_flight: self.snapshots.discards_in_flight(),
        });
        found
    }

    /// Reads the sums as they are now. Returns the tasks in D.
    pub(super) fn snapshot(&mut self, now_ns: u64) -> Vec<Found> {
        let found = self.look_at_d_tasks();
        // Two CPUs that meet a disk at once give it two numbers, of which one stays unused.
        let indices = self.disks.iter().map(|disk| disk.index + 1);
        let disks = indices.max().unwrap_or(0);
        // What cannot be read now is in the next snapshot's sums.
        let blocked = found.len() as u32;
        let _read = self.snapshots.take(&self.maps, disks, now_ns, blocked);
        found
    }

    /// Takes the live line away.
    pub(super) fn quiet(&mut self) {
        self.progress.finish();
    }

    fn take_in(&mut self, record: Record) {
        match record {
            Record::Process(process) => self.names.actor(&process),
            Record::NewDisk { disk, dev, name } => self.disks.push(Seen {
                index: disk as u16,
                name,
                major: dev >> 20,
                minor: dev & 0xf_ffff,
            }),
            Record::Task(task) => {
                self.names.task(&task);
                self.tasks.introduce(task);
            }
            Record::SlowRequest(request) => {
                let row = in_flight::ended(&request, &mut self.stacks);
                self.slow_requests.add(row);
            }
            Record::Discard(request) => {
                let row = in_flight::ended(&request, &mut self.stacks);
                self.discard_requests.add(row);
            }
            Record::LongSleep(sleep) => {
                let row = blocked::long(sleep, &mut self.stacks);
                self.long_sleeps.add(row);
            }
            Record::Exit(exit) => self.names.exit(&exit),
        }
    }

    fn worst(&self) -> Option<Worst> {
        let worst = self.snapshots.worst()?;
        let disk = self.disks.iter().find(|disk| disk.index == worst.disk)?;
        Some(Worst {
            device: disk.name.clone(),
            p99: std::time::Duration::from_nanos(worst.p99_ns),
        })
    }
}

fn settings(config: &config::Trace) -> Settings {
    Settings {
        duration_ns: config.duration.map(|duration| duration.as_nanos() as u64),
        interval_ns: config.interval.as_nanos() as u64,
        slow_ns: config.slow.as_nanos() as u64,
        stack_min_ns: super::start::STACK_MIN_NS,
        devices: config.devices.clone(),
    }
}

fn window(start_ns: u64) -> Window {
    let now = clock::monotonic_ns();
    let since = now.saturating_sub(start_ns);
    Window {
        start_ns,
        end_ns: start_ns,
        start_unix_ns: clock::realtime_ns().saturating_sub_unsigned(since),
        suspended_ns: clock::boottime_ns().saturating_sub(now),
        interrupted: false,
    }
}
