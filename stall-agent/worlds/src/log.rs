//! What an agent on the host could see of a world, before it counts anything.

use std::collections::{BTreeMap, BTreeSet};

use stall_common::request::Op;

use crate::world::Ns;

/// All of it. Times are nanoseconds since the world began.
#[derive(Debug, Default)]
pub struct Log {
    /// Requests in the order of their ends.
    pub ended: Vec<Ended>,
    /// Those that were there when the window closed, `completed` is that time.
    pub unfinished: Vec<Ended>,
    /// The longer ones, in the order of their ends.
    pub sleeps: Vec<Sleep>,
    pub unfinished_sleeps: Vec<Sleep>,
    /// Number and sum of the shorter ones, by process and thread.
    pub short: BTreeMap<(u32, u32), (u64, Ns)>,
    /// When the window opened.
    pub opened: Tick,
    /// At the end of each interval.
    pub ticks: Vec<Tick>,
    pub processes: Vec<Process>,
    /// Bytes that processes wrote, into memory or past it, by process.
    pub written: BTreeMap<u32, u64>,
    /// Processes that submitted a request in the window.
    pub submitters: BTreeSet<u32>,
}

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// `None` for the block layer's own flushes.
    pub process: Option<u32>,
    /// For whom.
    pub party: usize,
    pub thread: u32,
    pub disk: usize,
    pub op: Op,
    pub asynchronous: bool,
    pub bytes: u64,
    pub sector: u64,
    pub queued: Ns,
    pub issued: Option<Ns>,
    pub completed: Ns,
    pub overlap: Ns,
    /// completed - max(queued, the end before it on the disk).
    pub service: Ns,
}

/// A thread in uninterruptible sleep.
#[derive(Clone, Copy, Debug)]
pub struct Sleep {
    pub process: u32,
    pub thread: u32,
    pub from: Ns,
    pub to: Ns,
    pub why: Why,
    /// The process that ended it, where a task does.
    pub waker: Option<u32>,
}

/// What for; it tells the kernel stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    Read,
    /// A page that is read ahead.
    Page,
    Write,
    Flush,
    Discard,
    Tag,
    DataOfFsync,
    Commit,
    /// The journal's own thread.
    Committing,
    Dirty,
    Frozen,
}

/// The end of an interval.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    pub at: Ns,
    /// By disk: the discard clock since the window opened, and discards in flight.
    pub discards: Vec<(Ns, u32)>,
    /// Threads in uninterruptible sleep.
    pub blocked: u32,
    /// What the kernel counts of each disk, since the window opened.
    pub disks: Vec<Counters>,
}

/// What the kernel counts of a disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub reads_in_flight: u64,
    pub others_in_flight: u64,
    pub ended: u64,
    pub busy_ns: Ns,
}

#[derive(Clone, Debug)]
pub struct Process {
    /// `None` for a thread of the kernel.
    pub party: Option<usize>,
    pub pid: u32,
    pub comm: String,
    pub started: Ns,
    pub exited: Option<Ns>,
    pub threads: u32,
}

impl Log {
    pub(crate) fn submitted(&mut self, process: Option<u32>) {
        self.submitters.extend(process);
    }

    pub(crate) fn wrote(&mut self, process: u32, bytes: u64) {
        *self.written.entry(process).or_default() += bytes;
    }

    pub(crate) fn slept(&mut self, sleep: Sleep, before: Ns) {
        /// `settings.stack_min_ns`
        const LONG: Ns = 1_000_000;
        if sleep.to < before || sleep.to == sleep.from {
            return;
        }
        if sleep.to - sleep.from >= LONG {
            self.sleeps.push(sleep);
        } else {
            let (count, sum) = self.short.entry((sleep.process, sleep.thread)).or_default();
            *count += 1;
            *sum += sleep.to - sleep.from;
        }
    }
}
