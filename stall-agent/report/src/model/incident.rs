//! The answer in the form that tools for incidents take: flat, short, and always at the same place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Confidence, Kind, PartyKind};

/// The answer for tools: flat, with texts that are safe to show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Host and start of the window: the same for each rendering of this run, another for each run.
    pub id: String,
    /// 16 hexadecimal digits of host, cause, device and first culprit: the same when the same happens again, for
    /// deduplication.
    pub fingerprint: String,
    /// In fewer than 100 characters.
    pub title: String,
    /// In at most 1,000 characters: what it was, who waited, and what to do now.
    pub summary: String,
    /// How urgent.
    pub severity: Severity,
    /// What it was; `null` only in a report that was never judged.
    pub kind: Option<Kind>,
    /// How sure; `null` when inconclusive.
    pub confidence: Option<Confidence>,
    /// Name of the host.
    pub node: Option<String>,
    /// Id of the device.
    pub device: Option<String>,
    /// When the waiting began, RFC 3339, UTC; `null` when nobody waited.
    pub started_at: Option<String>,
    /// When it ended; `null` when nobody waited, or when it had not ended.
    pub ended_at: Option<String>,
    /// What the affected waited for, the largest part first; at most three.
    pub causes: Vec<CauseShare>,
    /// Who waited: VMs first, then by the time lost; at most 100.
    pub affected: Vec<Workload>,
    /// How many more there were.
    pub affected_omitted: u64,
    /// Who did it, the largest share first; at most 100.
    pub culprits: Vec<Workload>,
    /// How many more there were.
    pub culprits_omitted: u64,
}

/// A workload, flat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Workload {
    /// What kind of workload.
    pub kind: PartyKind,
    /// Name of the workload.
    pub name: String,
    /// Namespace of a VM or pod.
    pub namespace: Option<String>,
    /// Name of the host it runs on.
    pub node: Option<String>,
    /// For people; control characters are escaped.
    pub label: String,
    /// systemd unit.
    pub unit: Option<String>,
    /// The process of it that was seen first.
    pub pid: Option<u32>,
    /// Of a culprit, its part of what the affected waited.
    pub share: Option<f64>,
    /// Of an affected one, the time it lost.
    pub lost_ns: Option<u64>,
}

/// A part of what the affected waited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CauseShare {
    /// Who or what, for people; control characters are escaped.
    pub label: String,
    /// The part, of 1.
    pub share: f64,
}

/// How urgent.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nobody waited.
    Ok,
    /// Too much was lost to say whether anybody waited.
    #[default]
    Unknown,
    /// Somebody waited, and no VM.
    Warning,
    /// A VM waited, or something hangs that had not ended.
    Critical,
}
