//! The verdict, with the evidence for and against each hypothesis; the rules are in
//! `docs/principles.md`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Origin, Process, Reason};

/// What it was, and how sure that is. The fields up to `unexplained_devices` are those of the first episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// What it was.
    pub kind: Kind,
    /// How sure that is; `null` when inconclusive.
    pub confidence: Option<Confidence>,
    /// Whether anybody waited; `null` when too much was lost to say.
    pub stalled: Option<bool>,
    /// For people, in one sentence.
    pub sentence: String,
    /// Id of the device.
    pub device: Option<String>,
    /// Mount points of filesystems on it, those the culprit works on first.
    pub mount_points: Vec<String>,
    /// Who did it, the one with the largest share first.
    pub culprits: Vec<Culprit>,
    /// Who waited, the most waiting first.
    pub waiters: Vec<Waiter>,
    /// Stretches of waiting for one cause each, those that cost the most first.
    pub episodes: Vec<Episode>,
    /// Devices on which somebody waited without a cause that could be told.
    pub unexplained_devices: Vec<String>,
    /// What lowered the confidence.
    pub lowered: Vec<Lowered>,
    /// Each explanation, and what speaks for and against it.
    pub hypotheses: Vec<Hypothesis>,
    /// What to do next.
    pub advice: Vec<Advice>,
}

/// A stretch of time in which workloads waited for the same thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Episode {
    /// What it was.
    pub kind: Kind,
    /// How sure that is; `null` when inconclusive.
    pub confidence: Option<Confidence>,
    /// `CLOCK_MONOTONIC` when it began; before the window when what hung is older.
    pub start_ns: u64,
    /// `CLOCK_MONOTONIC` when it ended, or the end of the window.
    pub end_ns: u64,
    /// Wall clock of `start_ns`, RFC 3339, UTC.
    pub started_at: String,
    /// Wall clock of `end_ns`; `null` when it had not ended.
    pub ended_at: Option<String>,
    /// Id of the device; `null` when it is not one.
    pub device: Option<String>,
    /// Time lost by all victims together, within the window.
    pub lost_ns: u64,
    /// Part of what the victims waited that the cause accounts for.
    pub share: Option<f64>,
    /// In one sentence.
    pub sentence: String,
    /// Who did it.
    pub culprits: Vec<Party>,
    /// Workloads that waited.
    pub victims: Vec<Party>,
}

/// A workload: what an operator stops, limits or complains to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Party {
    /// What kind of workload.
    pub kind: PartyKind,
    /// Its name: of the VM, pod, unit or program.
    pub name: String,
    /// Namespace of a VM or pod.
    pub namespace: Option<String>,
    /// Name of the workload, for people.
    pub label: String,
    /// Processes of it that were seen.
    pub processes: u64,
    /// The one of them that was seen first.
    pub main_pid: Option<u32>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Pod, `namespace/name`.
    pub pod: Option<String>,
    /// VM, `namespace/name`.
    pub vm: Option<String>,
    /// Of a culprit, its part of what the victims waited.
    pub share: Option<f64>,
    /// Of a victim, the time it lost.
    pub lost_ns: Option<u64>,
    /// The thread of the kernel that sent the requests for it, when it did not itself.
    pub through: Option<String>,
}

/// What kind of workload.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PartyKind {
    /// A virtual machine.
    Vm,
    /// A pod of Kubernetes.
    Pod,
    /// A systemd service.
    Unit,
    /// Processes of one program.
    Program,
    /// One process.
    Process,
    /// A control group of which no process was seen.
    Cgroup,
    /// A thread of the kernel; for whom it works is not known.
    KernelWorker,
    /// Not known.
    #[default]
    Unknown,
}

/// What it can have been.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A filesystem trim on this host.
    HostTrim,
    /// A guest's own discards on its volume.
    GuestTrim,
    /// Discards of another origin.
    OtherDiscards,
    /// Another workload keeps the disk busy.
    NoisyNeighbor,
    /// Flushes of the device's cache that others ask for.
    Flushes,
    /// A task that holds a lock.
    LockHolder,
    /// The victims wait for their own requests.
    OwnLoad,
    /// All workloads together ask for more than the disk can do; none of them alone.
    Overload,
    /// The device itself is slow, with nobody to blame.
    SlowDevice,
    /// The device does not end any request.
    DeviceHang,
    /// An array resyncs, rebuilds or is checked.
    ArrayResync,
    /// A limit that is set on the victim's control group.
    CgroupLimit,
    /// A filesystem is frozen.
    Frozen,
    /// A device mapper device is suspended.
    Suspended,
    /// Writers are held until dirty pages are written.
    DirtyThrottling,
    /// Memory: reclaim or swap.
    Memory,
    /// A server, a replica or a network above the disks.
    UpstreamStorage,
    /// Ready to run, without a CPU.
    Cpu,
    /// Tasks waited for storage that no hook of this host sees.
    NotVisible,
    /// Nobody waited.
    NoStall,
    /// The evidence does not suffice.
    Inconclusive,
}

/// How sure.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Worth looking at first.
    Low,
    /// Probable.
    Medium,
    /// Sure.
    High,
}

/// A process held responsible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Culprit {
    /// Id of the actor; `null` when it is known by its sleep only.
    pub actor: Option<u32>,
    /// Name of the culprit, for people.
    pub label: String,
    /// The workload it is.
    pub party: Party,
    /// Part of what the victims waited that it accounts for.
    pub share: Option<f64>,
    /// The process, when known; of several the one that did most.
    pub process: Option<Process>,
    /// What its discards were for; `null` when it is not discards that did it.
    pub origin: Option<Origin>,
    /// The function on the stack that decided, or what else did.
    pub decided_by: Option<String>,
    /// Its requests on this device that ended: the discards of this origin; reads and writes of a neighbour; empty
    /// preflushes of who asks for flushes. So for all that follows.
    pub ops: u64,
    /// Bytes of these requests.
    pub bytes: u64,
    /// What others waited for them in slow requests, as the table of who delayed whom says; of flushes it is in the
    /// rows' `flush_ns`; of a lock's holder, what others waited for its locks. `null` without a table of the device.
    pub caused_ns: Option<u64>,
    /// `completed - issued` of them, on average.
    pub mean_device_ns: Option<u64>,
    /// The longest of them.
    pub slowest_ns: Option<u64>,
    /// Those that had not ended.
    pub unfinished_ops: u64,
    /// Age of the oldest of these, a lower bound.
    pub oldest_unfinished_ns: Option<u64>,
    /// Its time in D, all threads; `null` when it was not in D.
    pub sleep: Option<Sleep>,
}

/// Time in D of a process, all threads together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sleep {
    /// In the window.
    pub in_window_ns: u64,
    /// Before the window, of sleeps that reached into it.
    pub before_ns: u64,
    /// `in_window_ns` plus `before_ns`.
    pub total_ns: u64,
    /// In D at the end of the window: the times are lower bounds.
    pub unfinished: bool,
    /// What it waited for the longest.
    pub reason: Reason,
}

/// A process that waited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waiter {
    /// Id of the actor; `null` for tasks that sent no requests.
    pub actor: Option<u32>,
    /// Name of the waiter, for people.
    pub label: String,
    /// The workload it is.
    pub party: Party,
    /// Process id of the waiter.
    pub pid: Option<u32>,
    /// A thread of the kernel, which waits on behalf of others.
    pub kernel_thread: bool,
    /// Id of the device; `null` when the wait is not one for a disk's requests.
    pub device: Option<String>,
    /// Requests that ended.
    pub ops: u64,
    /// Those that were slow.
    pub slow_ops: u64,
    /// Sum of completed - queued.
    pub waited_ns: u64,
    /// Time it would not have waited; `null` when unknown.
    pub excess_ns: Option<i64>,
    /// Mean of its requests with a discard in flight.
    pub exposed_mean_ns: Option<u64>,
    /// Mean of its requests without.
    pub unexposed_mean_ns: Option<u64>,
    /// Requests that had not ended.
    pub unfinished_ops: u64,
    /// Age of the oldest of these, a lower bound.
    pub oldest_unfinished_ns: Option<u64>,
    /// Time in D in the window, all threads; `null` when it was not in D.
    pub blocked_ns: Option<u64>,
}

/// A rule that lowered the confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lowered {
    /// What lowered it.
    pub by: LoweredBy,
    /// Confidence before.
    pub from: Confidence,
    /// Confidence after.
    pub to: Confidence,
    /// The reason, for people.
    pub text: String,
}

/// What lowers confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoweredBy {
    /// The window is short.
    ShortWindow,
    /// Requests were lost.
    LostRequests,
    /// Records of single requests were lost.
    LostRecords,
    /// A hook that was needed is not there.
    MissingHook,
}

/// One explanation, and what speaks for and against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hypothesis {
    /// Which cause was considered.
    pub kind: Kind,
    /// Id of the device; `null` when it is about none.
    pub device: Option<String>,
    /// Origin of the discards, for hypotheses about discards.
    pub origin: Option<Origin>,
    /// Ids of the actors it concerns.
    pub actors: Vec<u32>,
    /// What came of it.
    pub standing: Standing,
    /// When supported: how much the evidence supports.
    pub confidence: Option<Confidence>,
    /// Part of what the victims waited that it accounts for; `null` when that cannot be computed.
    pub score: Option<f64>,
    /// The rule that decided, where one has a name; `null` otherwise.
    #[serde(default)]
    pub rule: Option<String>,
    /// What speaks for it.
    pub evidence_for: Vec<Evidence>,
    /// What speaks against it.
    pub evidence_against: Vec<Evidence>,
}

/// What came of a hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The evidence speaks for it.
    Supported,
    /// Neither.
    Undecided,
    /// The evidence speaks against it.
    Refuted,
}

/// A fact that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Which fact was measured.
    pub fact: Fact,
    /// Its value, in `unit`.
    pub value: Option<f64>,
    /// What it is held against, in `unit`.
    pub bound: Option<f64>,
    /// Unit of the numbers.
    pub unit: Unit,
    /// The fact with its value, for people.
    pub text: String,
}

/// Unit of an evidence's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds, in a report of version 1.
    Ns,
    /// A part of 1.
    Share,
    /// A factor.
    Ratio,
    /// A number of things.
    Count,
}

/// Kinds of facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Part of what the victims waited that is charged to one culprit.
    BlamedShare,
    /// Part of what the victims waited that the cause accounts for, where it is nobody's work.
    ExplainedShare,
    /// Waiting per time with a discard in flight against waiting per time without, inside the run of discards.
    WaitRatio,
    /// Part of the requests that met a discard that were slow.
    Consistency,
    /// Slow requests with a discard in flight.
    ExposedSlow,
    /// Slow requests.
    SlowRequests,
    /// What a report of version 1 held for or against it, told by its text.
    Other,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// When to do it.
    pub when: AdviceWhen,
    /// What to do and why, for people.
    pub text: String,
    /// What to type; `null` when there is nothing to type.
    pub command: Option<String>,
    /// What that changes.
    pub changes: Option<String>,
    /// What it risks.
    pub risk: Option<String>,
    /// What to type to take it back; `null` when there is nothing to take back.
    pub undo: Option<String>,
    /// Where the advice comes from.
    pub source: Option<String>,
}

/// When to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdviceWhen {
    /// At once.
    Now,
    /// To know for sure.
    ToConfirm,
    /// So that it does not come again.
    ForGood,
}
