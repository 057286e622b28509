//! What happened in one snapshot interval.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Op, Reason};

/// What happened in one snapshot interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// `CLOCK_MONOTONIC` at its start.
    pub start_ns: u64,
    /// `CLOCK_MONOTONIC` at its end.
    pub end_ns: u64,
    /// Device and operation with at least one completion.
    pub operations: Vec<IntervalDevice>,
    /// Devices with a discard in flight at some time.
    pub discards: Vec<IntervalDiscards>,
    /// Actor, device and operation with at least one completion.
    pub uses: Vec<IntervalUse>,
    /// Threads in D at some time in it, of the first 64 of `blocked`.
    #[serde(default)]
    pub blocked: Vec<IntervalBlocked>,
    /// Tasks in D at the end of the interval since at least `settings.stack_min_ns`; `null` when the kernel does not tell.
    pub blocked_tasks: Option<u32>,
}

/// One device and operation in an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalDevice {
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
    /// Median of completed - queued.
    pub p50_ns: u64,
    /// 99th percentile of completed - queued.
    pub p99_ns: u64,
    /// How many took how long, completed - queued: pairs of a bucket and the requests in it, the empty ones left out.
    /// Bucket `b` begins at `512 * 2^(b / 2)` ns, half as much again when `b` is odd; 0 at 0, 1 at 512 ns.
    /// `null` in captures of a version that did not keep them.
    #[serde(default)]
    pub total_counts: Option<Vec<(u8, u32)>>,
}

/// Discards on a device in an interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalDiscards {
    /// Id of the device.
    pub device: String,
    /// Time with at least one in flight.
    pub busy_ns: u64,
    /// The same as a share of the interval.
    pub busy_share: Option<f64>,
    /// In flight at the end.
    pub in_flight: u32,
}

/// One actor, device and operation in an interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalUse {
    /// Id of the actor.
    pub actor: u32,
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
    /// `device_ns` as a share of all actors' on this device in this interval.
    pub device_share: Option<f64>,
    /// Time the device worked for these alone, as in `actors[].uses[]`.
    pub service_ns: u64,
}

/// One thread in D in an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalBlocked {
    /// Index in `blocked`.
    pub task: u32,
    /// What it waited for the longest.
    pub reason: Reason,
    /// Time in D, of the sleeps that were recorded one by one and of the one that had not ended.
    pub blocked_ns: u64,
}
