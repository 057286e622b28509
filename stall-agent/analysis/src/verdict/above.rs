//! Weighs what lies above the disks of this host: rule A.

use super::comparison::{Outcome, refuted, supported};
use super::evidence::{self, Scales};
use super::stalls::Stalls;
use super::{locks, not_weighed, rules};
use crate::total::Total as _;
use crate::{Findings, ratio};
use stall_report::model::{
    BlockedTask, Confidence, Device, Fact, Hypothesis, Kind, Reason, Standing,
};

/// Whether a server stands behind a device: all it is made of is reached through a network or a process.
pub(super) fn is_served(findings: &Findings, device: &Device) -> bool {
    let bottom = |id: &String| findings.devices.iter().find(|one| one.id == *id);
    let below = device.physical.iter().filter_map(bottom);
    let below: Vec<&Device> = below.filter(|one| one.id != device.id).collect();
    is_server_s(device) || (!below.is_empty() && below.into_iter().all(is_server_s))
}

/// Rule A2: a stalled device that no server stands behind.
pub(super) fn stalled_below<'a>(findings: &'a Findings, stalls: &Stalls) -> Option<&'a Device> {
    let stalled = |device: &&Device| stalls.devices.contains(&device.id);
    let mut devices = findings.devices.iter().filter(stalled);
    devices.find(|device| !is_served(findings, device))
}

/// Rule T3: a stalled disk at the bottom of what a device is made of, through the files behind loop devices too.
pub(super) fn stalled_under<'a>(
    findings: &'a Findings,
    stalls: &Stalls,
    device: &Device,
) -> Option<&'a Device> {
    let devices = findings.devices.iter();
    let mut under = devices.filter(|one| is_under(one, device));
    under.find(|one| stalls.devices.contains(&one.id))
}

/// Whether what is wrong with a stalled disk reaches another device, by rule T3 or A2.
pub(super) fn lies_below(
    findings: &Findings,
    stalls: &Stalls,
    below: &Device,
    device: &Device,
) -> bool {
    let by_server = || is_served(findings, device) && !is_served(findings, below);
    stalls.devices.contains(&below.id) && (is_under(below, device) || by_server())
}

/// Whether a device is made of another one in the end, through the files behind loop devices too.
pub(super) fn is_under(one: &Device, device: &Device) -> bool {
    one.id != device.id && device.physical.contains(&one.id)
}

/// Rule A3: when no device is stalled, and tasks were in D for long.
pub(super) fn weigh_tasks(findings: &Findings, stalls: &Stalls) -> Option<Hypothesis> {
    if !stalls.devices.is_empty() || stalls.tasks.is_empty() {
        return None;
    }
    let mut scales = Scales::default();
    let tasks = || findings.blocked.iter().filter(is_process);
    let all = tasks().map(locks::storage_ns);
    let server = tasks().map(|task| locks::sleeping_ns(task, is_of_server));
    let share = ratio(server.total(), all.total())?.min(1.0);
    let text = "of the time processes were in D for storage they waited for a server in user space or on the network";
    let bound = rules::LOCK.medium;
    scales.put(
        share >= bound,
        evidence::of_share(Fact::ServerShare, share, Some(bound), text),
    );
    let outcome = level(share);
    Some(Hypothesis {
        standing: outcome.standing,
        confidence: outcome.confidence,
        score: match outcome.standing {
            Standing::Refuted => Some(0.0),
            Standing::Supported | Standing::Undecided | Standing::NotWeighed => Some(share),
        },
        rule: Some(outcome.rule.to_owned()),
        evidence_for: scales.evidence_for,
        evidence_against: scales.evidence_against,
        ..not_weighed(Kind::AboveTheDisk)
    })
}

fn level(share: f64) -> Outcome {
    let bounds = rules::LOCK;
    if share >= bounds.high {
        supported("A3", Confidence::High)
    } else if share >= bounds.medium {
        supported("A3", Confidence::Medium)
    } else if share >= bounds.low {
        supported("A3", Confidence::Low)
    } else {
        refuted("A3")
    }
}

fn is_process(task: &&BlockedTask) -> bool {
    !task.process.kernel_thread
}

const fn is_of_server(reason: Reason) -> bool {
    matches!(reason, Reason::UserSpaceServer | Reason::NetworkStorage)
}

/// By how it is attached, or by the driver its name tells.
fn is_server_s(device: &Device) -> bool {
    const DRIVERS: [&str; 4] = ["nbd", "ublkb", "rbd", "drbd"];
    let numbered = |driver: &str| {
        let number = device.name.strip_prefix(driver);
        number.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    let transport = device.transport.as_deref();
    transport.is_some_and(|one| one == "iscsi" || one == "fc" || one.starts_with("nvme/"))
        || DRIVERS.iter().any(|driver| numbered(driver))
}
