//! Tasks in uninterruptible sleep (D state).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Process;

/// A thread that was in D.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockedTask {
    /// Thread id.
    pub tid: u32,
    /// Name of the thread.
    pub comm: String,
    /// For people: process, pid, unit.
    pub label: String,
    /// The process it belongs to.
    pub process: Process,
    /// Id of the actor the process is, when it submitted requests.
    pub actor: Option<u32>,
    /// The function that shows it to have slept inside FITRIM: it trims a filesystem.
    pub trim_function: Option<String>,
    /// Sleeps that ended in the window, also the short ones whose stack was not taken.
    pub sleeps: u64,
    /// Time of the ended sleeps in the window, killable ones not included.
    pub blocked_ns: u64,
    /// Time of the same sleeps before the window.
    pub before_ns: u64,
    /// The longest of them, from falling asleep to wake-up.
    pub longest_ns: u64,
    /// Killable sleeps that ended: a fatal signal would have ended them.
    pub killable_sleeps: u64,
    /// Their time in the window.
    pub killable_ns: u64,
    /// Sleeps too short for their stack to be taken.
    pub short_sleeps: u64,
    /// Their time in the window; part of `blocked_ns`.
    pub short_ns: u64,
    /// The sleep that had not ended at the end of the window.
    pub unfinished: Option<UnfinishedSleep>,
    /// Time in D in the window: ended sleeps, killable or not, and the unfinished one.
    pub in_window_ns: u64,
    /// Ended sleeps by what they waited for, longest first.
    pub reasons: Vec<BlockedReason>,
    /// Ended sleeps by stack, longest first.
    pub stacks: Vec<BlockedStack>,
    /// The longest sleeps that were recorded one by one, at most 10, longest first.
    pub long_sleeps: Vec<LongSleep>,
}

/// A sleep that had not ended: its times are lower bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnfinishedSleep {
    /// `CLOCK_MONOTONIC` when it fell asleep.
    pub start_ns: u64,
    /// Time so far.
    pub age_ns: u64,
    /// Part of it in the window.
    pub in_window_ns: u64,
    /// Part of it before the window.
    pub before_ns: u64,
    /// A fatal signal would end it.
    pub killable: bool,
    /// What it waits for.
    pub reason: Reason,
    /// Whose code it waits in: `nfs`, `fuse`, `dm`, `md`, `ext4`, ...; `None` when that is not known.
    pub family: Option<String>,
    /// The function that decided.
    pub decided_by: Option<String>,
    /// The function that called it, past those that only pass on.
    pub called_from: Option<String>,
    /// Index of the stack.
    pub stack: Option<usize>,
}

/// Ended sleeps of one task for one reason in one family's code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockedReason {
    /// What they waited for.
    pub reason: Reason,
    /// Whose code it waits in: `nfs`, `fuse`, `dm`, `md`, `ext4`, ...; `None` when that is not known.
    pub family: Option<String>,
    /// Number of sleeps for this reason.
    pub sleeps: u64,
    /// Time in the window.
    pub blocked_ns: u64,
    /// Time before it.
    pub before_ns: u64,
    /// Longest of these sleeps.
    pub longest_ns: u64,
}

/// Ended sleeps of one task with one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockedStack {
    /// Index of the stack.
    pub stack: Option<usize>,
    /// What they waited for.
    pub reason: Reason,
    /// Whose code it waits in: `nfs`, `fuse`, `dm`, `md`, `ext4`, ...; `None` when that is not known.
    pub family: Option<String>,
    /// The function that decided.
    pub decided_by: Option<String>,
    /// The function that called it, past those that only pass on.
    pub called_from: Option<String>,
    /// A fatal signal would have ended them.
    pub killable: bool,
    /// Number of sleeps with this stack.
    pub sleeps: u64,
    /// Time in the window.
    pub blocked_ns: u64,
    /// Time before it.
    pub before_ns: u64,
    /// Longest of these sleeps.
    pub longest_ns: u64,
}

/// A sleep that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LongSleep {
    /// `CLOCK_MONOTONIC` when it fell asleep.
    pub start_ns: u64,
    /// `CLOCK_MONOTONIC` when it was woken.
    pub end_ns: u64,
    /// Difference of the two.
    pub length_ns: u64,
    /// What it waited for.
    pub reason: Reason,
    /// Whose code it waits in: `nfs`, `fuse`, `dm`, `md`, `ext4`, ...; `None` when that is not known.
    pub family: Option<String>,
    /// A fatal signal would have ended it.
    pub killable: bool,
    /// Index of the stack.
    pub stack: Option<usize>,
}

/// What a task in D waits for, decided by the functions on its kernel stack.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A discard it sent.
    Discard,
    /// Zeros it had the device write.
    Zeroout,
    /// Data or metadata to be read.
    Read,
    /// Its own write.
    Write,
    /// The device's cache to be flushed.
    Flush,
    /// The journal: a commit, or room in the log.
    Journal,
    /// A page to be read or released by another.
    PageLock,
    /// A page under writeback.
    PageWriteback,
    /// A mutex, semaphore, inode or buffer lock.
    Lock,
    /// A filesystem that somebody froze to be thawed.
    FrozenFilesystem,
    /// A free request tag.
    RequestTag,
    /// Writeback throttling: the block layer lets no more writes through for now.
    WritebackThrottling,
    /// Dirty pages: there are too many, and it writes no more until some are written back.
    DirtyThrottling,
    /// A limit set on its cgroup.
    BlockThrottle,
    /// A frozen queue.
    QueueFrozen,
    /// RAID or device mapper.
    StackedDevice,
    /// A program that serves a filesystem or a device (FUSE, virtiofs, nbd, ublk, autofs, fanotify).
    UserSpaceServer,
    /// A server on the network, or other nodes of a cluster.
    NetworkStorage,
    /// Swap.
    Swap,
    /// Memory to be freed.
    MemoryReclaim,
    /// I/O of a kind the stack does not tell.
    OtherIo,
    /// Nothing to do with storage, as far as known.
    Other,
    /// No stack was taken, or no function on it has a name.
    Unknown,
}
