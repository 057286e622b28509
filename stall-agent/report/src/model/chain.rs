//! Chains of waiting: who waited for a lock, for whom, and for what that one waited; the method is in
//! `docs/principles.md`, "Locks and chains".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Op, Origin, Reason};

/// Sleeps on locks that lead the same way. The chains that begin with a process sum to the recorded time it was in D for
/// locks in the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chain {
    /// From the one that waited to the one at whom it ends.
    pub links: Vec<ChainLink>,
    /// Why it ends there.
    pub end: ChainEnd,
    /// Time of the first link's sleeps, in the window, during which the rest was so.
    pub waited_ns: u64,
    /// Sleeps of the first link that led this way, for some of their time at least.
    pub sleeps: u64,
    /// The longest of these times.
    pub longest_ns: u64,
    /// Some of these sleeps had not ended.
    pub unfinished: bool,
}

/// A process in a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChainLink {
    /// Process id of the holder.
    pub pid: u32,
    /// Name of the holder, for people.
    pub label: String,
    /// Id of the actor the process is, when it submitted requests.
    pub actor: Option<u32>,
    /// A thread of the kernel, which works for others.
    pub kernel_thread: bool,
    /// What it slept for, in D, meanwhile; `null` when it was not in a recorded sleep.
    pub reason: Option<Reason>,
    /// The function that decided.
    pub decided_by: Option<String>,
    /// Id of the device on which a slow or unfinished request of its own was there meanwhile.
    pub device: Option<String>,
    /// For whom that device worked most while this process waited for it in slow requests.
    pub delayed_by: Option<ChainDelay>,
}

/// The largest part of what a process waited in slow requests on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChainDelay {
    /// Id of the actor; `null` for the device itself.
    pub actor: Option<u32>,
    /// Name of the actor, for people.
    pub label: String,
    /// Its operation; `null` for the device itself.
    pub op: Option<Op>,
    /// Of discards: what they were for.
    pub origin: Option<Origin>,
    /// Part of the time the process waited in slow requests there.
    pub share: f64,
}

/// Why a chain ends.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ChainEnd {
    /// The last waited for something that is no lock.
    Waits,
    /// The last was in no recorded sleep: it held the lock and ran, or slept shortly or interruptibly.
    Runs,
    /// Who held what the last waited for is not known.
    Unknown,
    /// It would come back to a thread it has passed, or be too long.
    Cut,
}
