//! What processes are for, and which pod they are in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pod of Kubernetes, as files on the host name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pod {
    /// Uid of the pod.
    pub uid: Option<String>,
    /// Namespace of the pod.
    pub namespace: Option<String>,
    /// Name of the pod.
    pub name: Option<String>,
    /// The container the process is in.
    pub container: Option<String>,
    /// Id of that container.
    pub container_id: Option<String>,
    /// IP addresses of the pod.
    pub addresses: Vec<String>,
}

/// What a process is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Role {
    /// Which role the process has.
    pub kind: RoleKind,
    /// The virtual machine, `namespace/name`.
    pub vm: Option<String>,
    /// The Longhorn volume.
    pub volume: Option<String>,
    /// A replica's directory, a loop device's file, the disk of a journal, of writeback or of encryption.
    pub object: Option<String>,
}

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleKind {
    /// The monitor of a virtual machine (QEMU).
    Vm,
    /// `KubeVirt`'s virt-launcher.
    VmLauncher,
    /// The controller of a Longhorn volume.
    LonghornEngine,
    /// A replica of a Longhorn volume.
    LonghornReplica,
    /// Maintenance of a Longhorn replica: rebuild, purge, backup, hashing.
    LonghornSyncAgent,
    /// Other daemons of Longhorn.
    Longhorn,
    /// Longhorn's iSCSI target daemon, of all volumes of an instance manager.
    Tgtd,
    /// SPDK's target, of Longhorn's v2 data engine.
    SpdkTarget,
    /// The iSCSI initiator.
    Iscsi,
    /// `fstrim` as `fstrim.service`.
    HostTrim,
    /// `fstrim` from a pod of Longhorn.
    LonghornTrim,
    /// `fstrim` by anybody else.
    Trim,
    /// etcd.
    Etcd,
    /// RKE2 or k3s.
    Kubernetes,
    /// containerd and its shims.
    Containerd,
    /// kubelet.
    Kubelet,
    /// Makes or wipes a filesystem.
    Format,
    /// A filesystem's journal.
    Journal,
    /// Writes back what others wrote.
    Writeback,
    /// Works for a loop device.
    LoopWorker,
    /// Encrypts or decrypts (dm-crypt).
    CryptWorker,
    /// Writes the inode tables that mkfs left out (ext4lazyinit).
    InodeTables,
    /// Resyncs, checks, rebuilds or reshapes a RAID.
    RaidSync,
    /// Sends what a RAID is asked for to its members.
    RaidWorker,
    /// Copies for a snapshot, a mirror or a cache (kcopyd).
    CopyWorker,
    /// Works for a thin pool.
    ThinWorker,
    /// Sends what a limit of a control group held back (kthrotld).
    ThrottleWorker,
    /// Makes room in memory: swaps out, and writes back (kswapd).
    Reclaim,
    /// A filesystem's own work in the background: XFS, btrfs.
    FilesystemWorker,
    /// Another thread of the kernel.
    KernelWorker,
}
