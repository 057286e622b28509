//! Single requests worth showing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Op;

/// Single requests worth showing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// Had not ended at the end of the window, oldest first.
    pub unfinished: Vec<UnfinishedRequest>,
    /// Submitted before the first hook, by device and operation.
    pub older_than_trace: Vec<OlderRequests>,
    /// The slowest of the slow requests that were recorded one by one, at most 50, slowest first.
    pub slowest: Vec<Request>,
    /// How many slow requests were recorded one by one.
    pub slow_recorded: u64,
}

/// A request that had not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnfinishedRequest {
    /// Id of the device.
    pub device: String,
    /// Id of the actor.
    pub actor: u32,
    /// Thread that submitted it.
    pub tid: u32,
    /// Operation of the request.
    pub op: Op,
    /// Length of the request.
    pub bytes: u64,
    /// First sector, 512 bytes each; `null` for what has none, as an empty flush.
    pub sector: Option<u64>,
    /// `CLOCK_MONOTONIC` when it was submitted.
    pub queued_ns: u64,
    /// `CLOCK_MONOTONIC` when it was issued; `null` when it was not.
    pub issued_ns: Option<u64>,
    /// From its submission to the end of the window: a lower bound of its latency.
    pub age_ns: u64,
    /// Times it was requeued; `null` when the kernel does not tell.
    pub requeues: Option<u16>,
    /// Submitted before the first hook: `queued_ns` is the kernel's own stamp.
    pub older: bool,
    /// Index of the stack it was submitted from.
    pub stack: Option<usize>,
}

/// Requests submitted before the first hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OlderRequests {
    /// Id of the device.
    pub device: String,
    /// Operation of these requests.
    pub op: Op,
    /// Those that ended in the window.
    pub ended: u64,
    /// Those that did not.
    pub unfinished: u64,
}

/// A request that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// Id of the device.
    pub device: String,
    /// Id of the actor.
    pub actor: u32,
    /// Thread that submitted it.
    pub tid: u32,
    /// Operation of the request.
    pub op: Op,
    /// Length of the request.
    pub bytes: u64,
    /// First sector, 512 bytes each; `null` for what has none, as an empty flush.
    pub sector: Option<u64>,
    /// `CLOCK_MONOTONIC` when it was submitted.
    pub queued_ns: u64,
    /// issued - queued; `null` when it was never issued.
    pub queue_ns: Option<u64>,
    /// completed - issued; `null` when it was never issued.
    pub device_ns: Option<u64>,
    /// completed - queued
    pub total_ns: u64,
    /// Time during which a discard was in flight on its device.
    pub overlap_ns: u64,
    /// Times it was requeued; `null` when the kernel does not tell.
    pub requeues: Option<u16>,
    /// Submitted before the first hook: `queued_ns` is the kernel's own stamp.
    pub older: bool,
}
