//! An incident as one line of `incidents.jsonl`: the interface for tools. `docs/recorder.md` defines each field.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stall_report::Report;
use stall_report::model::{Confidence, Kind, Party, PartyKind};

use super::watch::Trigger;

/// Value of [`Line::schema`].
pub const SCHEMA: &str = "stall-agent/incident/1";

/// One incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub schema: String,
    /// Of several lines with one id the last counts.
    pub id: String,
    /// Wall clock, RFC 3339, UTC: what was cut.
    pub from: String,
    pub to: String,
    /// Wall clock of the trouble itself.
    pub began: String,
    pub ended: String,
    pub state: State,
    pub triggers: BTreeSet<Trigger>,
    /// Kind, device and culprit: the same for what is the same again.
    pub fingerprint: String,
    pub kind: Kind,
    pub confidence: Option<Confidence>,
    pub device: Option<String>,
    /// Who did it, as workloads.
    pub culprits: Vec<Who>,
    /// Who waited, as workloads, the most waiting first.
    pub victims: Vec<Who>,
    /// Time lost by all victims together, ns.
    pub lost_ns: u64,
    pub sentence: String,
    /// What the time before and after says of the cause; `null` when nobody is named, or it has not ended.
    pub proof: Option<Proof>,
    /// The report with its capture, in the same directory; `null` when it was counted only, or has been removed.
    pub file: Option<String>,
    /// Bytes of that file.
    pub file_bytes: Option<u64>,
    /// How many of this fingerprint there have been since the last that was kept whole, with this one.
    pub count: u64,
}

/// Whether it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Under way: the file holds what there was until then.
    Open,
    /// It ended.
    Ended,
    /// It went on when the longest that is cut was reached.
    CutShort,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Who {
    pub kind: PartyKind,
    pub namespace: Option<String>,
    pub name: String,
}

/// What the end of an incident proves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    pub kind: ProofKind,
    /// The comparison of the time during it with the time after it, in one sentence.
    pub sentence: String,
}

/// Whether the cause is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// What the culprit did ended, and the waiting with it.
    ProvenByItsEnd,
    /// It ended, and the waiting did not; or it goes on.
    NotProven,
    /// Before and after do not tell: it is correlated only.
    CorrelatedOnly,
}

impl Who {
    fn new(party: &Party) -> Self {
        Self {
            kind: party.kind,
            namespace: party.namespace.clone(),
            name: party.name.clone(),
        }
    }

    /// `namespace/name`, or the name.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Who did it and who waited, by a report: of the first episode, or else of the verdict.
#[must_use]
pub fn who(report: &Report) -> (Vec<Who>, Vec<Who>) {
    let verdict = &report.verdict;
    let unique = |parties: Vec<&Party>| {
        let mut all: Vec<Who> = Vec::new();
        for party in parties {
            let who = Who::new(party);
            if !all.contains(&who) {
                all.push(who);
            }
        }
        all
    };
    if let Some(first) = verdict.episodes.first() {
        return (
            unique(first.culprits.iter().collect()),
            unique(first.victims.iter().collect()),
        );
    }
    (
        unique(verdict.culprits.iter().map(|one| &one.party).collect()),
        unique(verdict.waiters.iter().map(|one| &one.party).collect()),
    )
}

/// Kind, device and culprit.
#[must_use]
pub fn fingerprint(report: &Report, culprits: &[Who]) -> String {
    let culprit = culprits.first().map_or(String::new(), Who::label);
    let device = report.verdict.device.as_deref().unwrap_or("-");
    let culprit = if culprit.is_empty() { "-" } else { &culprit };
    format!("{}|{device}|{culprit}", kind_name(report.verdict.kind))
}

/// As in JSON.
#[must_use]
pub fn kind_name(kind: Kind) -> String {
    let name = serde_json::to_value(kind).ok();
    let name = name.and_then(|name| name.as_str().map(str::to_owned));
    name.unwrap_or_default()
}
