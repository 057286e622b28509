//! A run while its window is open: records and snapshots as they come.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Instant;

use aya::maps::{MapData, RingBuf};
use aya::programs::ProgramError;

use stall_common::disk::{MAX_DISKS, NO_ROOM};
use stall_common::older::{DONE, LOST};
use stall_common::record::NewDisk;

use super::disks::{HostDisks, Seen};
use super::inventory::Looks;
use super::waits::Waits;
use crate::collect::blocked::{self, Tasks};
use crate::collect::d_state::{self, Found};
use crate::collect::loss::Own;
use crate::collect::maps::Maps;
use crate::collect::names::Names;
use crate::collect::records::{self, Record};
use crate::collect::snapshot::Snapshots;
use crate::collect::stacks::Stacks;
use crate::collect::{budgets, clock, in_flight, task_io};
use crate::config;
use crate::overhead::Timing;
use crate::probe::coverage;
use crate::probe::loader::{self, Attached};
use crate::probe::sizes::Sizes;
use crate::progress::{Line, Progress, Verbosity, Worst};
use stall_capture::sample::Sample;
use stall_capture::{Confinement, EndedSleep, Gap, Host, Settings, Window};
use stall_host::HostRoot;

/// Records taken in before signals and the end of the window are looked at again: some 20 ms of them.
const AT_ONCE: usize = 4_096;
/// Recorded sleeps kept.
const KEPT: usize = 2_000;
/// Processes that have ended and stand for themselves, at least; twice as many at most.
const APART: usize = 512;

/// Sleeps from this length on have their stack taken: below, taking it would cost a good part of
/// the sleep.
pub(super) const STACK_MIN_NS: u64 = 1_000_000;
/// Passes over all tasks for the search of all queues: a step for a hardware queue, of which large hosts have as many as tasks.
const MOST_PASSES: u32 = 64;

/// What a session is made of.
pub(super) struct Parts {
    pub(super) attached: Attached,
    pub(super) maps: Maps,
    pub(super) timing: Timing,
    pub(super) names: Names,
    pub(super) sizes: Sizes,
    pub(super) gaps: Vec<Gap>,
    pub(super) tells_io_wait: bool,
    pub(super) host: Host,
    pub(super) host_disks: HostDisks,
    pub(super) confinement: Option<Confinement>,
    pub(super) start_ns: u64,
    pub(super) attach_ns: u64,
}

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
    pub(super) waits: Waits,
    pub(super) settings: Settings,
    pub(super) window: Window,
    pub(super) attach_ns: u64,
    pub(super) gaps: Vec<Gap>,
    pub(super) disks: Vec<Seen>,
    /// Names of those that nothing is known of.
    disks_without_room: BTreeSet<String>,
    pub(super) tasks: Tasks,
    pub(super) stacks: Stacks,
    pub(super) snapshots: Snapshots,
    pub(super) slow_requests: Sample,
    pub(super) discard_requests: Sample,
    pub(super) long_sleeps: Kept,
    /// Actors that have ended and stand for themselves.
    ended: BTreeSet<u32>,
    pub(super) own: Own,
    progress: Progress,
    began: Instant,
}

/// The longest of the sleeps that were recorded one by one.
#[derive(Clone, Default)]
pub(super) struct Kept {
    rows: Vec<EndedSleep>,
    pub(super) dropped: u64,
}

impl Kept {
    fn add(&mut self, row: EndedSleep) {
        self.rows.push(row);
        if self.rows.len() >= 2 * KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let length = |row: &EndedSleep| row.end_ns.saturating_sub(row.start_ns);
        self.rows.sort_by_key(|row| std::cmp::Reverse(length(row)));
        self.dropped += self.rows.len().saturating_sub(KEPT) as u64;
        self.rows.truncate(KEPT);
    }

    /// What is kept, in order of its end.
    pub(super) fn into_rows(mut self) -> (Vec<EndedSleep>, u64) {
        self.cut();
        self.rows.sort_by_key(|row| row.end_ns);
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
            tells_io_wait,
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
            waits: Waits::begin(&config.host_root),
            settings: settings(config),
            window: window(start_ns),
            attach_ns,
            gaps,
            disks: Vec::new(),
            disks_without_room: BTreeSet::new(),
            tasks: Tasks::new(tells_io_wait),
            stacks: Stacks::default(),
            snapshots: Snapshots::new(sizes.rows, sizes.copies, start_ns),
            slow_requests: Sample::default(),
            discard_requests: Sample::default(),
            long_sleeps: Kept::default(),
            ended: BTreeSet::new(),
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

    /// Closes an interval. Returns the tasks in D at its end, and who is told of by another's id from now on.
    pub(super) fn tick(&mut self, end: Option<Instant>) -> (Vec<Found>, BTreeMap<u32, u32>) {
        self.timing.end_when_due();
        let found = self.snapshot(clock::monotonic_ns());
        let folded = self.fold_ended();
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        self.progress.update(&Line {
            elapsed: self.began.elapsed(),
            left,
            worst: self.worst(),
            discards_in_flight: self.snapshots.discards_in_flight(),
        });
        (found, folded)
    }

    /// Reads the sums as they are now. Returns the tasks in D.
    pub(super) fn snapshot(&mut self, now_ns: u64) -> Vec<Found> {
        let found = self.look_at_d_tasks();
        // Two CPUs that meet a disk at once give it two numbers, of which one stays unused.
        let indices = self.disks.iter().map(|disk| disk.index + 1);
        let known = indices.filter(|index| usize::from(*index) <= MAX_DISKS);
        let disks = known.max().unwrap_or(0);
        let all = self.settings.devices.is_empty();
        let counted = self.host_disks.since_last(&mut self.disks, all);
        let blocked = found.len() as u32;
        let ended = &self.ended;
        let at = (disks, now_ns);
        let taken = self
            .snapshots
            .take(&mut self.maps, at, blocked, counted, |actor| {
                ended.contains(&actor)
            });
        // What cannot be read now is in the next snapshot's sums.
        let growth = taken.unwrap_or_default();
        self.slow_requests.weigh(|key| growth.slow_ops(key));
        self.discard_requests.weigh(|key| growth.ops(key));
        budgets::begin_interval(&mut self.maps, &growth);
        found
    }

    /// Takes the live line away.
    pub(super) fn quiet(&mut self) {
        self.progress.finish();
    }

    fn take_in(&mut self, record: Record) {
        match record {
            Record::Process(process) => self.names.actor(&process),
            Record::NewDisk(disk) => self.new_disk(&disk),
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
                let row = blocked::long(&sleep, &mut self.stacks, self.tasks.tells_io_wait);
                self.long_sleeps.add(row);
            }
            Record::Exit(exit) => {
                self.ended.insert(exit.actor);
                self.names.exit(&exit);
            }
        }
    }

    /// Of the many processes that have ended, those whose requests took the most time stay apart; the others are told of as one
    /// for each program and control group.
    /// Returns who is told of by another's id from now on.
    fn fold_ended(&mut self) -> BTreeMap<u32, u32> {
        let live = self.snapshots.rows.live_actors();
        let past = self.snapshots.rows.past_actors();
        let gone = self.ended.iter().filter(|id| !live.contains(id));
        let mut gone: Vec<u32> = gone.copied().collect();
        if gone.len() < 2 * APART {
            return BTreeMap::new();
        }
        gone.sort_by_key(|id| std::cmp::Reverse(past.get(id).copied().unwrap_or_default()));
        let mut folded = gone.split_off(APART);
        folded.sort_unstable();
        self.ended.retain(|id| folded.binary_search(id).is_err());
        let to = self.names.fold(&folded);
        self.snapshots.fold(&to);
        self.slow_requests.rename(&to);
        self.discard_requests.rename(&to);
        to
    }

    fn new_disk(&mut self, new: &NewDisk) {
        let name = records::until_nul(&new.name);
        if new.disk == NO_ROOM {
            self.disks_without_room.insert(name);
            return;
        }
        let index = new.disk as u16;
        // It had something in flight before anything of it was seen.
        let before = |disk: &Seen| usize::from(disk.index) >= MAX_DISKS && disk.name == name;
        if let Some(at) = self.disks.iter().position(before) {
            let unseen = self.disks.swap_remove(at);
            self.snapshots.intervals.renumber(unseen.index, index);
        }
        self.disks.push(Seen {
            index,
            name,
            major: new.dev >> 20,
            minor: new.dev & 0xf_ffff,
        });
    }

    /// What is not known on this kernel, and of which disks nothing is.
    pub(super) fn gaps(&self) -> Vec<Gap> {
        let mut gaps = self.gaps.clone();
        if !self.disks_without_room.is_empty() {
            let names: Vec<_> = self.disks_without_room.iter().map(String::as_str).collect();
            gaps.push(Gap {
                part: "disks".to_owned(),
                missing: names.join(", "),
                lack: format!(
                    "requests to these disks are not measured: at most {MAX_DISKS} disks are traced; select disks with --device"
                ),
            });
        }
        gaps
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

impl Session {
    /// Finds the requests that were in flight before the first hook, a step for each task on the host.
    pub(super) fn search_queues(&mut self) {
        const PROGRAM: &str = "older_requests";
        let lacks = |gap: &Gap| gap.part == "requests_before";
        if !self.attached.has(PROGRAM) || self.gaps.iter().any(lacks) {
            return;
        }
        for _ in 0..MOST_PASSES {
            let iterator = loader::task_iterator(&mut self.attached.ebpf, PROGRAM);
            let pass = iterator.and_then(|mut file| {
                // It writes nothing.
                let read = io::copy(&mut file, &mut io::sink());
                read.map_err(ProgramError::IOError)
            });
            let Some(search) = pass.ok().and_then(|_| self.maps.search.get(&0, 0).ok()) else {
                break;
            };
            match search.stage {
                DONE => return,
                LOST => break,
                _ => {}
            }
        }
        self.gaps.push(coverage::outside(&coverage::QUEUES));
    }

    /// The tasks in D now; those that are new get names.
    pub(super) fn look_at_d_tasks(&mut self) -> Vec<Found> {
        // Not a failure of each look: the hook's row says it.
        if !self.attached.has("d_tasks") {
            return Vec::new();
        }
        let iterator = loader::task_iterator(&mut self.attached.ebpf, "d_tasks");
        let Some(found) = iterator.ok().and_then(|file| d_state::read(file).ok()) else {
            self.own.task_iterations_failed += 1;
            return Vec::new();
        };
        for task in self.tasks.found(&found, &self.maps) {
            self.names.task(&task);
        }
        self.waits.found(&found, clock::monotonic_ns());
        found
    }

    /// What threads have written by now; `None` where the kernel does not tell.
    pub(super) fn look_at_writers(&mut self) -> Option<Vec<task_io::Thread>> {
        if !self.attached.has("task_io") || self.gaps.iter().any(|gap| gap.part == "written") {
            return None;
        }
        let iterator = loader::task_iterator(&mut self.attached.ebpf, "task_io").ok();
        let threads = iterator.and_then(|file| task_io::read(file).ok());
        self.own.task_iterations_failed += u64::from(threads.is_none());
        threads
    }
}

fn settings(config: &config::Trace) -> Settings {
    Settings {
        duration_ns: config.duration.map(|duration| duration.as_nanos() as u64),
        interval_ns: config.interval.as_nanos() as u64,
        slow_ns: config.slow.as_nanos() as u64,
        stack_min_ns: STACK_MIN_NS,
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
