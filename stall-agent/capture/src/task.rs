//! Processes and threads: who they are, and their time in D.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process that submitted requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// `stall_common::actor`: 0 unknown, 1 the block layer's flush machinery.
    pub id: u32,
    /// `None` for the two above.
    pub process: Option<Process>,
    /// Further processes that it stands for: ended ones of the same name and control group, of which there were more than are
    /// distinguished.
    #[serde(default)]
    pub ended_alike: u64,
}

/// Who a process or thread is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    pub pid: u32,
    /// Name of the group leader (`comm`), bytes that are not UTF-8 replaced.
    pub comm: String,
    /// For a kernel worker, what `/proc` adds to its name: its work queue.
    pub worker: Option<String>,
    pub kernel_thread: bool,
    /// Start, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_boottime_ns: u64,
    /// Command line, one element per argument; cut at 256 bytes when `/proc` had no more.
    pub args: Vec<String>,
    pub args_truncated: bool,
    /// Target of `/proc/<pid>/exe`.
    pub exe: Option<String>,
    /// Lines of `/proc/<pid>/cgroup`.
    pub cgroup: Vec<String>,
    /// systemd unit or scope named by the cgroup.
    pub unit: Option<String>,
    pub parent_pid: Option<u32>,
    /// Its group leader exited at this time.
    pub exited_ns: Option<u64>,
    /// The pod its cgroup names.
    #[serde(default)]
    pub pod: Option<Pod>,
    /// Block devices open in it; read of virtual machines only.
    #[serde(default)]
    pub open_disks: Vec<OpenDisk>,
    /// Of a Longhorn replica, its directory.
    #[serde(default)]
    pub replica: Option<ReplicaDirectory>,
}

/// A pod, as far as files on the host tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pod {
    pub uid: Option<String>,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub container: Option<String>,
    pub container_id: Option<String>,
    /// IP addresses, from the hosts file kubelet writes for it; of a Longhorn engine's also the others of its network
    /// namespace.
    pub addresses: Vec<String>,
}

/// A block device that a process holds open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenDisk {
    /// As the process named it, in its own mount namespace.
    pub path: String,
    pub major: u32,
    pub minor: u32,
}

/// Where a Longhorn replica keeps its data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaDirectory {
    /// On the host.
    pub path: String,
    /// Of the filesystem it is on; `None` when it cannot be looked at.
    pub major: Option<u32>,
    pub minor: Option<u32>,
    /// `volume.meta`; `None` when it cannot be read.
    pub meta: Option<VolumeMeta>,
}

/// What is used of a replica's `volume.meta`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VolumeMeta {
    pub size_bytes: Option<u64>,
    pub rebuilding: Option<bool>,
    pub dirty: Option<bool>,
    pub error: Option<String>,
}

/// A thread that was in D.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Unique; `tid`s need not be.
    pub id: u32,
    pub tid: u32,
    /// Name of the thread.
    pub comm: String,
    pub start_boottime_ns: u64,
    /// The process it belongs to; tasks of one process share it.
    pub process: Arc<Process>,
    /// Sleeps shorter than `settings.stack_min_ns`, whose stack was not taken.
    pub short_sleeps: u64,
    pub short_ns: u64,
    /// Major and minor of the filesystems it was seen to wait on, or of block devices: the file that its system call is about,
    /// whenever it was in D at a look, four at most. Calls by a path have none, nor has what a program maps.
    #[serde(default)]
    pub waits_on: Vec<(u32, u32)>,
}

/// Ended sleeps of one task with one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocked {
    /// `Task::id`
    pub task: u32,
    pub stack: Option<usize>,
    pub killable: bool,
    /// `task_struct.in_iowait`: it slept in `io_schedule`, for I/O and not for a lock. `None` when it is not known.
    #[serde(default)]
    pub io_wait: Option<bool>,
    pub sleeps: u64,
    /// Time in the window.
    pub blocked_ns: u64,
    /// Time of the same sleeps before the window.
    pub before_ns: u64,
    pub longest_ns: u64,
}

/// A sleep that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedSleep {
    pub task: u32,
    pub stack: Option<usize>,
    pub killable: bool,
    #[serde(default)]
    pub io_wait: Option<bool>,
    /// When it fell asleep, also when that was before the window.
    pub start_ns: u64,
    pub end_ns: u64,
    /// The thread that ran on the CPU where the wake-up was done; `None` when it was idle, or is not known.
    ///
    /// Meaningful for sleeps on locks only (mutex, rwsem, jbd2, ...), which are released by a task. A sleep on I/O
    /// is ended by an interrupt, and this is whatever that landed on; the stack tells the two apart.
    #[serde(default)]
    pub waker: Option<Waker>,
}

/// Who ended a sleep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waker {
    pub tid: u32,
    pub pid: u32,
    /// Name of the thread.
    pub comm: String,
    /// Start of the thread, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_boottime_ns: u64,
    pub kernel_thread: bool,
}

/// A task in D when the window ended: its age is a lower bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnfinishedSleep {
    pub task: u32,
    pub stack: Option<usize>,
    pub killable: bool,
    #[serde(default)]
    pub io_wait: Option<bool>,
    pub start_ns: u64,
    /// Who held the lock it waited for; `None` when it waited for none, or the kernel does not say (it does from 6.16 on
    /// with `CONFIG_DETECT_HUNG_TASK_BLOCKER`).
    #[serde(default)]
    pub holder: Option<Holder>,
}

/// Who holds a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    pub tid: u32,
    pub pid: u32,
    /// Name of the thread.
    pub comm: String,
    /// `mutex`, `rwsem` or `semaphore`.
    pub lock: String,
    /// It is the last that took an rwsem to read, with others or not: it may have let go of it since.
    #[serde(default)]
    pub reader: bool,
}

/// A kernel stack, innermost frame first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stack {
    pub frames: Vec<Frame>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Frame {
    /// `None` when no symbol is known for the address.
    pub symbol: Option<String>,
    /// From the symbol's start, bytes.
    pub offset: u64,
    /// The module it is in, when not the kernel proper.
    pub module: Option<String>,
}
