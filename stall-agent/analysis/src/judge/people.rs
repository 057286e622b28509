//! Who did it, who waited, and where, as the report names them.

use crate::total::Total as _;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use stall_capture::{Op, is_discard, is_waited_for};
use stall_report::model::{
    ActorUse, BlockedTask, Culprit, Device, Mount, Party, Process, Reason, Sleep, Waiter,
};

use super::disk::Work;
use super::finding::{Culprits, Finding};
use super::judged::Judged;
use super::workload::Base;
use crate::findings::Findings;
use crate::number::mean;

/// Id of the device of a finding.
pub(super) fn device(judged: &Judged<'_>, finding: &Finding) -> Option<String> {
    match (finding.disk, finding.disk_row) {
        (Some(index), _) => Some(judged.names.device(index)),
        (None, Some(row)) => Some(judged.names.device_of_row(row)),
        (None, None) => None,
    }
}

pub(super) fn culprit_parties(judged: &Judged<'_>, finding: &Finding) -> Vec<Party> {
    finding
        .culprits
        .iter()
        .map(|one| party(judged, finding, one))
        .collect()
}

fn party(judged: &Judged<'_>, finding: &Finding, one: &Culprits) -> Party {
    let mut party = judged.workloads.party(&one.bases);
    party.share = Some(crate::number::significant(one.share.min(1.0)));
    party.through = through(judged, finding, one);
    party
}

/// The thread of the kernel that wrote for a culprit that sent nothing to the disk itself.
fn through(judged: &Judged<'_>, finding: &Finding, one: &Culprits) -> Option<String> {
    let disk = finding.disk?;
    let sent = |base: Base| {
        let uses = judged.capture.uses.iter();
        let own =
            uses.filter(|used| used.disk == disk && judged.workloads.of_actor(used.actor) == base);
        own.map(|used| used.service_ns.saturating_add(used.device_ns))
            .total()
    };
    let mine: u64 = one.bases.iter().map(|base| sent(*base)).total();
    let hands = judged.capture.uses.iter().filter(|used| {
        used.disk == disk
            && matches!(used.op, Op::Write | Op::AsyncWrite)
            && judged
                .workloads
                .is_hand(judged.workloads.of_actor(used.actor))
    });
    let hand = hands.max_by_key(|used| used.device_ns)?;
    (hand.device_ns > mine && one.work == Work::Io && !judged.workloads.get(one.bases[0]).is_kernel)
        .then(|| {
            let base = judged.workloads.of_actor(hand.actor);
            judged.workloads.party(&[base]).label
        })
}

pub(super) fn victim_parties(judged: &Judged<'_>, finding: &Finding) -> Vec<Party> {
    grouped(judged, finding)
        .into_iter()
        .take(32)
        .map(|(bases, lost)| Party {
            lost_ns: Some(lost),
            ..judged.workloads.party(&bases)
        })
        .collect()
}

/// Victims of one program together; threads of the kernel last.
fn grouped(judged: &Judged<'_>, finding: &Finding) -> Vec<(Vec<Base>, u64)> {
    let mut groups: Vec<(Vec<Base>, u64)> = Vec::new();
    for (base, lost) in &finding.victims {
        let same = groups
            .iter_mut()
            .find(|(bases, _)| judged.workloads.same_program(bases[0], *base));
        match same {
            Some((bases, sum)) => {
                bases.push(*base);
                *sum = (*sum).max(*lost);
            }
            None => groups.push((vec![*base], *lost)),
        }
    }
    groups.sort_by_key(|(bases, lost)| {
        (
            judged.workloads.get(bases[0]).is_kernel,
            Reverse(*lost),
            bases[0],
        )
    });
    groups
}

/// Ids of all actors of the culprits.
pub(super) fn actors(judged: &Judged<'_>, finding: &Finding) -> Vec<u32> {
    let bases = finding.culprits.iter().flat_map(|one| &one.bases);
    bases
        .flat_map(|base| judged.workloads.get(*base).actors.iter().copied())
        .collect()
}

pub(super) fn culprits(judged: &Judged<'_>, finding: &Finding) -> Vec<Culprit> {
    finding
        .culprits
        .iter()
        .map(|one| culprit(judged, finding, one))
        .collect()
}

fn culprit(judged: &Judged<'_>, finding: &Finding, one: &Culprits) -> Culprit {
    let found = judged.found;
    let id = device(judged, finding);
    let counts = |op: Op| match one.work {
        Work::Discard => is_discard(op),
        Work::Flush => op == Op::Preflush,
        Work::Io => !is_discard(op) && op != Op::Preflush && op != Op::Flush,
    };
    let ids: Vec<u32> = one
        .bases
        .iter()
        .flat_map(|base| judged.workloads.get(*base).actors.iter().copied())
        .collect();
    let on_it = |used: &&ActorUse| Some(&used.device) == id.as_ref() && counts(used.op);
    let mine = found.actors.iter().filter(|actor| ids.contains(&actor.id));
    let uses: Vec<&ActorUse> = mine.flat_map(|actor| &actor.uses).filter(on_it).collect();
    let sum = |field: fn(&ActorUse) -> u64| uses.iter().map(|used| field(used)).total();
    // The actor that did most, or else the one known by its sleep.
    let busiest = found
        .actors
        .iter()
        .filter(|actor| ids.contains(&actor.id))
        .max_by_key(|actor| {
            let uses = actor.uses.iter().filter(on_it);
            uses.map(|used| used.device_ns).total()
        });
    let pids: Vec<u32> = one
        .bases
        .iter()
        .flat_map(|base| {
            judged
                .workloads
                .get(*base)
                .processes
                .iter()
                .map(|one| one.pid)
        })
        .collect();
    let tasks: Vec<&BlockedTask> = found
        .blocked
        .iter()
        .filter(|task| pids.contains(&task.process.pid))
        .collect();
    let process = busiest
        .and_then(|actor| actor.process.clone())
        .or_else(|| tasks.first().map(|task| task.process.clone()))
        .or_else(|| first_process(judged, one));
    let group = found.discards.iter().find(|group| {
        one.work == Work::Discard
            && Some(&group.device) == id.as_ref()
            && (ids.contains(&group.actor)
                || group.inferred
                || Some(group.origin) == finding.origin)
    });
    let open: Vec<u64> = found
        .requests
        .unfinished
        .iter()
        .filter(|request| {
            Some(&request.device) == id.as_ref()
                && counts(request.op)
                && (ids.contains(&request.actor)
                    || (one.work == Work::Discard && request.actor == stall_common::actor::UNKNOWN))
        })
        .map(|request| request.age_ns)
        .collect();
    let party = party(judged, finding, one);
    let ops = sum(|used| used.ops);
    Culprit {
        actor: busiest.map(|actor| actor.id),
        label: party.label.clone(),
        share: party.share,
        process,
        origin: (one.work == Work::Discard)
            .then_some(finding.origin)
            .flatten(),
        decided_by: group.and_then(|group| group.decided_by.clone()),
        ops,
        bytes: sum(|used| used.bytes),
        caused_ns: Some((finding.lost_ns as f64 * one.share.min(1.0)) as u64),
        mean_device_ns: mean(sum(|used| used.device_ns), ops).filter(|ns| *ns > 0),
        slowest_ns: uses.iter().map(|used| used.slowest_ns).max(),
        unfinished_ops: open.len() as u64,
        oldest_unfinished_ns: open.into_iter().max(),
        sleep: sleep(&tasks),
        party,
    }
}

/// Of one that was not among the submitters: as it dirtied, or slept.
fn first_process(judged: &Judged<'_>, one: &Culprits) -> Option<Process> {
    let base = judged.workloads.get(*one.bases.first()?);
    let process = base.processes.first()?;
    Some(judged.names.process(process))
}

pub(super) fn sleep(tasks: &[&BlockedTask]) -> Option<Sleep> {
    let sum = |field: fn(&BlockedTask) -> u64| tasks.iter().map(|task| field(task)).total();
    let in_window_ns = sum(|task| task.in_window_ns);
    let before_ns = sum(before);
    (in_window_ns > 0).then(|| Sleep {
        in_window_ns,
        before_ns,
        total_ns: in_window_ns.saturating_add(before_ns),
        unfinished: tasks.iter().any(|task| task.unfinished.is_some()),
        reason: main_reason(tasks),
    })
}

fn before(task: &BlockedTask) -> u64 {
    let ended = task.reasons.iter().map(|row| row.before_ns).total();
    ended.saturating_add(task.unfinished.as_ref().map_or(0, |sleep| sleep.before_ns))
}

pub(super) fn main_reason(tasks: &[&BlockedTask]) -> Reason {
    let mut sums = BTreeMap::<Reason, u64>::new();
    for task in tasks {
        for row in &task.reasons {
            let sum = sums.entry(row.reason).or_default();
            *sum = sum.saturating_add(row.blocked_ns);
        }
        if let Some(sleep) = &task.unfinished {
            let sum = sums.entry(sleep.reason).or_default();
            *sum = sum.saturating_add(sleep.in_window_ns);
        }
    }
    let most = sums.into_iter().max_by_key(|(_, ns)| *ns);
    most.map_or(Reason::Unknown, |(reason, _)| reason)
}

pub(super) fn waiters(judged: &Judged<'_>, finding: &Finding) -> Vec<Waiter> {
    grouped(judged, finding)
        .iter()
        .map(|(bases, lost)| waiter(judged, finding, bases, *lost))
        .collect()
}

fn waiter(judged: &Judged<'_>, finding: &Finding, bases: &[Base], lost: u64) -> Waiter {
    let found = judged.found;
    let id = device(judged, finding);
    let workload = judged.workloads.get(bases[0]);
    let ids: Vec<u32> = bases
        .iter()
        .flat_map(|base| judged.workloads.get(*base).actors.iter().copied())
        .collect();
    let pids: Vec<u32> = bases
        .iter()
        .flat_map(|base| {
            judged
                .workloads
                .get(*base)
                .processes
                .iter()
                .map(|one| one.pid)
        })
        .collect();
    let actors = found.actors.iter().filter(|actor| ids.contains(&actor.id));
    let uses: Vec<&ActorUse> = actors
        .flat_map(|actor| &actor.uses)
        .filter(|used| Some(&used.device) == id.as_ref() && is_waited_for(used.op))
        .collect();
    let sum = |field: fn(&ActorUse) -> u64| uses.iter().map(|used| field(used)).total();
    let ages: Vec<u64> = found
        .requests
        .unfinished
        .iter()
        .filter(|request| {
            Some(&request.device) == id.as_ref()
                && ids.contains(&request.actor)
                && is_waited_for(request.op)
        })
        .map(|request| request.age_ns)
        .collect();
    let victim = found
        .victims
        .iter()
        .find(|victim| Some(&victim.device) == id.as_ref() && ids.contains(&victim.actor));
    let exposure = victim.map(|victim| &victim.all);
    let blocked: u64 = found
        .blocked
        .iter()
        .filter(|task| pids.contains(&task.process.pid))
        .map(|task| task.in_window_ns)
        .max()
        .unwrap_or(0);
    let party = Party {
        lost_ns: Some(lost),
        ..judged.workloads.party(bases)
    };
    Waiter {
        actor: ids.first().copied(),
        label: party.label.clone(),
        pid: party.main_pid,
        kernel_thread: workload.is_kernel,
        device: id.filter(|_| !uses.is_empty() || !ages.is_empty()),
        ops: sum(|used| used.ops),
        slow_ops: sum(|used| used.slow_ops),
        waited_ns: sum(|used| used.total_ns),
        excess_ns: i64::try_from(lost).ok(),
        exposed_mean_ns: exposure.and_then(|exposure| exposure.exposed.mean_ns),
        unexposed_mean_ns: exposure.and_then(|exposure| exposure.unexposed.mean_ns),
        unfinished_ops: ages.len() as u64,
        oldest_unfinished_ns: ages.into_iter().max(),
        blocked_ns: (blocked > 0).then_some(blocked),
        party,
    }
}

/// Mount points of the filesystems on a device and on devices made of it, those the culprits name first.
pub(super) fn mount_points(found: &Findings, device: &str, culprits: &[Culprit]) -> Vec<String> {
    let on_it = |one: &&Device| one.id == device || one.bottom.iter().any(|id| id == device);
    let mounts = found.devices.iter().filter(on_it).flat_map(mounts_of);
    let mut points: Vec<String> = mounts.map(|mount| mount.mount_point.clone()).collect();
    let is_named = |point: &String| {
        let mut args = culprits
            .iter()
            .filter_map(|culprit| culprit.process.as_ref())
            .flat_map(|process| &process.args);
        args.any(|arg| arg == point)
    };
    points.sort_by_key(|point| (!is_named(point), point.clone()));
    points.dedup();
    points
}

fn mounts_of(device: &Device) -> impl Iterator<Item = &Mount> {
    let parts = device.partitions.iter();
    device
        .mounts
        .iter()
        .chain(parts.flat_map(|partition| &partition.mounts))
}
