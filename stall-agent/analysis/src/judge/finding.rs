//! A stretch of waiting with one cause, as the judge's rooms hand it on.

use std::collections::BTreeMap;

use stall_report::model::{Confidence, Kind, Origin};

use super::disk::Work;
use super::workload::Base;

/// Who did it, the one that did most first.
#[derive(Clone, Debug)]
pub(super) struct Culprits {
    pub(super) bases: Vec<Base>,
    pub(super) share: f64,
    pub(super) work: Work,
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) confidence: Option<Confidence>,
    /// Index of the disk in the capture.
    pub(super) disk: Option<u16>,
    /// Row of the disk in the capture, of a disk without requests.
    pub(super) disk_row: Option<usize>,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    /// It had not ended when the window did.
    pub(super) goes_on: bool,
    pub(super) share: Option<f64>,
    pub(super) culprits: Vec<Culprits>,
    /// With the time each lost.
    pub(super) victims: Vec<(Base, u64)>,
    pub(super) lost_ns: u64,
    pub(super) requests: f64,
    /// What else there is to say: a server, a limit, a mount.
    pub(super) what: Option<String>,
    pub(super) origin: Option<Origin>,
    /// A disk of this host is slow as well: what is wrong there may reach this device through its server.
    pub(super) see_below_first: bool,
}

impl Finding {
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            confidence: None,
            disk: None,
            disk_row: None,
            start_ns: 0,
            end_ns: 0,
            goes_on: false,
            share: None,
            culprits: Vec::new(),
            victims: Vec::new(),
            lost_ns: 0,
            requests: 0.0,
            what: None,
            origin: None,
            see_below_first: false,
        }
    }

    pub(super) fn with_victims(mut self, victims: &[Base], lost_ns: &BTreeMap<Base, u64>) -> Self {
        let lost = |base: &Base| (*base, lost_ns.get(base).copied().unwrap_or(0));
        self.victims = victims.iter().map(lost).collect();
        self.victims
            .sort_by_key(|(base, lost)| (std::cmp::Reverse(*lost), *base));
        self.lost_ns = self
            .victims
            .iter()
            .fold(0, |sum, (_, lost)| sum.saturating_add(*lost));
        self
    }
}
