//! The verdict: who waited, for how long, for what, and who did it. The rules are in `docs/principles.md`.
//!
//! One way through: slow requests are charged to what the disk did meanwhile ([`disk`]); charges become findings
//! with a cause ([`cause`]); disks that end nothing ([`hang`]) and sleeps that no request explains ([`asleep`]) add
//! theirs; the one that cost the victims most comes first.

mod advice;
mod asleep;
mod cause;
mod confidence;
mod disk;
mod finding;
mod hang;
mod judged;
mod people;
pub(crate) mod rules;
#[cfg(test)]
mod tests;
mod words;
mod workload;

use crate::findings::Findings;
use crate::names::Names;
use finding::Finding;
use judged::{Judged, Ruling};
use stall_capture::Capture;
use stall_report::model::{
    Confidence, Device, Episode, Evidence, Fact, Hypothesis, Kind, Lowered, Standing, Unit, Verdict,
};
use stall_report::share;
use workload::Workloads;

/// Judges what was found.
pub(super) fn judge(capture: &Capture, names: &Names<'_>, found: &Findings) -> Verdict {
    let workloads = Workloads::new(capture);
    let window = (capture.window.start_ns, capture.window.end_ns);
    let length = capture.window.length_ns();
    let told_ns = ((length as f64 * rules::TOLD_SHARE) as u64)
        .clamp(rules::TOLD_LEAST_NS, rules::TOLD_MOST_NS);
    let mut all = hang::findings(capture, found, &workloads);
    let disks: Vec<disk::Disk> = capture
        .disks
        .iter()
        .filter_map(|disk| disk::Disk::new(capture, found, &workloads, disk.index?))
        .collect();
    for disk in &disks {
        all.extend(cause::findings(disk, &workloads, window, told_ns));
    }
    for finding in &mut all {
        settle_kind(capture, names, found, &workloads, finding);
    }
    below_first(names, found, &mut all);
    let (asleep, unseen) = asleep::findings(capture, found, &workloads, &all, told_ns);
    all.extend(asleep);
    all.retain(|finding| !finding.victims.is_empty() || finding.goes_on);
    all.sort_by_key(|finding| std::cmp::Reverse(weight(finding)));
    verdict(&Judged {
        capture,
        names,
        found,
        workloads: &workloads,
        disks: &disks,
        all,
        unseen,
        told_ns,
    })
}

/// What cost most comes first; what is not explained counts for half.
fn weight(finding: &Finding) -> u64 {
    match finding.kind {
        Kind::Inconclusive => finding.lost_ns / 2,
        Kind::OwnLoad | Kind::NotVisible => finding.lost_ns / 8,
        Kind::UpstreamStorage if finding.see_below_first => finding.lost_ns / 8,
        _ => finding.lost_ns,
    }
}

/// Which discards, an array at work, or a server behind the device.
fn settle_kind(
    capture: &Capture,
    names: &Names<'_>,
    found: &Findings,
    workloads: &Workloads<'_>,
    finding: &mut Finding,
) {
    let Some(index) = finding.disk else { return };
    let id = names.device(index);
    let device = found.devices.iter().find(|device| device.id == id);
    if finding.kind == Kind::HostTrim && finding.origin.is_none() {
        let bases = finding.culprits.first().map_or(&[][..], |one| &one.bases);
        let is_its = |actor: u32| bases.contains(&workloads.of_actor(actor));
        let mut groups = found.discards.iter().filter(|group| group.device == id);
        let group = groups.clone().find(|group| is_its(group.actor));
        let origin = group.or_else(|| groups.next()).map(|group| group.origin);
        let trims = found.blocked.iter().any(|task| {
            task.trim_function.is_some()
                && workloads
                    .of_pid(task.process.pid)
                    .is_some_and(|base| bases.contains(&base))
        });
        let origin = if trims {
            stall_report::model::Origin::FilesystemTrim
        } else {
            origin.unwrap_or(stall_report::model::Origin::Unknown)
        };
        finding.origin = Some(origin);
        finding.kind = hang::kind_of(origin);
    }
    if finding.kind == Kind::NoisyNeighbor && is_array_work(workloads, finding) {
        finding.kind = Kind::ArrayResync;
    }
    let at_work = |row: &&stall_capture::Disk| {
        let action = row.state.sync_action.as_deref();
        action.is_some_and(|action| !["idle", "frozen", "none"].contains(&action))
    };
    if finding.kind == Kind::SlowDevice
        && capture
            .disks
            .iter()
            .any(|disk| at_work(&disk) && disk.index == Some(index))
    {
        finding.kind = Kind::ArrayResync;
    }
    let is_far = device.is_some_and(is_served);
    if matches!(finding.kind, Kind::SlowDevice | Kind::DeviceHang) && is_far {
        finding.kind = Kind::UpstreamStorage;
        finding.what = device.and_then(|device| {
            let target = device.iscsi_target.clone();
            target.or_else(|| {
                device
                    .volume
                    .as_ref()
                    .map(|volume| format!("volume {volume}"))
            })
        });
    }
}

/// The threads of drivers/md/md.c that resync, recover, check or reshape.
fn is_array_work(workloads: &Workloads<'_>, finding: &Finding) -> bool {
    let mut bases = finding.culprits.iter().flat_map(|one| &one.bases);
    bases.any(|base| {
        let program = &workloads.get(*base).program;
        workloads.get(*base).is_kernel
            && (program.ends_with("_resync") || program.ends_with("_reshape"))
    })
}

/// By how it is attached, or by the driver its name tells.
fn is_served(device: &Device) -> bool {
    const DRIVERS: [&str; 4] = ["nbd", "ublkb", "rbd", "drbd"];
    let numbered = |driver: &str| {
        let number = device.name.strip_prefix(driver);
        number.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    let transport = device.transport.as_deref();
    transport.is_some_and(|one| one == "iscsi" || one == "fc" || one.starts_with("nvme/"))
        || DRIVERS.iter().any(|driver| numbered(driver))
}

/// What is slow because a disk below is slow is told of the disk below.
fn below_first(names: &Names<'_>, found: &Findings, all: &mut Vec<Finding>) {
    let ids: Vec<Option<String>> = all
        .iter()
        .map(|one| one.disk.map(|index| names.device(index)))
        .collect();
    let bottom = |id: &str| {
        let device = found.devices.iter().find(|device| device.id == id);
        device.map_or(Vec::new(), |device| {
            device
                .physical
                .iter()
                .chain(&device.bottom)
                .cloned()
                .collect()
        })
    };
    let explained: Vec<bool> = all
        .iter()
        .enumerate()
        .map(|(row, one)| {
            let (Some(id), true) = (
                &ids[row],
                matches!(
                    one.kind,
                    Kind::SlowDevice
                        | Kind::UpstreamStorage
                        | Kind::DeviceHang
                        | Kind::Inconclusive
                ),
            ) else {
                return false;
            };
            let below = bottom(id);
            all.iter().enumerate().any(|(other_row, other)| {
                let is_below = ids[other_row]
                    .as_ref()
                    .is_some_and(|other| other != id && below.contains(other));
                is_below && other.kind != Kind::OwnLoad && other.lost_ns * 2 >= one.lost_ns
            })
        })
        .collect();
    let mut rows = explained.into_iter();
    all.retain(|_| !rows.next().unwrap_or(false));
    servers_last(names, found, all);
}

/// A server may lie on a disk of this host (a replica does): while one of these is as slow, it comes first.
fn servers_last(names: &Names<'_>, found: &Findings, all: &mut [Finding]) {
    let is_here = |finding: &Finding| {
        let id = finding.disk.map(|index| names.device(index));
        let mut devices = found.devices.iter();
        let device = devices.find(|device| Some(&device.id) == id.as_ref());
        finding.kind != Kind::OwnLoad && device.is_some_and(|device| !is_served(device))
    };
    let here = all.iter().filter(|one| is_here(one));
    let most = here.map(|one| one.lost_ns).max().unwrap_or(0);
    for one in all.iter_mut() {
        if one.kind == Kind::UpstreamStorage && most.saturating_mul(2) >= one.lost_ns {
            one.see_below_first = true;
            one.confidence = one.confidence.map(|_| Confidence::Low);
        }
    }
}

fn verdict(judged: &Judged<'_>) -> Verdict {
    let found = judged.found;
    let episodes: Vec<Episode> = judged.all.iter().map(|one| episode(judged, one)).collect();
    let (kind, confidence, lowered, stalled) = ruling(judged);
    let first = judged.all.first();
    let device = first.and_then(|one| people::device(judged, one));
    let ruling = Ruling {
        kind,
        device: device.clone(),
        doubtful: first.is_some_and(|one| judged.is_contested(one)),
    };
    let culprits = first.map_or_else(Vec::new, |one| people::culprits(judged, one));
    let waiters = first.map_or_else(Vec::new, |one| people::waiters(judged, one));
    let mut sentence = match first {
        Some(one) => words::sentence(judged, one, confidence),
        None => words::calm(judged, stalled.is_none()),
    };
    sentence += &words::acquittal(judged, kind);
    sentence += &words::besides(judged);
    Verdict {
        kind,
        confidence,
        stalled,
        sentence,
        mount_points: device
            .as_ref()
            .map_or_else(Vec::new, |id| people::mount_points(found, id, &culprits)),
        unexplained_devices: judged
            .all
            .iter()
            .filter(|one| one.kind == Kind::Inconclusive)
            .filter_map(|one| people::device(judged, one))
            .collect(),
        advice: advice::advice(found, &ruling, &culprits),
        lowered,
        device,
        culprits,
        waiters,
        hypotheses: hypotheses(judged, kind, confidence),
        episodes,
    }
}

/// Kind, confidence, what lowered it, and whether anybody waited.
fn ruling(judged: &Judged<'_>) -> (Kind, Option<Confidence>, Vec<Lowered>, Option<bool>) {
    if let Some(first) = judged.all.first() {
        let Some(level) = first.confidence else {
            return (first.kind, None, Vec::new(), Some(true));
        };
        let level = if judged.is_contested(first) {
            level.min(Confidence::Low)
        } else {
            level
        };
        let (confidence, lowered) = confidence::lowered(judged.found, level);
        return (first.kind, Some(confidence), lowered, Some(true));
    }
    if !confidence::sees_enough(judged.found) {
        return (Kind::Inconclusive, None, Vec::new(), None);
    }
    let unseen_disks = !judged.capture.host_waits.unseen_disks.is_empty();
    let hidden = words::below_the_limit(judged) >= judged.told_ns;
    let level = if judged.unseen >= rules::CALM_SHARE || unseen_disks || hidden {
        Confidence::Low
    } else {
        Confidence::High
    };
    let (confidence, lowered) = confidence::lowered(judged.found, level);
    (Kind::NoStall, Some(confidence), lowered, Some(false))
}

fn episode(judged: &Judged<'_>, finding: &Finding) -> Episode {
    let wall = |ns| judged.names.clock.wall(ns);
    Episode {
        kind: finding.kind,
        confidence: finding.confidence,
        start_ns: finding.start_ns,
        end_ns: finding.end_ns,
        started_at: wall(finding.start_ns),
        ended_at: (!finding.goes_on).then(|| wall(finding.end_ns)),
        device: people::device(judged, finding),
        lost_ns: finding.lost_ns,
        share: finding.share.map(crate::number::significant),
        sentence: words::sentence(judged, finding, finding.confidence),
        culprits: people::culprit_parties(judged, finding),
        victims: people::victim_parties(judged, finding),
    }
}

/// What was found, and on the judged disk the discards that did not do it.
fn hypotheses(judged: &Judged<'_>, kind: Kind, confidence: Option<Confidence>) -> Vec<Hypothesis> {
    let of = |finding: &Finding| {
        let standing = match finding.kind {
            Kind::Inconclusive | Kind::NotVisible => Standing::Undecided,
            _ => Standing::Supported,
        };
        Hypothesis {
            kind: finding.kind,
            device: people::device(judged, finding),
            origin: finding.origin,
            actors: people::actors(judged, finding),
            standing,
            confidence: finding.confidence,
            score: finding.share.map(crate::number::significant),
            rule: None,
            evidence_for: words::evidence(judged, finding),
            evidence_against: Vec::new(),
        }
    };
    let mut all: Vec<Hypothesis> = judged.all.iter().map(of).collect();
    if let Some(first) = all.first_mut() {
        first.confidence = confidence;
    }
    all.extend(words::acquitted(judged));
    if kind == Kind::NoStall {
        all.push(Hypothesis {
            kind,
            device: None,
            origin: None,
            actors: Vec::new(),
            standing: Standing::Supported,
            confidence,
            score: None,
            rule: None,
            evidence_for: vec![Evidence {
                fact: Fact::SlowRequests,
                value: Some(words::slow_requests(judged) as f64),
                bound: None,
                unit: Unit::Count,
                text: format!(
                    "no workload lost {} of the window or more",
                    share(judged.told_ns as f64 / judged.capture.window.length_ns().max(1) as f64)
                ),
            }],
            evidence_against: Vec::new(),
        });
    }
    all
}
