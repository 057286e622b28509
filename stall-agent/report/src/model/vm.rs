//! Virtual machines: their disks, and the latency of these, layer by layer down to the physical disk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Op, Pod};

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Vm {
    /// Namespace of Kubernetes.
    pub namespace: Option<String>,
    /// Name of the VM.
    pub name: Option<String>,
    /// For people: `default/kube-master-01`.
    pub label: String,
    /// Process id of its monitor (QEMU).
    pub pid: u32,
    /// Id of the actor the monitor is.
    pub actor: Option<u32>,
    /// Pod that runs the VM.
    pub pod: Option<Pod>,
    /// Disks of the VM.
    pub disks: Vec<VmDisk>,
}

/// A disk of a virtual machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VmDisk {
    /// What the monitor calls it, in its own mount namespace.
    pub path: String,
    /// Major number of the device it has open.
    pub major: u32,
    /// Minor device number.
    pub minor: u32,
    /// Id of that device.
    pub device: Option<String>,
    /// The Longhorn volume.
    pub volume: Option<String>,
    /// Which engine serves the volume.
    pub data_engine: Option<DataEngine>,
    /// Goes through dm-crypt.
    pub encrypted: Option<bool>,
    /// The volume's controller process.
    pub engine_pid: Option<u32>,
    /// Replicas whose processes are on this host.
    pub replicas: Vec<VmReplica>,
    /// Addresses of the replicas the controller was started with.
    pub replica_addresses: Vec<ReplicaAddress>,
    /// Ids of the physical disks on this host that hold its data.
    pub physical: Vec<String>,
    /// Latencies, from the guest's requests down to the physical disks.
    pub layers: Vec<VmLayer>,
}

/// Longhorn's data engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataEngine {
    /// iSCSI, controller and replica processes.
    V1,
    /// SPDK: what is behind the device is unknown.
    V2,
}

/// A replica on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VmReplica {
    /// Process id of the replica.
    pub pid: u32,
    /// Id of the actor it is.
    pub actor: Option<u32>,
    /// Its directory on the host.
    pub directory: Option<String>,
    /// Name of the partition or disk that holds it.
    pub device: Option<String>,
    /// Where that is mounted.
    pub mount_point: Option<String>,
    /// `volume.meta` says that it is being rebuilt.
    pub rebuilding: Option<bool>,
    /// `volume.meta` names an error.
    pub error: Option<String>,
}

/// Where a controller reaches a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaAddress {
    /// As the controller has it.
    pub address: String,
    /// On this host.
    pub local: Option<bool>,
}

/// Latency of one operation at one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VmLayer {
    /// Which layer of the storage.
    pub layer: LayerKind,
    /// Id of the device.
    pub device: String,
    /// Id of the actor whose requests these are; `null` for those of all.
    pub actor: Option<u32>,
    /// Operation these figures are of.
    pub op: Op,
    /// Requests that ended.
    pub ops: u64,
    /// Those that were slow.
    pub slow_ops: u64,
    /// Mean of completed - queued.
    pub mean_ns: Option<u64>,
    /// Median latency.
    pub p50_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Longest latency.
    pub slowest_ns: u64,
}

/// A layer on the way from a guest to a physical disk.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// The monitor's own requests.
    Guest,
    /// All requests of the device the monitor has open and of those it is made of.
    Volume,
    /// Requests of the local replica on its physical disk.
    Replica,
    /// All requests of the physical disk.
    Physical,
}
