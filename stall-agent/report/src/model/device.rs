//! Disks: what they are, what they are stacked on, and what was measured of each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Distribution, Exposure, Op};

/// A whole disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// How other rows refer to it: its name, made unique when two disks of the trace shared one.
    pub id: String,
    /// The kernel's name.
    pub name: String,
    /// Major device number.
    pub major: u32,
    /// Minor device number.
    pub minor: u32,
    /// Whether requests to it were traced.
    pub traced: bool,
    /// Model, as the device says.
    pub model: Option<String>,
    /// Serial number of the disk.
    pub serial: Option<String>,
    /// Vendor of the disk.
    pub vendor: Option<String>,
    /// Name of the driver.
    pub driver: Option<String>,
    /// Size of the disk.
    pub size_bytes: Option<u64>,
    /// Has platters, or says so.
    pub rotational: Option<bool>,
    /// Limits and settings of its queue.
    pub queue: Queue,
    /// Mounts of the whole disk.
    pub mounts: Vec<Mount>,
    /// Partitions of the disk.
    pub partitions: Vec<Partition>,
    /// Of a loop device, the file behind it.
    pub backing_file: Option<String>,
    /// Name of the disk or partition whose filesystem holds that file.
    pub backing_device: Option<String>,
    /// How it is attached.
    pub transport: Option<String>,
    /// Name of its iSCSI target.
    pub iscsi_target: Option<String>,
    /// The Longhorn volume it is.
    pub volume: Option<String>,
    /// Name in the device mapper.
    pub mapper_name: Option<String>,
    /// What the device mapper made it for.
    pub mapper_kind: Option<MapperKind>,
    /// RAID level of an md array.
    pub raid_level: Option<String>,
    /// What the whole disk holds.
    pub filesystem: Option<String>,
    /// Label of that.
    pub label: Option<String>,
    /// Where it stands in a stack of devices.
    pub layer: Layer,
    /// Names of devices and partitions it is made of.
    pub made_of: Vec<String>,
    /// Names of devices made of it or of its partitions.
    pub used_by: Vec<String>,
    /// Ids of the disks at the bottom of what it is made of; itself when it is made of none.
    pub bottom: Vec<String>,
    /// The same, followed through the files behind loop devices too.
    pub physical: Vec<String>,
    /// Whether it was slow for those who used it.
    pub stall: Option<Stall>,
    /// Time with discards in flight.
    pub discard_clock: DiscardClock,
    /// All victims on it together: with and without a discard in flight.
    pub exposure: Option<Exposure>,
    /// What was measured, by operation.
    pub operations: Vec<Operation>,
    /// Requests in flight when the hooks were attached, as the kernel counts them.
    pub in_flight_at_start: Option<InFlight>,
    /// The same when they were detached.
    pub in_flight_at_end: Option<InFlight>,
    /// What the kernel itself counted over the window.
    pub kernel_counters: Option<Counters>,
}

/// Limits and settings of a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// I/O scheduler.
    pub scheduler: Option<String>,
    /// Requests it holds.
    pub depth: Option<u64>,
    /// `write back` or `write through`.
    pub write_cache: Option<String>,
    /// Logical block size.
    pub logical_block_bytes: Option<u64>,
    /// Smallest unit of a discard.
    pub discard_granularity_bytes: Option<u64>,
    /// Largest discard the kernel sends.
    pub discard_max_bytes: Option<u64>,
    /// Largest discard the device takes.
    pub discard_max_hw_bytes: Option<u64>,
    /// Target latency of writeback throttling; 0 is off.
    pub writeback_throttling_ns: Option<u64>,
    /// Whether the kernel counts I/O of it.
    pub iostats: Option<bool>,
}

/// Where a device stands in a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Nothing below it is a disk of this host.
    Bottom,
    /// Made of other disks or of a file.
    Stacked,
    /// What it is made of could not be read.
    Unknown,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Partition {
    /// The kernel's name.
    pub name: String,
    /// Major device number.
    pub major: u32,
    /// Minor device number.
    pub minor: u32,
    /// Number in the partition table.
    pub number: Option<u32>,
    /// Where it starts on the disk.
    pub start_bytes: Option<u64>,
    /// Size of the partition.
    pub size_bytes: Option<u64>,
    /// Where it is mounted.
    pub mounts: Vec<Mount>,
    /// Names of devices made of it.
    pub used_by: Vec<String>,
    /// What it holds.
    pub filesystem: Option<String>,
    /// Label of that.
    pub label: Option<String>,
}

/// What a device of the device mapper was made for, by the beginning of its uuid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MapperKind {
    /// Encryption.
    Crypt,
    /// LVM.
    Lvm,
    /// Several paths to one disk.
    Multipath,
    /// A partition.
    Partition,
    /// Anything else.
    Other,
}

/// A mount of a filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mount {
    /// Directory it is mounted on.
    pub mount_point: String,
    /// The part of the filesystem that is mounted; `/` is all.
    pub root: String,
    /// Type of the filesystem.
    pub filesystem: String,
    /// What was named when it was mounted.
    pub source: String,
    /// Options of the mount.
    pub options: String,
    /// Options of the filesystem.
    pub super_options: String,
    /// Mounted with `discard`: frees space by discards as files are deleted.
    pub online_discard: bool,
}

/// Whether a device was slow for those who used it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stall {
    /// A mark for people: the rule is in `docs/report.md`.
    pub stalled: bool,
    /// Reads, writes and fsync requests that count for these rules.
    pub ops: u64,
    /// Those that were slow.
    pub slow_ops: u64,
    /// `slow_ops / ops`
    pub slow_share: Option<f64>,
    /// Time they waited.
    pub waited_ns: u64,
    /// Part of it in slow requests.
    pub slow_waited_ns: u64,
    /// `slow_waited_ns / waited_ns`
    pub slow_waited_share: Option<f64>,
    /// Longest latency of a completed request.
    pub slowest_ns: Option<u64>,
    /// Age of the oldest that had not ended, a lower bound.
    pub oldest_unfinished_ns: Option<u64>,
    /// Flows (one actor, one operation) that were hurt.
    pub hurt_flows: u32,
}

/// Time with discards in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiscardClock {
    /// Time in the window with at least one in flight.
    pub busy_ns: u64,
    /// The same as a share of the window.
    pub busy_share: Option<f64>,
    /// In flight at the end.
    pub in_flight_at_end: u32,
}

/// One operation on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// Operation these figures are of.
    pub op: Op,
    /// Requests that ended.
    pub ops: u64,
    /// Bytes that ended, those of partial completions included.
    pub bytes: u64,
    /// issued - queued
    pub queue: Distribution,
    /// completed - issued
    pub device: Distribution,
    /// completed - queued
    pub total: Distribution,
    /// Totals of the requests that overlapped a discard; `null` for discards themselves.
    pub exposed: Option<Distribution>,
    /// Totals of the others; `null` for discards themselves.
    pub unexposed: Option<Distribution>,
    /// What happens rarely.
    pub events: Events,
}

/// What happens rarely to requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// Requeues; one request may count often. `null` when the kernel does not tell.
    pub requeues: Option<u64>,
    /// Requests merged into another one; `null` when the kernel does not tell.
    pub merges: Option<u64>,
    /// Completions with an error.
    pub errors: u64,
    /// Completions that covered a part.
    pub partial_completions: u64,
    /// Completions of the data part of a sequenced flush or FUA write.
    pub sequenced_completions: u64,
    /// Requests that ended and had been submitted before the first hook; `null` when the kernel does not tell.
    pub older_requests: Option<u64>,
}

/// Requests in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InFlight {
    /// Reads in flight.
    pub reads: u64,
    /// All other requests in flight.
    pub writes: u64,
}

/// What the kernel itself counted over the window: the difference of two readings of `/sys/block/*/stat`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// Reads that ended.
    pub reads: Option<u64>,
    /// Reads merged.
    pub read_merges: Option<u64>,
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Time of reads, summed.
    pub read_ns: Option<u64>,
    /// Writes that ended.
    pub writes: Option<u64>,
    /// Writes merged.
    pub write_merges: Option<u64>,
    /// Bytes written.
    pub write_bytes: Option<u64>,
    /// Time of writes, summed.
    pub write_ns: Option<u64>,
    /// Time with any request in flight.
    pub busy_ns: Option<u64>,
    /// Time of all requests, summed.
    pub weighted_ns: Option<u64>,
    /// Discards that ended.
    pub discards: Option<u64>,
    /// Discards merged.
    pub discard_merges: Option<u64>,
    /// Bytes discarded.
    pub discard_bytes: Option<u64>,
    /// Time of discards, summed.
    pub discard_ns: Option<u64>,
    /// Flushes that ended.
    pub flushes: Option<u64>,
    /// Time of flushes, summed.
    pub flush_ns: Option<u64>,
}
