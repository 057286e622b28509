//! Holds hypotheses against each other, after each was weighed by itself: rules B3 and T4, the layer rule for what lies on a
//! trimmed disk, and their order.

use std::cmp::Ordering;

use super::comparison::EXPLAINED;
use super::evidence::{self, Scales};
use super::stalls::Stalls;
use super::{above, discards, locks, table};
use crate::Findings;
use crate::total::Total as _;
use stall_capture::is_waited_for;
use stall_report::model::{Confidence, Device, Fact, Hypothesis, Kind, Standing};

/// Lowers what another one makes doubtful, and puts the strongest first.
pub(super) fn settle(findings: &Findings, stalls: &Stalls, weighed: &mut [Hypothesis]) {
    split_doubt(findings, weighed);
    see_below(findings, stalls, weighed);
    weighed.sort_by(|one, other| stronger_first(findings, one, other));
}

/// Rules B3 and T4. A disk that discards slow down while it goes on serving others, and one that is slow by itself for as long as
/// discards happen to be in flight, look alike: the comparison speaks for the one, the table for the other, and neither is
/// sure.
fn split_doubt(findings: &Findings, weighed: &mut [Hypothesis]) {
    for device in 0..weighed.len() {
        let Some(discards) = doubtful(findings, weighed, &weighed[device]) else {
            continue;
        };
        let share = weighed[device].score.unwrap_or(1.0);
        let itself = evidence::of_share(Fact::BlamedShare, share, None, table::ITS_OWN);
        weighed[discards].evidence_against.push(itself);
        weighed[discards].confidence = Some(Confidence::Low);
        let share = weighed[discards].score.unwrap_or(1.0);
        let compared = evidence::of_share(Fact::ExplainedShare, share, None, EXPLAINED);
        weighed[device].evidence_against.push(compared);
        weighed[device].confidence = Some(Confidence::Medium);
        weighed[device].rule = Some("T4".to_owned());
    }
}

/// Beside a device that is surely slow by itself: discards of the same that a comparison found guilty, before the table or the
/// step lowered that.
fn doubtful(findings: &Findings, weighed: &[Hypothesis], itself: &Hypothesis) -> Option<usize> {
    let is_sure = matches!(itself.kind, Kind::SlowDevice | Kind::AboveTheDisk)
        && itself.standing == Standing::Supported
        && itself.confidence == Some(Confidence::High)
        && itself.device.is_some();
    let is_compared = |one: &Hypothesis| {
        one.device == itself.device
            && one.standing == Standing::Supported
            && one.confidence < Some(Confidence::High)
            && discards::compared(findings, one) >= Some(Confidence::Medium)
    };
    is_sure
        .then(|| weighed.iter().position(is_compared))
        .flatten()
}

/// The layer rule: what a trim does to a disk reaches what lies on it, as slow flushes, as a queue behind whoever is served last, and
/// as slow discards of its own. Only a trim is the disk's own trouble for sure: other discards, and neighbours, may be what
/// is passed down.
fn see_below(findings: &Findings, stalls: &Stalls, weighed: &mut [Hypothesis]) {
    for place in 0..weighed.len() {
        let Some((rule, below)) = trimmed_below(findings, stalls, weighed, &weighed[place]) else {
            continue;
        };
        let mut scales = Scales::default();
        table::tell_below(below, &mut scales);
        let above = &mut weighed[place];
        above.evidence_against.append(&mut scales.evidence_against);
        above.standing = Standing::Undecided;
        above.confidence = None;
        above.rule = Some(rule.to_owned());
    }
}

/// A disk below the device of a hypothesis of which a trim is told as surely, and the rule that says so.
fn trimmed_below<'a>(
    findings: &'a Findings,
    stalls: &Stalls,
    weighed: &[Hypothesis],
    above: &Hypothesis,
) -> Option<(&'static str, &'a Device)> {
    if above.standing != Standing::Supported || !is_of_use(above.kind) {
        return None;
    }
    let device = device(findings, above)?;
    let trimmed = weighed.iter().filter(|one| {
        one.kind == Kind::HostTrim
            && one.standing == Standing::Supported
            && one.confidence >= above.confidence.max(Some(Confidence::Medium))
    });
    let mut trimmed = trimmed.filter_map(|one| self::device(findings, one));
    let lies_below = |below: &&Device| above::lies_below(findings, stalls, below, device);
    let below = trimmed.find(lies_below)?;
    let rule = if above::is_served(findings, device) {
        "A2"
    } else {
        "T3"
    };
    Some((rule, below))
}

/// Kinds that are about the use of a device.
const fn is_of_use(kind: Kind) -> bool {
    match kind {
        Kind::HostTrim
        | Kind::GuestTrim
        | Kind::OtherDiscards
        | Kind::HeavyNeighbour
        | Kind::Flushes => true,
        Kind::LockHolder
        | Kind::SlowDevice
        | Kind::AboveTheDisk
        | Kind::NoStall
        | Kind::Inconclusive => false,
    }
}

/// Supported before undecided before refuted; then by confidence; then the one about what was waited for longest; then by
/// its score. Shares of different wholes are not held against each other.
fn stronger_first(findings: &Findings, one: &Hypothesis, other: &Hypothesis) -> Ordering {
    let rank = |hypothesis: &Hypothesis| match hypothesis.standing {
        Standing::Supported => 0,
        Standing::Undecided => 1,
        Standing::Refuted => 2,
        Standing::NotWeighed => 3,
    };
    let score = |hypothesis: &Hypothesis| hypothesis.score.unwrap_or(0.0);
    rank(one)
        .cmp(&rank(other))
        .then(other.confidence.cmp(&one.confidence))
        .then_with(|| at_stake(findings, other).cmp(&at_stake(findings, one)))
        .then(score(other).total_cmp(&score(one)))
}

/// What a hypothesis is to explain: time waited in slow requests on its device, those that have not ended with their
/// age in the window; of locks, and where no device is slow, time of processes in D for storage. For the order only: ages are lower bounds.
fn at_stake(findings: &Findings, hypothesis: &Hypothesis) -> u64 {
    match device(findings, hypothesis) {
        Some(device) if hypothesis.kind != Kind::LockHolder => {
            let slow_ns = device
                .stall
                .as_ref()
                .map_or(0, |stall| stall.slow_waited_ns);
            slow_ns.saturating_add(hanging_ns(findings, &device.id))
        }
        Some(_) | None => {
            let tasks = findings.blocked.iter();
            let processes = tasks.filter(|task| !task.process.kernel_thread);
            processes.map(locks::storage_ns).total()
        }
    }
}

fn hanging_ns(findings: &Findings, id: &str) -> u64 {
    let slow_ns = findings.settings.slow_ns;
    let unfinished = findings.requests.unfinished.iter().filter(|request| {
        request.device == id && is_waited_for(request.op) && request.age_ns >= slow_ns
    });
    unfinished
        .map(|request| request.age_ns.min(findings.window.length_ns))
        .total()
}

fn device<'a>(findings: &'a Findings, hypothesis: &Hypothesis) -> Option<&'a Device> {
    let id = hypothesis.device.as_ref()?;
    findings.devices.iter().find(|device| device.id == *id)
}
