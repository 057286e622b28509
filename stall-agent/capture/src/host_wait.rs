//! What may keep a task waiting without a request of its own: limits, frozen filesystems, memory, servers, CPUs;
//! and who made others' work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Process;

/// Facts of the host about waits that no request shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HostWaits {
    /// Who dirtied pages in the window, most bytes first, 64 at most.
    pub dirtied: Vec<Dirtied>,
    /// I/O limits of control groups of processes that are in this capture.
    pub limits: Vec<CgroupLimit>,
    /// Filesystems that were frozen at some look, and on which a task in D had a file open or its working directory.
    pub frozen: Vec<FrozenFilesystem>,
    /// Mounts whose data come from a server: NFS, CIFS, Ceph, 9p, FUSE and the like.
    pub servers: Vec<ServerMount>,
    /// Disks of virtual machines that this host's block layer never sees.
    pub unseen_disks: Vec<UnseenDisk>,
    /// Time that processes of virtual machines and their storage waited for a CPU.
    pub cpu: Vec<CpuWait>,
    /// `None` when `/proc` did not answer.
    pub memory_pressure: Option<MemoryPressure>,
}

/// What one process wrote into the page cache or to a disk (`task_struct.ioac`, `CONFIG_TASK_IO_ACCOUNTING`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dirtied {
    /// Of one that had ended, its name, who started it and its control group; with pid 0, all that ended beyond those that are
    /// kept one by one.
    pub process: Process,
    /// `write_bytes` less `cancelled_write_bytes`, of all its threads, in the window. Direct writes count too.
    pub bytes: u64,
    /// Major and minor of the filesystems on which it had files open for writing when it was looked at, or as it ended, or of block
    /// devices; of one that stacks on another (overlay) both. Empty when nothing is known: it may have closed them.
    #[serde(default)]
    pub devices: Vec<(u32, u32)>,
}

/// One line of a control group's I/O limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CgroupLimit {
    /// Path of the group in its hierarchy.
    pub cgroup: String,
    /// `io.max`, `io.latency`, `blkio.throttle.read_iops_device`, `memory.high` and the like.
    pub file: String,
    pub major: u32,
    pub minor: u32,
    /// The rest of the line: `rbps=max riops=5 wbps=max wiops=max`, or a number.
    pub value: String,
}

/// A filesystem that takes no writes until it is thawed (`super_block.s_writers.frozen`, fsfreeze(8)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FrozenFilesystem {
    pub major: u32,
    pub minor: u32,
    pub mount_points: Vec<String>,
    /// `CLOCK_MONOTONIC` of the first look at which it was frozen; it may have been before.
    pub seen_ns: u64,
    /// It was frozen at the last look too.
    pub at_end: bool,
    /// `CLOCK_MONOTONIC` since when somebody has slept for it: it was frozen by then.
    #[serde(default)]
    pub since_ns: Option<u64>,
}

/// A mount that is served by a server, on the network or in user space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerMount {
    pub mount_point: String,
    pub major: u32,
    pub minor: u32,
    /// `nfs4`, `cifs`, `ceph`, `9p`, `fuse.sshfs`, `virtiofs` and the like.
    pub filesystem: String,
    /// `10.0.0.5:/export`, `//server/share`, or what the server calls itself.
    pub source: String,
}

/// A disk of a virtual machine that is not visible from this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnseenDisk {
    /// The virtual machine's process.
    pub pid: u32,
    pub kind: UnseenKind,
    /// PCI address, socket, image or limit, as the command line or the open file has it.
    pub what: String,
}

/// Why a disk is not visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnseenKind {
    /// A device handed to the guest.
    Vfio,
    /// SPDK or another process serves the guest's queues.
    VhostUser,
    /// A library inside QEMU talks to the server: librbd, libnfs, libiscsi, an NBD client, curl, ssh.
    Library,
    /// An image on a filesystem that a server serves.
    ServedFile,
    /// QEMU itself limits the guest (`throttling.*`, a throttle group).
    Throttled,
    #[default]
    Other,
}

/// Time a process was ready to run and did not (`sched_info.run_delay`, `CONFIG_SCHED_INFO`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CpuWait {
    pub process: Process,
    /// Sum over its threads, in the window.
    pub waited_ns: u64,
    /// Time its threads ran, in the window.
    pub ran_ns: u64,
    /// Threads that were looked at, at both ends.
    pub threads: u32,
    /// The longest wait of one thread.
    pub most_of_one_thread_ns: u64,
}

/// `/proc/pressure/memory` and `/proc/vmstat` over the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPressure {
    /// At least one task was stalled on memory, ns; `None` where the kernel does not count it (`CONFIG_PSI`, or `psi=0`).
    pub some_ns: Option<u64>,
    /// All tasks were, ns.
    pub full_ns: Option<u64>,
    pub pages_swapped_in: u64,
    pub pages_swapped_out: u64,
    /// Pages of files read back in that had been given up shortly before (`workingset_refault_file`).
    pub pages_refaulted: u64,
}
