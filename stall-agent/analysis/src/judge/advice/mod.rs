//! What to do next, for each verdict, one file per family. The agent changes nothing: all of it is for a person.
//!
//! Contract: a command is made of the program's own words, numbers, and names of the machine that are nothing but plain
//! characters ([`plain`]); what a process is called never becomes part of one. Each command says what it changes,
//! what it risks and where the advice comes from, and can be pasted as it is.

mod above;
mod collect;
mod discards;
mod fstab;
mod guest;
mod host_trim;
mod limit;
mod longhorn;
mod neighbour;
mod oem;
mod others;
mod pieces;
mod plain;
mod step;
mod stop;
mod timer;
mod waits;

#[cfg(test)]
mod tests;

use super::Ruling;
use crate::Findings;
use stall_report::model::{Advice, Culprit, Device, Kind, Origin};
use step::Step;

/// What the advice rests on.
struct Case<'a> {
    findings: &'a Findings,
    ruling: &'a Ruling,
    culprits: &'a [Culprit],
}

pub(super) fn advice(findings: &Findings, ruling: &Ruling, culprits: &[Culprit]) -> Vec<Advice> {
    let case = Case {
        findings,
        ruling,
        culprits,
    };
    let steps = match ruling.kind {
        Kind::HostTrim => host_trim::steps(&case),
        Kind::GuestTrim => guest::steps(&case),
        Kind::OtherDiscards if case.origin() == Origin::Guest => guest::steps(&case),
        Kind::OtherDiscards => discards::steps(&case),
        Kind::NoisyNeighbor => neighbour::steps(&case),
        Kind::Flushes => others::flushes(&case),
        Kind::SlowDevice | Kind::DeviceHang => collect::steps(&case),
        Kind::OwnLoad | Kind::Overload => waits::load(&case),
        Kind::ArrayResync => waits::array(&case),
        Kind::CgroupLimit => waits::limit(),
        Kind::Frozen => waits::frozen(),
        Kind::Suspended => waits::suspended(),
        Kind::DirtyThrottling => waits::dirty(),
        Kind::Memory => waits::memory(),
        Kind::Cpu => waits::cpu(),
        Kind::NotVisible => waits::not_visible(),
        Kind::LockHolder => others::lock_holder(&case),
        Kind::UpstreamStorage => above::steps(&case),
        Kind::NoStall => others::no_stall(&case),
        Kind::Inconclusive => others::inconclusive(&case),
    };
    steps.into_iter().map(Advice::from).collect()
}

impl Case<'_> {
    /// The device of the verdict.
    fn device(&self) -> Option<&Device> {
        let id = self.ruling.device.as_ref()?;
        self.with_id(id)
    }

    fn with_id(&self, id: &str) -> Option<&Device> {
        let mut devices = self.findings.devices.iter();
        devices.find(|device| device.id == id)
    }

    /// The disks of this host that the verdict's device is made of in the end, itself when it is made of none.
    fn physical(&self) -> Vec<&Device> {
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
    fn origin(&self) -> Origin {
        let first = self.culprits.first();
        first
            .and_then(|culprit| culprit.origin)
            .unwrap_or(Origin::Unknown)
    }

    /// The host's own system comes back as it was at boot, and `/oem` is what changes it.
    fn is_immutable(&self) -> bool {
        let os = self.findings.os.as_ref();
        os.is_some_and(|os| os.contains("Harvester")) || self.findings.trim.oem.is_some()
    }

    /// Rule D4: first of all, where discards may be the cause after all.
    fn doubt(&self) -> Option<Step> {
        let is_doubtful = self.ruling.doubtful;
        let text = "whether discards slow the device one window cannot tell: stop those that discards lists, if they go on, \
                    trace again and compare";
        is_doubtful.then(|| step::now(text).source("docs/principles.md of stall-agent"))
    }

    /// Measure again.
    fn confirm(&self, text: &str) -> Step {
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
fn is_physical(device: &Device) -> bool {
    let far = ["iscsi", "nbd", "fc", "fcoe", "tcp", "rdma", "ublk", "loop"];
    let transport = device.transport.as_deref();
    device.layer == stall_report::model::Layer::Bottom
        && transport.is_some_and(|transport| !far.iter().any(|one| transport.contains(one)))
        && device.volume.is_none()
        && device.iscsi_target.is_none()
}
