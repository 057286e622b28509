//! The comparison as data, each field of which is defined in `docs/comparison.md`. Ratios are after / before; what is
//! not known is `null`, never 0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use stall_report::model::{Confidence, Kind, Op, Origin, RelativeRisk};

/// Value of [`Comparison::schema`].
pub const SCHEMA: &str = "stall-agent/comparison/1";

/// Two runs, before and after something was stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Name and version of this format.
    pub schema: String,
    /// Whether the cause is confirmed.
    pub verdict: Outcome,
    /// Version of the program that compared.
    pub compared_by: String,
    /// The run before.
    pub before: Run,
    /// The run after.
    pub after: Run,
    /// What is suspected, and what it did; `null` when the verdict of `before` names nobody
    /// for the use of a disk.
    pub suspect: Option<Suspect>,
    /// What decided, on the suspect's disk; `null` when there is none on both sides.
    pub load: Option<Load>,
    /// Disks on either side.
    pub disks: Vec<DiskChange>,
    /// Virtual machines on either side.
    pub vms: Vec<VmChange>,
    /// Processes on either side that used disks or were in D.
    pub parties: Vec<PartyChange>,
}

impl Comparison {
    /// The row of the suspect's disk.
    pub(super) fn disk_of(&self, suspect: &Suspect) -> Option<&DiskChange> {
        let mut disks = self.disks.iter();
        disks.find(|disk| disk.before_device.as_ref() == Some(&suspect.before_device))
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Which.
    pub kind: OutcomeKind,
    /// Why; `null` when not comparable.
    pub finding: Option<Finding>,
    /// For people, in one or two sentences.
    pub sentence: String,
    /// Why the runs cannot be compared; empty when they can.
    pub reasons: Vec<Reason>,
}

/// What can come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// The suspect is gone, and so is the latency.
    Confirmed,
    /// It is not proven.
    NotConfirmed,
    /// These two runs can prove nothing.
    NotComparable,
}

/// What was found of runs that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The suspect is gone, and the others are slow at most half as often.
    LatencyFell,
    /// The suspect is not gone: nothing was tested.
    CauseStillThere,
    /// The suspect is gone, the latency is not.
    LatencyNotBetter,
    /// The suspect is gone; the numbers do not tell whether the latency is.
    Undecided,
}

/// Why two runs cannot be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Which.
    pub kind: ReasonKind,
    /// What was found, where it is a number.
    pub value: Option<f64>,
    /// What it was held against.
    pub bound: Option<f64>,
    /// In words.
    pub text: String,
}

/// Reasons of rule K4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// The verdict of `before` names nobody for the use of a disk.
    NobodyNamed,
    /// What the suspect did cannot be measured.
    UseUnknown,
    /// Another host.
    OtherHost,
    /// Another boot.
    OtherBoot,
    /// The boot is not known.
    BootUnknown,
    /// `after` begins before `before` ends.
    WrongOrder,
    /// What counts as slow differs.
    OtherSlowLimit,
    /// The suspect's disk is not in `after`.
    OtherDisk,
    /// A window or its number of intervals is too small.
    TooShort,
    /// Requests were lost.
    Losses,
    /// A hook was missing.
    MissingHook,
    /// Too few requests.
    TooLittle,
    /// The others did less.
    LoadFell,
    /// The others' requests are of another size.
    OtherSizes,
    /// Somebody else stopped too.
    SomebodyElseStopped,
}

/// One of the two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Name of the machine.
    pub hostname: Option<String>,
    /// Changes with every boot.
    pub boot_id: Option<String>,
    /// Wall clock at the start, RFC 3339, UTC.
    pub start: String,
    /// Wall clock at the end.
    pub end: String,
    /// Length of the window.
    pub length_ns: u64,
    /// Requests from this length on are slow.
    pub slow_ns: u64,
    /// Requests lost, as a share of all.
    pub lost_share: f64,
    /// Its own verdict, by the rules of today.
    pub kind: Kind,
    /// How sure that is.
    pub confidence: Option<Confidence>,
    /// Whether anything was slow.
    pub stalled: Option<bool>,
    /// The same for people.
    pub sentence: String,
}

/// What is suspected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suspect {
    /// Kind of the verdict of `before`.
    pub kind: Kind,
    /// Id of the disk in `before`.
    pub before_device: String,
    /// Id of the same disk in `after`.
    pub after_device: Option<String>,
    /// Of discards, what they were for.
    pub origin: Option<Origin>,
    /// Who it is, as `before` calls them.
    pub labels: Vec<String>,
    /// Who did the same in `after`.
    pub after_labels: Vec<String>,
    /// What its use is counted in.
    pub measure: Measure,
    /// Use per second.
    pub use_per_s: Change,
    /// Whether it is gone.
    pub gone: Option<bool>,
}

/// What the use of a disk is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Time with its discards in flight, ns.
    DiscardNs,
    /// Bytes read and written.
    Bytes,
    /// Fsync requests.
    Preflushes,
}

/// Whether the load of the others on the suspect's disk can be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Part of the requests per second that is still there.
    pub ops_kept: Option<f64>,
    /// The same of bytes.
    pub bytes_kept: Option<f64>,
    /// Mean size of reads, after / before.
    pub read_size_ratio: Option<f64>,
    /// The same of writes.
    pub write_size_ratio: Option<f64>,
    /// Part of the slow requests of `before` that is in flows that `after` has too.
    pub covered_share: Option<f64>,
    /// Parties that stopped as well, though they were a large part of the load.
    pub stopped: Vec<String>,
}

/// A number before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Before.
    pub before: Option<f64>,
    /// After.
    pub after: Option<f64>,
    /// after / before; of means, pooled over flows.
    pub ratio: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// Slow requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlowChange {
    /// Before.
    pub before: Proportion,
    /// After.
    pub after: Proportion,
    /// How many times as often slow, requests taken for independent.
    pub relative_risk: Option<RelativeRisk>,
    /// Lower end of the interval from batches.
    pub batches_low: Option<f64>,
    /// Upper end.
    pub batches_high: Option<f64>,
}

/// Part of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proportion {
    /// Requests.
    pub ops: u64,
    /// Slow ones.
    pub slow_ops: u64,
    /// `slow_ops / ops`
    pub slow_share: Option<f64>,
}

/// What requests had to wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// Slow requests.
    pub slow: SlowChange,
    /// Mean latency.
    pub mean_ns: Change,
    /// Time waited per second of window.
    pub waited_ns_per_s: Change,
    /// Requests per second of window.
    pub ops_per_s: Change,
    /// Bytes per second of window.
    pub bytes_per_s: Change,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiskChange {
    /// Id in `before`.
    pub before_device: Option<String>,
    /// Id in `after`.
    pub after_device: Option<String>,
    /// What all but the suspects waited there.
    pub others: Waiting,
    /// Time with a discard in flight per second of window.
    pub discard_ns_per_s: Change,
    /// By operation, all users together, the suspects included.
    pub operations: Vec<OperationChange>,
}

/// One operation on a disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationChange {
    /// Which.
    pub op: Op,
    /// Percentiles of the latency.
    pub quantiles: Vec<Quantile>,
}

/// A percentile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantile {
    /// Which: 500 is the median.
    pub per_mille: u32,
    /// Before.
    pub before: QuantileEstimate,
    /// After.
    pub after: QuantileEstimate,
    /// after / before.
    pub ratio: Option<f64>,
    /// Lower end of its interval of at least 95 %.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// A percentile of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuantileEstimate {
    /// Requests.
    pub ops: u64,
    /// The percentile.
    pub value_ns: Option<u64>,
    /// Lower end of its interval of at least 95 %.
    pub low_ns: Option<u64>,
    /// Upper end; `null` when there are too few requests to have one.
    pub high_ns: Option<u64>,
}

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VmChange {
    /// For people.
    pub label: String,
    /// Its monitor before.
    pub before_pid: Option<u32>,
    /// Its monitor after.
    pub after_pid: Option<u32>,
    /// What its requests waited, on all disks.
    pub waiting: Waiting,
    /// Time of its monitor's threads in D per second of window.
    pub blocked_ns_per_s: Change,
}

/// A process, or all of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartyChange {
    /// For people.
    pub label: String,
    /// The same process on both sides, not only the same name.
    pub same_process: bool,
    /// It is among the suspects.
    pub suspect: bool,
    /// Ids of its actors before.
    pub before_actors: Vec<u32>,
    /// Ids of its actors after.
    pub after_actors: Vec<u32>,
    /// What its requests waited, on all disks.
    pub waiting: Waiting,
    /// Time of its threads in D per second of window.
    pub blocked_ns_per_s: Change,
}
