//! Discards by submitter, device and what they were for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Op;

/// Discards of one submitter on one device for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiscardGroup {
    /// Id of the device.
    pub device: String,
    /// Id of the actor.
    pub actor: u32,
    /// Discard or secure erase.
    pub op: Op,
    /// What they were for.
    pub origin: Origin,
    /// The function on the stack that decided, or what else did.
    pub decided_by: Option<String>,
    /// The origin is not read from the submitter's stack but inferred from a task's sleep.
    pub inferred: bool,
    /// Of inferred ones: from the submission of the oldest unfinished one until that task fell asleep, in the sleep it
    /// is still in.
    #[serde(default)]
    pub inferred_gap_ns: Option<u64>,
    /// What the origin concerns: the file behind a loop device.
    pub object: Option<String>,
    /// Discards that ended.
    pub ops: u64,
    /// Bytes that ended.
    pub bytes: u64,
    /// Sum of issued - queued.
    pub queue_ns: u64,
    /// Sum of completed - issued.
    pub device_ns: u64,
    /// `device_ns / ops`; `null` when their issue was not seen.
    pub mean_device_ns: Option<u64>,
    /// Longest completed - issued; `null` when their issue was not seen.
    pub slowest_ns: Option<u64>,
    /// Discards that had not ended at the end of the window.
    pub unfinished_ops: u64,
    /// Age of the oldest of these, a lower bound.
    pub oldest_unfinished_ns: Option<u64>,
    /// `CLOCK_MONOTONIC` when the first was submitted.
    pub first_queued_ns: Option<u64>,
    /// `CLOCK_MONOTONIC` when the last ended.
    pub last_completed_ns: Option<u64>,
    /// Indices of the stacks they were submitted from.
    pub stacks: Vec<usize>,
}

/// What discards were for, decided by the stack of the submitter.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// FITRIM: `fstrim`, under whatever name.
    FilesystemTrim,
    /// A mounted filesystem frees space as files are deleted (mount option `discard`).
    OnlineDiscard,
    /// `blkdiscard`: a whole device or a range of it.
    Blkdiscard,
    /// A program that makes a filesystem or wipes one.
    Mkfs,
    /// QEMU: the guest discards.
    Guest,
    /// Another program asks the device directly.
    OtherProgram,
    /// Swap space.
    Swap,
    /// A loop device passes a discard down to its file.
    LoopDevice,
    /// Device mapper or RAID, on its own account.
    StackedDevice,
    /// The host exports the device to another machine, which discards.
    StorageTarget,
    /// The stack tells nothing, or could not be taken.
    Unknown,
}
