//! Disks, and what the host says of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A whole disk that was seen, or that one seen is stacked on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Disk {
    /// Index used by the other rows of this capture; `None` for a disk that had no requests.
    pub index: Option<u16>,
    /// `disk_name`
    pub name: String,
    pub major: u32,
    pub minor: u32,
    /// Facts from sysfs; `None` when the disk was gone before they were read.
    pub facts: Option<DiskFacts>,
    /// Requests in flight when the hooks were attached, as the kernel counts them.
    pub in_flight_at_start: Option<InFlight>,
    /// The same when they were detached.
    pub in_flight_at_end: Option<InFlight>,
    /// `D(end) - D(start)`: time in the window with at least one discard in flight.
    pub discard_busy_ns: u64,
    /// Discards in flight at the end.
    pub discards_in_flight_at_end: u32,
    /// `/sys/block/*/stat` at the start and the end of the window, as the kernel gives it.
    pub stat_at_start: Option<DiskStat>,
    pub stat_at_end: Option<DiskStat>,
    /// What a stacked device says of itself, at the end of the window.
    #[serde(default)]
    pub state: DeviceState,
}

/// State of a stacked device (`dm/`, `md/`); all `None` for others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DeviceState {
    /// It takes bios without making requests of them: its rows count bios.
    pub bio_based: bool,
    /// Targets of its device mapper table: `linear`, `crypt`, `thin`, `delay` and the like.
    pub mapper_targets: Vec<String>,
    /// `dm/suspended`
    pub suspended: Option<bool>,
    /// Of a thin pool: it is out of space, or in another state in which it takes no writes, in words.
    pub pool_trouble: Option<String>,
    /// `md/sync_action`: `idle`, `resync`, `check`, `recover` and the like.
    pub sync_action: Option<String>,
    /// `md/sync_completed`: sectors done and of how many.
    pub sync_done: Option<(u64, u64)>,
    /// `md/degraded`: missing members.
    pub degraded: Option<u32>,
}

/// `/sys/block/*/inflight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InFlight {
    pub reads: u64,
    /// All that is not a read.
    pub writes: u64,
}

/// `/sys/block/*/stat` (Documentation/block/stat.rst); `None` for fields this kernel lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiskStat {
    pub reads: u64,
    pub read_merges: u64,
    pub read_sectors: u64,
    pub read_ms: u64,
    pub writes: u64,
    pub write_merges: u64,
    pub write_sectors: u64,
    pub write_ms: u64,
    pub in_flight: u64,
    pub io_ms: u64,
    pub queue_ms: u64,
    pub discards: Option<u64>,
    pub discard_merges: Option<u64>,
    pub discard_sectors: Option<u64>,
    pub discard_ms: Option<u64>,
    pub flushes: Option<u64>,
    pub flush_ms: Option<u64>,
}

/// What sysfs and mountinfo say of a disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DiskFacts {
    pub model: Option<String>,
    pub serial: Option<String>,
    pub vendor: Option<String>,
    pub size_bytes: Option<u64>,
    pub rotational: Option<bool>,
    pub scheduler: Option<String>,
    /// `queue/nr_requests`
    pub queue_depth: Option<u64>,
    /// `queue/write_cache`: `write back` or `write through`
    pub write_cache: Option<String>,
    pub logical_block_bytes: Option<u64>,
    pub discard_granularity_bytes: Option<u64>,
    pub discard_max_bytes: Option<u64>,
    pub discard_max_hw_bytes: Option<u64>,
    /// `wbt_lat_usec`, 0 is off.
    pub writeback_throttling_us: Option<u64>,
    pub iostats: Option<bool>,
    /// Name of the driver, from `device/driver`.
    pub driver: Option<String>,
    pub partitions: Vec<Partition>,
    /// Names of the devices this one is made of (`slaves/`).
    pub made_of: Vec<String>,
    /// Names of the devices made of this one or of its partitions (`holders/`).
    pub used_by: Vec<String>,
    /// Of a loop device, the file behind it.
    pub backing_file: Option<String>,
    /// Mounts of the whole disk; those of partitions are with these.
    pub mounts: Vec<Mount>,
    /// How it is attached: `nvme`, `iscsi`, `sata` and the like.
    #[serde(default)]
    pub transport: Option<String>,
    /// Name of the iSCSI target.
    #[serde(default)]
    pub iscsi_target: Option<String>,
    /// `dm/name` and `dm/uuid`.
    #[serde(default)]
    pub mapper_name: Option<String>,
    #[serde(default)]
    pub mapper_uuid: Option<String>,
    /// `md/level`
    #[serde(default)]
    pub raid_level: Option<String>,
    /// On the whole disk, without partitions.
    #[serde(default)]
    pub contents: Contents,
    /// Number of the block device that holds the filesystem with `backing_file`.
    #[serde(default)]
    pub backing_device: Option<(u32, u32)>,
}

/// What a disk or partition holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contents {
    /// `ext4`, `crypto_LUKS`, `LVM2_member` and the like.
    pub filesystem: Option<String>,
    pub label: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Partition {
    pub name: String,
    pub major: u32,
    pub minor: u32,
    pub number: Option<u32>,
    pub start_sector: Option<u64>,
    pub size_bytes: Option<u64>,
    pub mounts: Vec<Mount>,
    /// Names of the devices made of it.
    pub used_by: Vec<String>,
    #[serde(default)]
    pub contents: Contents,
}

/// A line of mountinfo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mount {
    pub mount_point: String,
    /// The part of the filesystem that is mounted; `/` is all of it.
    pub root: String,
    pub filesystem: String,
    pub source: String,
    /// Mount and superblock options, comma-separated each.
    pub options: String,
    pub super_options: String,
}
