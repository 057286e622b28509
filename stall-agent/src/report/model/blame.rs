//! Who delayed whom, in waited time; the method is in `docs/principles.md`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Op, Origin};

/// Who delayed whom on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Blame {
    /// Id of the device.
    pub device: String,
    /// One row for each actor that waited there, the most waiting first.
    pub victims: Vec<BlameRow>,
}

/// What one actor waited on a device, and on whom. `device_ns + own_ns + unexplained_ns` and the `waited_ns` of `by`
/// add up to `waited_ns`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlameRow {
    /// Id of the actor that waited.
    pub actor: u32,
    /// For people.
    pub label: String,
    /// Sum of completed - queued of its reads, writes and empty preflushes.
    pub waited_ns: u64,
    /// Part of it in requests that were slow: the part that can be laid on anyone.
    pub slow_ns: u64,
    /// On the device itself: what is not slow, and what a slow request would take with nobody else there.
    pub device_ns: u64,
    /// On its own other requests.
    pub own_ns: u64,
    /// On requests of which nothing is known.
    pub unexplained_ns: u64,
    /// On others, the most first.
    pub by: Vec<BlameCell>,
}

/// What one actor waited on the requests of another, of one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlameCell {
    /// Id of the actor that was waited on; 1 is the block layer's flush machinery, that works for all who flush.
    pub actor: u32,
    /// For people.
    pub label: String,
    /// Operation of the requests that were waited on.
    pub op: Op,
    /// Of discards, what they were for.
    pub origin: Option<Origin>,
    /// Time waited on them.
    pub waited_ns: u64,
}
