//! Who used the disks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Op, Pod, Role};

/// A submitter of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// How other rows refer to it.
    pub id: u32,
    /// For people: `fstrim (pid 4711, fstrim.service)`.
    pub label: String,
    /// `null` for submitters that are not known and for the block layer's flush machinery.
    pub process: Option<Process>,
    /// What it did, by device and operation.
    pub uses: Vec<ActorUse>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Name (comm) of the process.
    pub comm: String,
    /// For a kernel worker, its work queue.
    pub worker: Option<String>,
    /// Is a thread of the kernel.
    pub kernel_thread: bool,
    /// Arguments, joined by spaces.
    pub command: Option<String>,
    /// Command line arguments.
    pub args: Vec<String>,
    /// There were more than could be kept.
    pub args_truncated: bool,
    /// Path of the executable.
    pub exe: Option<String>,
    /// systemd unit or scope.
    pub unit: Option<String>,
    /// Lines of `/proc/<pid>/cgroup`.
    pub cgroup: Vec<String>,
    /// Process id of the parent.
    pub parent_pid: Option<u32>,
    /// Wall clock when it started, RFC 3339, UTC.
    pub started: String,
    /// `CLOCK_BOOTTIME` when it started.
    pub start_boottime_ns: u64,
    /// From its start to its exit or the end of the window.
    pub age_ns: u64,
    /// Wall clock when its group leader exited.
    pub exited: Option<String>,
    /// What it is for; `null` for any other program.
    pub role: Option<Role>,
    /// The pod it is in.
    pub pod: Option<Pod>,
}

/// What one actor did on one device with one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActorUse {
    /// Id of the device.
    pub device: String,
    /// Operation of these requests.
    pub op: Op,
    /// Requests that ended.
    pub ops: u64,
    /// Bytes that ended.
    pub bytes: u64,
    /// Sum of issued - queued.
    pub queue_ns: u64,
    /// Sum of completed - issued.
    pub device_ns: u64,
    /// Sum of completed - queued.
    pub total_ns: u64,
    /// `device_ns` as a share of all actors' on this device.
    pub device_share: Option<f64>,
    /// Time the device worked for these alone, as far as the order of completions tells: sum of completed -
    /// max(queued, last completion on the device before), of requests of at least 0.5 ms.
    pub service_ns: u64,
    /// Longest completed - queued.
    pub slowest_ns: u64,
    /// Requests that were slow.
    pub slow_ops: u64,
    /// Requests that overlapped a discard.
    pub exposed_ops: u64,
    /// Requests that were both.
    pub exposed_slow_ops: u64,
    /// Sum of completed - queued of the exposed.
    pub exposed_total_ns: u64,
    /// Time of these requests during which a discard was in flight.
    pub overlap_ns: u64,
    /// For whom, where the kernel says that: of a thread of the kernel, the control groups its requests were
    /// charged to, most bytes first. The root group is not among them. `null` when the kernel does not tell.
    pub owners: Option<Vec<UseOwner>>,
}

/// A control group that a thread of the kernel worked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UseOwner {
    /// Its path in the hierarchy of the I/O controller; `null` when it was gone at the end.
    pub cgroup: Option<String>,
    /// Inode number of its directory.
    pub cgroup_id: u64,
    /// Requests that ended.
    pub ops: u64,
    /// Bytes that ended.
    pub bytes: u64,
}
