//! What advice rests on: the verdict, and what was found.

use super::super::judged::Ruling;
use super::plain;
use super::step::{self, Step};
use crate::findings::Findings;
use stall_report::model::{Culprit, Device, Origin};

/// What the advice rests on.
pub(super) struct Case<'a> {
    pub(super) findings: &'a Findings,
    pub(super) ruling: &'a Ruling,
    pub(super) culprits: &'a [Culprit],
}

impl Case<'_> {
    /// The device of the verdict.
    pub(super) fn device(&self) -> Option<&Device> {
        let id = self.ruling.device.as_ref()?;
        self.with_id(id)
    }

    pub(super) fn with_id(&self, id: &str) -> Option<&Device> {
        let mut devices = self.findings.devices.iter();
        devices.find(|device| device.id == id)
    }

    /// The disks of this host that the verdict's device is made of in the end, itself when it is made of none.
    pub(super) fn physical(&self) -> Vec<&Device> {
        let Some(device) = self.device() else {
            return Vec::new();
        };
        let below = device.physical.iter();
        let below: Vec<_> = below.filter_map(|id| self.with_id(id)).collect();
        if below.is_empty() {
            vec![device]
        } else {
            below
        }
    }

    /// What the discards were for.
    pub(super) fn origin(&self) -> Origin {
        let first = self.culprits.first();
        first
            .and_then(|culprit| culprit.origin)
            .unwrap_or(Origin::Unknown)
    }

    /// The host's own system comes back as it was at boot, and `/oem` is what changes it.
    pub(super) fn is_immutable(&self) -> bool {
        let os = self.findings.os.as_ref();
        os.is_some_and(|os| os.contains("Harvester")) || self.findings.trim.oem.is_some()
    }

    /// Rule D4: first of all, where discards may be the cause after all.
    pub(super) fn doubt(&self) -> Option<Step> {
        let is_contested = self.ruling.doubtful;
        let text = "whether discards slow the device one window cannot tell: stop those that discards lists, if they go on, \
                    trace again and compare";
        is_contested.then(|| step::now(text).source("docs/principles.md of stall-agent"))
    }

    /// Measure again.
    pub(super) fn confirm(&self, text: &str) -> Step {
        let device = self.device().and_then(|device| plain::word(&device.name));
        let option = device.map_or_else(String::new, |name| format!(" --device {name}"));
        step::to_confirm(format!(
            "{text}; with the capture of a trace from before, stall-agent compare says whether that was it"
        ))
        .command(format!(
            "stall-agent trace --duration 60s{option} --capture /run/after.capture > /run/after.json"
        ))
        .changes("nothing but the two files in /run, which is memory")
        .risk("none: it only watches")
        .source("docs/comparison.md of stall-agent")
    }
}

/// A disk that may have its limits changed: nothing that a VM, a network or another disk stands behind.
pub(super) fn is_physical(device: &Device) -> bool {
    let far = ["iscsi", "nbd", "fc", "fcoe", "tcp", "rdma", "ublk", "loop"];
    let transport = device.transport.as_deref();
    device.layer == stall_report::model::Layer::Bottom
        && transport.is_some_and(|transport| !far.iter().any(|one| transport.contains(one)))
        && device.volume.is_none()
        && device.iscsi_target.is_none()
}
