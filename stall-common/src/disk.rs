//! Disks, and what is counted per disk and operation.

use crate::histogram::BUCKETS;
use crate::request::OP_PLACES;

/// Disks tracked in one trace.
pub const MAX_DISKS: usize = 512;
/// `DISK_NAME_LEN`.
pub const NAME_LEN: usize = 32;
/// Index of a disk that is not to be traced, and of what is sent to no disk.
pub const FILTERED: u32 = u32::MAX;
/// Index of a disk that is to be traced, and for which there is no room.
pub const NO_ROOM: u32 = u32::MAX - 1;

/// Value of `DISKS`; the key is the address of the `struct gendisk`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Disk {
    /// Index, [`FILTERED`] or [`NO_ROOM`].
    pub index: u32,
    /// `major << 20 | minor`, to tell a `gendisk` allocated where another one was.
    pub dev: u32,
}

/// Element of `DISK_STATES`, by the disk's index.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DiskState {
    /// The discard clock, see [`crate::discard`].
    pub discard_clock: u64,
    /// Discards in flight now.
    pub discards_in_flight: u64,
    /// Index of the [`Series`] of each operation plus one; 0 before the first request.
    pub series: [u32; OP_PLACES],
    /// What happens rarely, per operation.
    pub events: [Events; OP_PLACES],
}

/// Counts of what happens rarely to requests of one disk and operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Requests requeued; one request may count often.
    pub requeues: u64,
    /// Requests merged into another one and thereby retired.
    pub merges: u64,
    /// Completions with an error status.
    pub errors: u64,
    /// Completions that covered a part of what was left.
    pub partial: u64,
    /// Completions of the data part of a sequenced flush or FUA write, which are not its end.
    pub sequenced: u64,
    /// Completed requests whose submission was not seen.
    pub older: u64,
}

/// The latencies kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// issued - queued
    Queue = 0,
    /// completed - issued
    Device = 1,
    /// completed - queued
    Total = 2,
    /// completed - queued, of the requests that overlapped a discard
    Exposed = 3,
}

/// Number of [`Latency`] kinds.
pub const LATENCIES: usize = 4;

/// Series that have copies ([`crate::copies`]).
pub const SERIES_COPIED: u32 = 64;

/// Element of `SERIES`: one disk, one operation, in one copy.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// Requests completed that no row of uses counted; the rows' sums come on top ([`crate::uses::Use`]).
    pub ops: u64,
    /// Bytes of these, those of partial completions included.
    pub bytes: u64,
    /// Sum of issued - queued.
    pub queue_ns: u64,
    /// Sum of completed - issued.
    pub device_ns: u64,
    /// Sum of completed - queued of those that were not seen being issued.
    pub unissued_ns: u64,
    /// Longest completed - queued of all.
    pub slowest_ns: u64,
    /// Bucket counts of all by [`Latency`]; they wrap at 2^32 and are read as differences.
    pub histograms: [[u32; BUCKETS]; LATENCIES],
}

/// `major << 20 | minor`, the kernel's own `dev_t` (include/linux/kdev_t.h).
#[inline(always)]
#[must_use]
pub const fn dev(major: u32, minor: u32) -> u32 {
    (major << 20) | (minor & 0xf_ffff)
}

crate::abi!(
    Disk: 8,
    Events: 48,
    DiskState: 16 + 4 * OP_PLACES + 48 * OP_PLACES,
    Series: 48 + 4 * BUCKETS * LATENCIES,
);
