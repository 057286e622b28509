//! What happened from one snapshot to the next.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Op;

/// What happened from one snapshot to the next.
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
    /// Tasks in D at the end of the interval since at least `settings.stack_min_ns`.
    pub blocked_tasks: u32,
}

/// One device and operation in an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalDevice {
    /// Id of the device.
    pub device: String,
    /// Operation.
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
    /// Operation.
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
