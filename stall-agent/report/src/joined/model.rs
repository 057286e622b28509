//! The answer of several reports as data.

use serde::Serialize;

use crate::model::Severity;

/// Name and version of this format.
pub(super) const SCHEMA: &str = "stall-agent/joined/1";

/// The answer of several reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Joined {
    pub schema: &'static str,
    /// In one sentence; foreign names are escaped.
    pub sentence: String,
    /// The time that all reports have in common, RFC 3339, UTC; `null` when there is none.
    pub common_start: Option<String>,
    pub common_end: Option<String>,
    pub nodes: Vec<Node>,
    /// Volumes of VMs in which somebody waited, the one with the most slow requests first.
    pub volumes: Vec<Volume>,
    /// What would be needed to say more.
    pub missing: Vec<String>,
}

/// One report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    pub node: String,
    pub file: String,
    pub window_start: String,
    pub window_end: String,
    pub severity: Severity,
    pub title: String,
    pub sentence: String,
}

/// A volume of a VM, with the replicas of it that the reports tell of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Volume {
    pub volume: String,
    pub vm: String,
    /// Where the VM runs.
    pub node: String,
    /// Requests of the VM, or else of its device, that ended, and of these the slow; with the longest time.
    pub ops: u64,
    pub slow_ops: u64,
    pub slowest_ns: u64,
    pub replicas: Vec<Replica>,
    /// What it waits for, in one sentence.
    pub answer: String,
}

/// A replica of a volume.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replica {
    /// `null` when none of the reports is of its node.
    pub node: Option<String>,
    /// As the volume's controller has it; `null` when it was found by its process only.
    pub address: Option<String>,
    /// Disk on that node.
    pub device: Option<String>,
    pub ops: u64,
    pub slow_ops: u64,
    /// Mean of completed - queued; `null` when no request ended.
    pub mean_ns: Option<u64>,
    pub slowest_ns: u64,
    /// Its disk was slow or hung while the VM waited; `null` when its node has no report.
    pub slow: Option<bool>,
    /// Why, as its node's verdict says.
    pub cause: Option<String>,
}
