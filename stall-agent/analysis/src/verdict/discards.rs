//! Weighs discards, disk by disk and origin by origin: rules D1 to D7, B1 and B2.

use std::collections::BTreeSet;

use stall_common::actor::UNKNOWN;

use super::comparison::{Outcome, compare, is_comparable, refuted};
use super::evidence::{self, Scales};
use super::no_comparison::Step;
use super::{rules, table};
use crate::exposure::{is_own_victim, waited};
use crate::stall::oldest_unfinished;
use crate::{Findings, ratio};
use stall_capture::is_waited_for;
use stall_report::model::{
    Confidence, Device, DiscardGroup, Exposure, Fact, Hypothesis, Kind, Origin, Standing,
};
use stall_report::thousands;

/// One hypothesis for each disk and origin of discards.
pub(super) fn weigh_all(findings: &Findings) -> Vec<Hypothesis> {
    let pairs: BTreeSet<(&str, Origin)> = findings
        .discards
        .iter()
        .map(|group| (group.device.as_str(), group.origin))
        .collect();
    pairs
        .into_iter()
        .filter_map(|(device, origin)| Some(Case::new(findings, device, origin)?.weigh()))
        .collect()
}

/// What discards of an origin are a hypothesis of.
const fn kind(origin: Origin) -> Kind {
    match origin {
        Origin::FilesystemTrim => Kind::HostTrim,
        Origin::Guest => Kind::GuestTrim,
        Origin::OnlineDiscard
        | Origin::Blkdiscard
        | Origin::Mkfs
        | Origin::OtherProgram
        | Origin::Swap
        | Origin::LoopDevice
        | Origin::StackedDevice
        | Origin::StorageTarget
        | Origin::Unknown => Kind::OtherDiscards,
    }
}

/// What a comparison alone (D4) says of a hypothesis, before the table (B1) and the step (B2) lower it.
pub(super) fn compared(findings: &Findings, hypothesis: &Hypothesis) -> Option<Confidence> {
    let device = hypothesis.device.as_ref()?;
    let case = Case::new(findings, device, hypothesis.origin?)?;
    let outcome = case.decide(&mut Scales::default());
    outcome.confidence.filter(|_| outcome.rule == "D4")
}

/// One disk and one origin.
pub(super) struct Case<'a> {
    pub(super) findings: &'a Findings,
    pub(super) device: &'a Device,
    pub(super) origin: Origin,
    pub(super) groups: Vec<&'a DiscardGroup>,
}

impl<'a> Case<'a> {
    fn new(findings: &'a Findings, device: &str, origin: Origin) -> Option<Self> {
        let device = findings.devices.iter().find(|one| one.id == device)?;
        let is_ours = |group: &&DiscardGroup| group.device == device.id && group.origin == origin;
        Some(Self {
            findings,
            device,
            origin,
            groups: findings.discards.iter().filter(is_ours).collect(),
        })
    }

    fn weigh(&self) -> Hypothesis {
        let mut scales = Scales::default();
        let mut outcome = self.decide(&mut scales);
        self.hold_against_table(&mut outcome, &mut scales);
        self.hold_against_step(&mut outcome, &mut scales);
        let compared = outcome.rule == "D4";
        let explained = self
            .device
            .exposure
            .as_ref()
            .and_then(|exposure| exposure.explained_share);
        Hypothesis {
            kind: kind(self.origin),
            device: Some(self.device.id.clone()),
            origin: Some(self.origin),
            pid: None,
            actors: self
                .groups
                .iter()
                .map(|group| group.actor)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            standing: outcome.standing,
            confidence: outcome.confidence,
            score: match outcome.standing {
                Standing::Refuted => Some(0.0),
                Standing::Supported | Standing::Undecided if compared => explained,
                Standing::Supported | Standing::Undecided | Standing::NotWeighed => None,
            },
            rule: Some(outcome.rule.to_owned()),
            evidence_for: scales.evidence_for,
            evidence_against: scales.evidence_against,
        }
    }

    /// Rule B1.
    fn hold_against_table(&self, outcome: &mut Outcome, scales: &mut Scales) {
        let ours = self.findings.blame_on(&self.device.id);
        let own_victims = self.groups.iter().filter(|group| is_own_victim(group));
        let own_victims: Vec<u32> = own_victims.map(|group| group.actor).collect();
        let inferred = self.groups.iter().any(|group| group.inferred);
        let Some(share) = table::discard_share(ours, &own_victims, inferred) else {
            return;
        };
        let enough = share >= rules::LEAST_BLAMED;
        let text = "of the time others waited in slow requests the device worked for discards";
        let bound = Some(rules::LEAST_BLAMED);
        scales.put(
            enough,
            evidence::of_share(Fact::BlamedShare, share, bound, text),
        );
        if !enough {
            outcome.confidence = outcome.confidence.min(Some(Confidence::Low));
        }
    }

    /// Rule B2. Without a comparison the step has decided already.
    fn hold_against_step(&self, outcome: &mut Outcome, scales: &mut Scales) {
        let is_supported = outcome.rule == "D4" && outcome.standing == Standing::Supported;
        if is_supported && self.step(scales) == Step::Out {
            outcome.confidence = outcome.confidence.min(Some(Confidence::Medium));
        }
    }

    fn decide(&self, scales: &mut Scales) -> Outcome {
        self.tell_discards(scales);
        self.tell_inferred(scales);
        if !self
            .device
            .stall
            .as_ref()
            .is_some_and(|stall| stall.stalled)
        {
            self.tell_not_stalled(scales);
            return refuted("D1");
        }
        let Some(exposure) = self.victims() else {
            let text = "nobody else waited for this device".to_owned();
            scales.put(false, evidence::of_count(Fact::NoVictims, 0, None, text));
            return refuted("D2");
        };
        if let Some(overlap) = exposure.overlap_share {
            let enough = overlap >= rules::LEAST_OVERLAP;
            let text = "of the time those requests took had a discard in flight";
            scales.put(
                enough,
                evidence::of_share(
                    Fact::OverlapShare,
                    overlap,
                    Some(rules::LEAST_OVERLAP),
                    text,
                ),
            );
            if !enough {
                return refuted("D3");
            }
        }
        if self
            .origin_share()
            .is_some_and(|part| part < rules::MAIN_ORIGIN)
        {
            return refuted("D6");
        }
        if is_comparable(&exposure, self.device, self.findings.window.length_ns) {
            compare(&exposure, scales)
        } else {
            self.without_comparison(&exposure, scales)
        }
    }

    fn tell_discards(&self, scales: &mut Scales) {
        if let Some(busy) = self.device.discard_clock.busy_share {
            let text = "of the window had a discard in flight on this device";
            scales.put(
                true,
                evidence::of_share(Fact::DiscardBusyShare, busy, None, text),
            );
        }
        if let Some(part) = self
            .origin_share()
            .filter(|part| *part < rules::ONLY_ORIGIN)
        {
            let text = "of the discard time on this device is of this origin";
            let main = part >= rules::MAIN_ORIGIN;
            scales.put(
                main,
                evidence::of_share(Fact::OriginShare, part, Some(rules::MAIN_ORIGIN), text),
            );
        }
    }

    fn tell_inferred(&self, scales: &mut Scales) {
        let inferred = self.groups.iter().filter(|group| group.inferred);
        let count = inferred.fold(0u64, |sum, group| {
            sum.saturating_add(group.ops.saturating_add(group.unfinished_ops))
        });
        if count > 0 {
            let text = format!(
                "discards older than the trace, whose submitter is inferred: {}",
                thousands(count)
            );
            scales.put(
                false,
                evidence::of_count(Fact::OriginInferred, count, None, text),
            );
        }
    }

    fn tell_not_stalled(&self, scales: &mut Scales) {
        let slow = self.device.stall.as_ref().map_or(0, |stall| stall.slow_ops);
        let all = self.device.stall.as_ref().map_or(0, |stall| stall.ops);
        let text = format!(
            "its discards delayed nobody: {} of {} requests of others were slow on {}",
            thousands(slow),
            thousands(all),
            self.device.id
        );
        scales.put(
            false,
            evidence::of_count(Fact::DeviceNotStalled, slow, None, text),
        );
        let stalled = |device: &&Device| device.stall.as_ref().is_some_and(|stall| stall.stalled);
        for other in self.findings.devices.iter().filter(stalled) {
            let slow = other.stall.as_ref().map_or(0, |stall| stall.slow_ops);
            let text = format!("the device that was slow is {}", other.id);
            scales.put(
                false,
                evidence::of_count(Fact::OtherDeviceStalled, slow, None, text),
            );
        }
    }

    /// Age of the oldest unfinished request of a victim.
    pub(super) fn oldest_victim(&self) -> Option<u64> {
        let submits = |actor| {
            self.groups
                .iter()
                .any(|group| group.actor == actor && actor != UNKNOWN && !is_own_victim(group))
        };
        oldest_unfinished(&self.findings.requests, |request| {
            request.device == self.device.id && is_waited_for(request.op) && !submits(request.actor)
        })
    }

    /// `None` when there are none, or none that waited.
    fn victims(&self) -> Option<Exposure> {
        let exposure = self.device.exposure.clone().unwrap_or_default();
        (waited(&exposure) > 0 || self.oldest_victim().is_some()).then_some(exposure)
    }

    /// Part of the disk's discard time that is of this origin.
    fn origin_share(&self) -> Option<f64> {
        let (mut ours, mut all) = (0u64, 0u64);
        for group in self
            .findings
            .discards
            .iter()
            .filter(|group| group.device == self.device.id)
        {
            let ns = time_in_window(group, self.findings.window.length_ns);
            all = all.saturating_add(ns);
            ours = ours.saturating_add(if group.origin == self.origin { ns } else { 0 });
        }
        ratio(ours, all)
    }
}

/// Time at the device, at most the window for each that has not ended.
fn time_in_window(group: &DiscardGroup, window_ns: u64) -> u64 {
    let unfinished = group.oldest_unfinished_ns.unwrap_or(0).min(window_ns);
    group.device_ns.saturating_add(unfinished)
}
