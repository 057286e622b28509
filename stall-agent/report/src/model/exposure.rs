//! Requests with a discard in flight against requests without; see `docs/principles.md`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Op;

/// An actor that used a device and sent no discards to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Victim {
    /// Id of the device.
    pub device: String,
    /// Id of the actor.
    pub actor: u32,
    /// All its reads, writes and fsync requests there.
    pub all: Exposure,
    /// The same by operation.
    pub by_op: Vec<FlowExposure>,
}

/// One operation of a victim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowExposure {
    /// Operation of this flow.
    pub op: Op,
    /// Counts of its requests.
    pub exposure: Exposure,
}

/// Requests with a discard in flight against requests without.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exposure {
    /// Requests that overlapped a discard.
    pub exposed: Side,
    /// Requests that did not.
    pub unexposed: Side,
    /// Time of the exposed during which a discard was in flight.
    pub overlap_ns: u64,
    /// `overlap_ns` as a share of the time the exposed waited.
    pub overlap_share: Option<f64>,
    /// How many times as often a request was slow with a discard in flight as without.
    pub relative_risk: Option<RelativeRisk>,
    /// Time waited while a discard was in flight, against what as many requests wait while none is.
    pub wait_ratio: Option<f64>,
    /// Time that would not have been waited, never more than `overlap_ns`; negative when the exposed were faster.
    /// `null` without unexposed requests: a comparison with another run supplies it.
    pub excess_ns: Option<i64>,
    /// Part of the slow requests that would not have been slow.
    pub explained_share: Option<f64>,
}

/// Requests on one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Requests that ended.
    pub ops: u64,
    /// Those that were slow.
    pub slow_ops: u64,
    /// Sum of completed - queued.
    pub total_ns: u64,
    /// `total_ns / ops`
    pub mean_ns: Option<u64>,
    /// Median, from buckets whose middle is at most 12.5 % off; so the other percentiles.
    pub p50_ns: Option<u64>,
    /// 90th percentile.
    pub p90_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
}

/// A relative risk with its interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RelativeRisk {
    /// The estimated ratio.
    pub ratio: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Flows it is pooled over.
    pub flows: u32,
    /// The continuity correction was applied.
    pub corrected: bool,
}
