//! Requests: sums by disk, actor and operation, and the single ones that were recorded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a request asks for; see `stall_common::request::Op`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Read,
    /// Writes with data that somebody waits for (`REQ_SYNC`); in captures of version 1 all writes with data.
    Write,
    /// Empty writes with `REQ_PREFLUSH`: an fsync waiting for the device's cache.
    Preflush,
    /// The block layer's own flush requests.
    Flush,
    Discard,
    SecureErase,
    WriteZeroes,
    Other,
    /// Writes with data without `REQ_SYNC`: writeback. Nobody waits for one by itself.
    AsyncWrite,
    /// Reads with `REQ_RAHEAD`: all that the page cache reads at once, also where somebody waits for the first page of
    /// them. That wait is not these requests' time but the sleep of the task.
    ReadAhead,
}

impl From<stall_common::request::Op> for Op {
    fn from(op: stall_common::request::Op) -> Self {
        use stall_common::request::Op as Abi;
        match op {
            Abi::Read => Self::Read,
            Abi::Write => Self::Write,
            Abi::Preflush => Self::Preflush,
            Abi::Flush => Self::Flush,
            Abi::Discard => Self::Discard,
            Abi::SecureErase => Self::SecureErase,
            Abi::WriteZeroes => Self::WriteZeroes,
            Abi::Other => Self::Other,
            Abi::AsyncWrite => Self::AsyncWrite,
            Abi::ReadAhead => Self::ReadAhead,
        }
    }
}

/// Operations whose latency somebody waits for: the block layer's own flushes are waited for as the
/// fsync requests of their callers, and discards are what is suspected.
#[must_use]
pub const fn is_waited_for(op: Op) -> bool {
    match op {
        Op::Read | Op::Write | Op::Preflush => true,
        Op::Flush
        | Op::Discard
        | Op::SecureErase
        | Op::WriteZeroes
        | Op::Other
        | Op::AsyncWrite
        | Op::ReadAhead => false,
    }
}

/// Operations that move the discard clock.
#[must_use]
pub const fn is_discard(op: Op) -> bool {
    match op {
        Op::Discard | Op::SecureErase => true,
        Op::Read
        | Op::Write
        | Op::Preflush
        | Op::Flush
        | Op::WriteZeroes
        | Op::Other
        | Op::AsyncWrite
        | Op::ReadAhead => false,
    }
}

/// What one actor did on one disk with one operation; counted at completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Use {
    pub actor: u32,
    pub disk: u16,
    pub op: Op,
    pub ops: u64,
    pub bytes: u64,
    pub queue_ns: u64,
    pub device_ns: u64,
    pub total_ns: u64,
    pub slowest_ns: u64,
    pub slow_ops: u64,
    /// Sum of the totals of the slow.
    #[serde(default)]
    pub slow_total_ns: u64,
    /// Sum of the time the disk worked for these alone, as far as the order of completions tells: completed -
    /// max(queued, previous completion on the disk), of requests of at least `stall_common::request::SERVICE_MIN_NS`.
    #[serde(default)]
    pub service_ns: u64,
    /// Requests that overlapped a discard in flight on their disk.
    pub exposed_ops: u64,
    pub exposed_slow_ops: u64,
    pub exposed_total_ns: u64,
    /// Time of these requests during which a discard was in flight.
    pub overlap_ns: u64,
    /// Totals of the exposed, in buckets four times as wide (`stall_common::exposure`).
    #[serde(default)]
    pub exposed_latency: Histogram,
    /// The same of the others.
    #[serde(default)]
    pub unexposed_latency: Histogram,
}

/// What one actor, a thread of the kernel, did on one disk with one operation for one control group; part of
/// the actor's [`Use`]. What it did for the root group, or for nobody, has no row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    pub actor: u32,
    pub disk: u16,
    pub op: Op,
    /// Inode number of the group's directory, in the hierarchy of the I/O controller.
    pub cgroup_id: u64,
    /// Path of the group in its hierarchy, as in `/proc/<pid>/cgroup`; `None` when it was gone when the window ended.
    pub cgroup: Option<String>,
    pub ops: u64,
    pub bytes: u64,
    pub total_ns: u64,
    pub service_ns: u64,
}

/// One disk and operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    pub disk: u16,
    pub op: Op,
    pub ops: u64,
    pub bytes: u64,
    pub queue_ns: u64,
    pub device_ns: u64,
    pub total_ns: u64,
    pub slowest_ns: u64,
    pub queue: Histogram,
    pub device: Histogram,
    pub total: Histogram,
    /// Totals of the requests that overlapped a discard; part of `total`.
    pub exposed: Histogram,
    pub requeues: u64,
    pub merges: u64,
    pub errors: u64,
    pub partial_completions: u64,
    pub sequenced_completions: u64,
    pub older_requests: u64,
}

/// Counts by bucket of `stall_common::histogram`, the empty ones left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Histogram(pub Vec<(u16, u64)>);

/// Discards by submitter, disk and stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discards {
    pub actor: u32,
    pub disk: u16,
    pub op: Op,
    /// Index into `stacks`.
    pub stack: Option<usize>,
    pub ops: u64,
    pub bytes: u64,
    pub queue_ns: u64,
    pub device_ns: u64,
    /// Longest completed - issued.
    pub slowest_ns: u64,
    pub first_queued_ns: u64,
    pub last_completed_ns: u64,
}

/// A completed request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndedRequest {
    pub actor: u32,
    pub tid: u32,
    pub disk: u16,
    pub op: Op,
    pub bytes: u64,
    /// First sector, of 512 bytes; `None` for what has none, as an empty flush.
    pub sector: Option<u64>,
    pub queued_ns: u64,
    /// `None` when it was never issued (an fsync request).
    pub issued_ns: Option<u64>,
    pub completed_ns: u64,
    pub overlap_ns: u64,
    /// completed - max(queued, previous completion on the disk); 0 when it is not known.
    #[serde(default)]
    pub service_ns: u64,
    pub requeues: u16,
    /// Submitted before the first hook; `queued_ns` is the kernel's stamp.
    pub older: bool,
    /// Of discards.
    pub stack: Option<usize>,
    /// How many requests of its disk, actor and operation it stands for; 0 for one that is kept because it was
    /// among the longest, beside the sample. 1 in captures of version 1.
    #[serde(default = "itself")]
    pub stands_for: f64,
}

const fn itself() -> f64 {
    1.0
}

/// A request that had not ended when the hooks were detached: its age is a lower bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnfinishedRequest {
    pub actor: u32,
    pub tid: u32,
    pub disk: u16,
    pub op: Op,
    pub bytes: u64,
    /// First sector, of 512 bytes; `None` for what has none, as an empty flush.
    pub sector: Option<u64>,
    pub queued_ns: u64,
    pub issued_ns: Option<u64>,
    pub requeues: u16,
    pub older: bool,
    pub stack: Option<usize>,
}
