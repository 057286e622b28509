//! The report as data. What is not known is `null`, never 0; integers are in base units, with the
//! unit in the name (`_ns`, `_bytes`). Within a version fields are added, never renamed or reused.

mod actor;
mod blame;
mod blocked;
mod chain;
mod device;
mod discard;
mod exposure;
mod incident;
mod interval;
mod latency;
mod request;
mod role;
mod run;
mod trim;
mod verdict;
mod vm;

pub use actor::{Actor, ActorUse, Process, UseOwner};
pub use blame::{Blame, BlameCell, BlameRow, BlameUsual};
pub use blocked::{BlockedReason, BlockedStack, BlockedTask, LongSleep, Reason, UnfinishedSleep};
pub use chain::{Chain, ChainDelay, ChainEnd, ChainLink};
pub use device::{
    Counters, Device, DiscardClock, Events, InFlight, Layer, MapperKind, Mount, Operation,
    Partition, Queue, Stall,
};
pub use discard::{DiscardGroup, Origin};
pub use exposure::{Exposure, FlowExposure, RelativeRisk, Side, Victim};
pub use incident::{CauseShare, Incident, Severity, Workload};
pub use interval::{Interval, IntervalBlocked, IntervalDevice, IntervalDiscards, IntervalUse};
pub use latency::Distribution;
pub use request::{OlderRequests, Request, Requests, UnfinishedRequest};
pub use role::{Pod, Role, RoleKind};
pub use run::{
    Agent, Confinement, CoverageGap, Hook, HookState, Host, Lacking, Loss, Losses, NameGap,
    Program, Settings, View, Window,
};
pub use trim::{OemFile, TrimFacts, TrimRun, TrimTarget, TrimUnit};
pub use verdict::{
    Advice, AdviceWhen, Confidence, Culprit, Episode, Evidence, Fact, Hypothesis, Kind, Lowered,
    LoweredBy, Party, PartyKind, Sleep, Standing, Unit, Verdict, Waiter,
};
pub use vm::{DataEngine, LayerKind, ReplicaAddress, Vm, VmDisk, VmLayer, VmReplica};

pub use stall_capture::{Op, Packed};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Value of [`Report::schema`].
pub const SCHEMA: &str = "stall-agent/report/2";

/// What one run found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Name and version of this format.
    pub schema: String,
    /// What it was, and how sure that is.
    pub verdict: Verdict,
    /// The same for tools: who, whom, since when and how urgent, flat.
    #[serde(default)]
    pub incident: Incident,
    /// The program that made the report, and what it cost.
    pub agent: Agent,
    /// The machine.
    pub host: Host,
    /// The time observed.
    pub window: Window,
    /// What the run was asked to do.
    pub settings: Settings,
    /// Each hook of the plan, and whether it could be used.
    pub hooks: Vec<Hook>,
    /// What this kernel does not tell, so that it is `null` or empty in this report.
    #[serde(default)]
    pub coverage_gaps: Vec<CoverageGap>,
    /// What was not measured.
    pub losses: Losses,
    /// Whole disks seen or stacked with those seen, each with its own numbers: upper and lower layers see the same
    /// request twice and must not be added up.
    pub devices: Vec<Device>,
    /// Processes that submitted requests.
    pub actors: Vec<Actor>,
    /// Virtual machines of this host, with their disks and the latency of these, layer by layer.
    pub vms: Vec<Vm>,
    /// What is known of trims: schedule, runs, mounts with `discard`.
    pub trim: TrimFacts,
    /// Names that could not be had.
    pub name_gaps: Vec<NameGap>,
    /// Discards by submitter, device and what they were for.
    pub discards: Vec<DiscardGroup>,
    /// Who met discards of others on a device, and what it did to them.
    pub victims: Vec<Victim>,
    /// Who delayed whom, on each device where somebody waited in slow requests.
    pub blame: Vec<Blame>,
    /// Single requests worth showing.
    pub requests: Requests,
    /// Tasks in uninterruptible sleep (D), longest first.
    pub blocked: Vec<BlockedTask>,
    /// Who waited for a lock, for whom, and what for in the end; the most waited in first.
    pub chains: Vec<Chain>,
    /// What happened in one snapshot interval.
    pub intervals: Vec<Interval>,
    /// Kernel stacks, referred to by index.
    pub stacks: Vec<Stack>,
    /// All that was observed, so that two reports can be compared; `null` when it is too large.
    #[serde(default)]
    pub capture: Option<Packed>,
}

/// A kernel stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stack {
    /// Innermost first: `symbol+0xoffset [module]`; `null` where no symbol is known.
    pub frames: Vec<Option<String>>,
}
