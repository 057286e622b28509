//! The verdict: was there a stall, and which hypothesis does the evidence support? The rules, with their
//! names, are in `docs/principles.md`.

mod above;
mod advice;
mod between;
mod comparison;
mod confidence;
mod discards;
mod evidence;
mod holder;
mod locks;
mod no_comparison;
mod parties;
pub(super) mod rules;
mod stalls;
mod standstill;
mod table;
mod words;

#[cfg(test)]
mod tests;

use super::Findings;
use stall_report::model::{Confidence, Hypothesis, Kind, Lowered, Standing, Verdict};
use stalls::Stalls;

/// Judges what was found.
pub(super) fn judge(findings: &Findings) -> Verdict {
    let stalls = Stalls::new(findings);
    let mut weighed = discards::weigh_all(findings);
    weighed.extend(table::weigh_all(findings, &stalls));
    weighed.extend(above::weigh_tasks(findings, &stalls));
    let locks = locks::weigh_all(findings, &stalls, &weighed);
    weighed.extend(locks);
    between::settle(findings, &stalls, &mut weighed);
    let ruling = rule(findings, &stalls, &weighed);
    let culprits = ruling
        .cause
        .map_or_else(Vec::new, |cause| parties::culprits(findings, cause));
    let device = ruling.cause.and_then(|cause| cause.device.clone());
    let waiters = parties::waiters(findings, &stalls, ruling.cause);
    Verdict {
        kind: ruling.kind,
        confidence: ruling.confidence,
        stalled: ruling.stalled,
        sentence: words::sentence(findings, &stalls, &ruling, &culprits, &waiters)
            + words::acquittal(&ruling, &culprits, &weighed)
            + &words::besides(findings, &ruling, &weighed),
        mount_points: device.as_ref().map_or_else(Vec::new, |id| {
            parties::mount_points(findings, id, &culprits)
        }),
        unexplained_devices: unexplained(&stalls, &weighed),
        advice: advice::advice(findings, &ruling, &culprits),
        lowered: ruling.lowered,
        device,
        culprits,
        waiters,
        hypotheses: hypotheses(&stalls, &weighed),
    }
}

/// What was decided.
struct Ruling<'a> {
    kind: Kind,
    confidence: Option<Confidence>,
    stalled: Option<bool>,
    cause: Option<&'a Hypothesis>,
    lowered: Vec<Lowered>,
}

fn rule<'a>(findings: &Findings, stalls: &Stalls, weighed: &'a [Hypothesis]) -> Ruling<'a> {
    if let Some(cause) = weighed
        .iter()
        .find(|hypothesis| hypothesis.standing == Standing::Supported)
    {
        let (confidence, lowered) = confidence::of_cause(findings, cause);
        return Ruling {
            kind: cause.kind,
            confidence: Some(confidence),
            stalled: Some(true),
            cause: Some(cause),
            lowered,
        };
    }
    if !stalls.any() && confidence::sees_enough(findings) {
        let (confidence, lowered) = confidence::of_no_stall(findings);
        return Ruling {
            kind: Kind::NoStall,
            confidence: Some(confidence),
            stalled: Some(false),
            cause: None,
            lowered,
        };
    }
    let stalled = stalls.any().then_some(true);
    Ruling {
        kind: Kind::Inconclusive,
        confidence: None,
        stalled,
        cause: None,
        lowered: Vec::new(),
    }
}

/// Stalled devices of which nothing is supported.
fn unexplained(stalls: &Stalls, weighed: &[Hypothesis]) -> Vec<String> {
    let is_explained = |id: &String| {
        let mut ours = weighed.iter().filter(|one| one.device.as_ref() == Some(id));
        ours.any(|one| one.standing == Standing::Supported)
    };
    let devices = stalls.devices.iter();
    devices.filter(|id| !is_explained(id)).cloned().collect()
}

fn hypotheses(stalls: &Stalls, weighed: &[Hypothesis]) -> Vec<Hypothesis> {
    let mut all = weighed.to_vec();
    all.push(stalls.hypothesis());
    let is_weighed = |kind: &Kind| weighed.iter().any(|one| one.kind == *kind);
    let others = EXPLANATIONS.into_iter().filter(|kind| !is_weighed(kind));
    all.extend(others.map(not_weighed));
    all
}

/// Each stands in the report, weighed or not.
const EXPLANATIONS: [Kind; 8] = [
    Kind::HostTrim,
    Kind::GuestTrim,
    Kind::OtherDiscards,
    Kind::HeavyNeighbour,
    Kind::Flushes,
    Kind::LockHolder,
    Kind::SlowDevice,
    Kind::AboveTheDisk,
];

const fn not_weighed(kind: Kind) -> Hypothesis {
    Hypothesis {
        kind,
        device: None,
        origin: None,
        pid: None,
        actors: Vec::new(),
        standing: Standing::NotWeighed,
        confidence: None,
        score: None,
        rule: None,
        evidence_for: Vec::new(),
        evidence_against: Vec::new(),
    }
}
