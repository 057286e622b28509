//! What is known when the verdict is put together, and what it decided.

use super::disk::Disk;
use super::finding::Finding;
use super::workload::Workloads;
use crate::findings::Findings;
use crate::names::Names;
use stall_capture::Capture;
use stall_report::model::Kind;

/// What was decided, for advice and words.
pub(super) struct Ruling {
    pub(super) kind: Kind,
    pub(super) device: Option<String>,
    /// Whether discards did it one window cannot tell.
    pub(super) doubtful: bool,
}

/// What the verdict is made of.
pub(super) struct Judged<'a> {
    pub(super) capture: &'a Capture,
    pub(super) names: &'a Names<'a>,
    pub(super) found: &'a Findings,
    pub(super) workloads: &'a Workloads<'a>,
    pub(super) disks: &'a [Disk],
    pub(super) all: Vec<Finding>,
    /// Part of the window that a workload spent waiting in a way that no request shows.
    pub(super) unseen: f64,
    pub(super) told_ns: u64,
}

impl Judged<'_> {
    /// Whether discards did it one window cannot tell.
    pub(super) fn is_contested(&self, finding: &Finding) -> bool {
        let disk = self
            .disks
            .iter()
            .find(|disk| Some(disk.index) == finding.disk);
        let Some(discards) = disk.map(|disk| &disk.discards) else {
            return false;
        };
        match finding.kind {
            Kind::HostTrim | Kind::GuestTrim | Kind::OtherDiscards => discards.is_doubtful(),
            // Slow with discards in flight, not much less without, and nothing that tells whose it is.
            Kind::SlowDevice => {
                let met = discards.contrast.is_some() || discards.consistency.is_some();
                met && !discards.acquitted && !discards.alike_outside
            }
            _ => false,
        }
    }
}
