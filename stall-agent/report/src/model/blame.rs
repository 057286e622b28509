//! Who delayed whom on a device; the method is in `docs/principles.md`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Op, Origin};

/// Who delayed whom on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Blame {
    /// Id of the device.
    pub device: String,
    /// Time a request needs there when nothing else does, by operation: what is never attributed to others.
    pub usual: Vec<BlameUsual>,
    /// One row for each actor that waited in slow requests, the most waiting first.
    pub victims: Vec<BlameRow>,
}

/// What an operation takes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlameUsual {
    /// Operation these figures are of.
    pub op: Op,
    /// First percentile of its time at the device; of fsync requests, of the flushes.
    pub device_ns: u64,
}

/// What one actor waited for: `waited_ns` is the sum of `fast_ns`, `device_ns`, `own_ns`, `unexplained_ns` and all of
/// `by`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlameRow {
    /// Id of the actor.
    pub actor: u32,
    /// Name of the actor that waited, for people.
    pub label: String,
    /// Sum of completed - queued of its reads, writes and fsync requests that ended.
    pub waited_ns: u64,
    /// Part of it waited in requests that were not slow: attributed to nobody.
    pub fast_ns: u64,
    /// Waited for the device itself.
    pub device_ns: u64,
    /// Waited for its own other requests.
    pub own_ns: u64,
    /// Waited for requests whose submitter is not known, or in requests not recorded one by one of an operation of
    /// which none was.
    pub unexplained_ns: u64,
    /// Waited for requests of others, the most first.
    pub by: Vec<BlameCell>,
    /// Part of the slow requests' wait during which the device flushed its cache, on whoever it is laid; not to be
    /// added to the others.
    pub flush_ns: u64,
    /// Its slow requests.
    pub slow_ops: u64,
    /// Those recorded one by one, which stand for all.
    pub recorded_ops: u64,
}

/// What one actor waited for another's requests of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlameCell {
    /// Id of the actor whose requests the device worked for.
    pub actor: u32,
    /// Name of the actor whose requests were waited for, for people.
    pub label: String,
    /// Operation of the requests that were waited for.
    pub op: Op,
    /// Of discards: what they were for, when they were all for the same.
    pub origin: Option<Origin>,
    /// Time waited for them.
    pub waited_ns: u64,
}
