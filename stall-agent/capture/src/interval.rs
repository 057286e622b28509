//! What happened in one snapshot interval.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Op;

/// What happened in one snapshot interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    pub start_ns: u64,
    pub end_ns: u64,
    /// Disk x operation with at least one completion.
    pub series: Vec<IntervalSeries>,
    /// Disks with a discard in flight at some time.
    pub discards: Vec<IntervalDiscards>,
    /// Actor x disk x operation with at least one completion.
    pub uses: Vec<IntervalUse>,
    /// What the kernel's own counters say of each disk, also of those without a request in it.
    #[serde(default)]
    pub disks: Vec<IntervalDisk>,
    /// Tasks in D at the end of the interval for at least `stack_min_ns`.
    pub blocked_tasks: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalSeries {
    pub disk: u16,
    pub op: Op,
    pub ops: u64,
    pub bytes: u64,
    pub queue_ns: u64,
    pub device_ns: u64,
    /// Median and 99th percentile of totals.
    pub p50_ns: u64,
    pub p99_ns: u64,
    /// Totals by wide bucket of `stall_common::histogram`, the empty ones left out; `None` in captures of a version that
    /// did not keep them.
    #[serde(default)]
    pub total_counts: Option<Vec<(u8, u32)>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalDiscards {
    pub disk: u16,
    /// Time with at least one in flight.
    pub busy_ns: u64,
    /// In flight at the end.
    pub in_flight: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalUse {
    pub actor: u32,
    pub disk: u16,
    pub op: Op,
    pub ops: u64,
    pub bytes: u64,
    pub queue_ns: u64,
    pub device_ns: u64,
    /// As in [`super::Use`].
    #[serde(default)]
    pub service_ns: u64,
    /// `None` in captures of version 1.
    #[serde(default)]
    pub waited: Option<IntervalWaited>,
}

/// What the requests of an [`IntervalUse`] took, as in [`super::Use`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalWaited {
    pub total_ns: u64,
    pub slow_ops: u64,
    pub slow_total_ns: u64,
    /// Time of these requests during which a discard was in flight on their disk.
    pub overlap_ns: u64,
}

/// `/sys/block/*/{inflight,stat}` of one disk at the end of an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntervalDisk {
    pub disk: u16,
    pub in_flight: super::InFlight,
    /// Reads, writes, discards and flushes that ended in the interval.
    pub ended: u64,
    /// Time in the interval with something in flight, milliseconds (`io_ticks`).
    pub busy_ms: u64,
}
