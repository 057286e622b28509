//! Who did it, who waited, and where.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use stall_common::actor::UNKNOWN;

use super::holder;
use super::stalls::Stalls;
use super::table::laid_on;
use crate::discard::{is_submitted_by, time};
use crate::exposure::{is_own_victim, waited};
use crate::{Findings, mean};
use stall_capture::{is_discard, is_waited_for};
use stall_report::model::{
    Actor, ActorUse, BlockedTask, Culprit, Device, DiscardGroup, Hypothesis, Kind, Mount, Op,
    Origin, Process, Reason, Sleep, Victim, Waiter,
};

/// Submitters of the discards of a hypothesis, those with the most time at the device first; or those it says used the
/// device.
pub(super) fn culprits(findings: &Findings, cause: &Hypothesis) -> Vec<Culprit> {
    if cause.kind == Kind::LockHolder {
        return holder::culprit(findings, cause).into_iter().collect();
    }
    if cause.origin.is_none() {
        return users(findings, cause);
    }
    let mut by_actor = BTreeMap::<u32, Vec<&DiscardGroup>>::new();
    for group in &findings.discards {
        if Some(&group.device) == cause.device.as_ref() && Some(group.origin) == cause.origin {
            by_actor.entry(group.actor).or_default().push(group);
        }
    }
    let mut all: Vec<Vec<&DiscardGroup>> = by_actor.into_values().collect();
    all.sort_by_key(|groups| Reverse(sum(groups, time)));
    all.iter()
        .filter_map(|groups| culprit(findings, groups))
        .collect()
}

fn users(findings: &Findings, cause: &Hypothesis) -> Vec<Culprit> {
    let user = |id: &u32| {
        let actor = findings.actors.iter().find(|actor| actor.id == *id)?;
        Some(user(findings, cause, actor))
    };
    cause.actors.iter().filter_map(user).collect()
}

/// Of its requests that others waited for: preflushes when it is flushes that did it.
pub(super) fn user(findings: &Findings, cause: &Hypothesis, actor: &Actor) -> Culprit {
    let counts =
        |op: Op| (op == Op::Preflush) == (cause.kind == Kind::Flushes) && is_waited_for(op);
    let on_it = |used: &&ActorUse| Some(&used.device) == cause.device.as_ref() && counts(used.op);
    let uses: Vec<&ActorUse> = actor.uses.iter().filter(on_it).collect();
    let sum = |field: fn(&ActorUse) -> u64| {
        uses.iter()
            .fold(0u64, |sum, used| sum.saturating_add(field(used)))
    };
    let tasks: Vec<&BlockedTask> = findings
        .blocked
        .iter()
        .filter(|task| task.actor == Some(actor.id))
        .collect();
    let blame = cause.device.as_deref();
    let blame = blame.and_then(|device| findings.blame_on(device));
    let unfinished = findings.requests.unfinished.iter().filter(|request| {
        request.actor == actor.id
            && Some(&request.device) == cause.device.as_ref()
            && counts(request.op)
    });
    let ages: Vec<u64> = unfinished.map(|request| request.age_ns).collect();
    let ops = sum(|used| used.ops);
    Culprit {
        actor: Some(actor.id),
        label: actor.label.clone(),
        process: actor.process.clone(),
        origin: None,
        decided_by: None,
        ops,
        bytes: sum(|used| used.bytes),
        caused_ns: blame.map(|blame| laid_on(blame, actor.id, |op| !is_discard(op))),
        mean_device_ns: mean(sum(|used| used.device_ns), ops).filter(|ns| *ns > 0),
        slowest_ns: uses.iter().map(|used| used.slowest_ns).max(),
        unfinished_ops: ages.len() as u64,
        oldest_unfinished_ns: ages.into_iter().max(),
        sleep: sleep(&tasks),
    }
}

/// Of the groups of one actor; the first was read from its stack, if any was.
fn culprit(findings: &Findings, groups: &[&DiscardGroup]) -> Option<Culprit> {
    let first = groups.iter().min_by_key(|group| group.inferred)?;
    let tasks: Vec<&BlockedTask> = findings
        .blocked
        .iter()
        .filter(|task| groups.iter().any(|group| is_submitted_by(group, task)))
        .collect();
    let (label, process) = identity(findings, first, &tasks);
    let ops = sum(groups, |group| group.ops);
    let blame = findings.blame_on(&first.device);
    Some(Culprit {
        actor: (first.actor != UNKNOWN).then_some(first.actor),
        label,
        process,
        origin: Some(first.origin),
        decided_by: first.decided_by.clone(),
        ops,
        bytes: sum(groups, |group| group.bytes),
        caused_ns: blame.map(|blame| laid_on(blame, first.actor, is_discard)),
        mean_device_ns: mean(sum(groups, |group| group.device_ns), ops).filter(|ns| *ns > 0),
        slowest_ns: groups.iter().filter_map(|group| group.slowest_ns).max(),
        unfinished_ops: sum(groups, |group| group.unfinished_ops),
        oldest_unfinished_ns: groups
            .iter()
            .filter_map(|group| group.oldest_unfinished_ns)
            .max(),
        sleep: sleep(&tasks),
    })
}

fn sum(groups: &[&DiscardGroup], field: fn(&DiscardGroup) -> u64) -> u64 {
    groups
        .iter()
        .fold(0, |sum, group| sum.saturating_add(field(group)))
}

/// As a submitter of requests, or else as the task that sleeps for them.
fn identity(
    findings: &Findings,
    group: &DiscardGroup,
    tasks: &[&BlockedTask],
) -> (String, Option<Process>) {
    let actor = findings.actors.iter().find(|actor| actor.id == group.actor);
    let known = actor.filter(|actor| actor.process.is_some());
    match (known, tasks.first()) {
        (Some(actor), _) => (actor.label.clone(), actor.process.clone()),
        (None, Some(task)) => (task.label.clone(), Some(task.process.clone())),
        (None, None) => ("unknown submitter".to_owned(), None),
    }
}

pub(super) fn sleep(tasks: &[&BlockedTask]) -> Option<Sleep> {
    let sum = |field: fn(&BlockedTask) -> u64| {
        tasks
            .iter()
            .fold(0u64, |sum, task| sum.saturating_add(field(task)))
    };
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
    let ended = task
        .reasons
        .iter()
        .fold(0u64, |sum, row| sum.saturating_add(row.before_ns));
    ended.saturating_add(task.unfinished.as_ref().map_or(0, |sleep| sleep.before_ns))
}

fn main_reason(tasks: &[&BlockedTask]) -> Reason {
    let ended = tasks
        .iter()
        .flat_map(|task| &task.reasons)
        .map(|row| (row.blocked_ns, row.reason));
    let unfinished = tasks.iter().filter_map(|task| task.unfinished.as_ref());
    let all = ended.chain(unfinished.map(|sleep| (sleep.in_window_ns, sleep.reason)));
    all.max_by_key(|(ns, _)| *ns)
        .map_or(Reason::Unknown, |(_, reason)| reason)
}

/// Who waited: on the device of the cause, or on every stalled device when there is none; and tasks long in D.
pub(super) fn waiters(
    findings: &Findings,
    stalls: &Stalls,
    cause: Option<&Hypothesis>,
) -> Vec<Waiter> {
    if let Some(cause) = cause.filter(|cause| cause.kind == Kind::LockHolder) {
        return holder::waiters(findings, cause);
    }
    let heavy: &[u32] = match cause {
        Some(cause) if cause.kind == Kind::HeavyNeighbour => &cause.actors,
        _ => &[],
    };
    let devices: Vec<&String> = match cause {
        Some(cause) => cause.device.iter().collect(),
        None => stalls.devices.iter().collect(),
    };
    let mut waiters: Vec<Waiter> = devices
        .into_iter()
        .flat_map(|device| on_device(findings, device))
        .filter(|waiter| waiter.actor.is_none_or(|actor| !heavy.contains(&actor)))
        .collect();
    let known = |task: &&BlockedTask| {
        task.actor.is_some_and(|actor| {
            heavy.contains(&actor) || waiters.iter().any(|waiter| waiter.actor == Some(actor))
        })
    };
    let tasks = stalls.tasks.iter().map(|row| &findings.blocked[*row]);
    let others: Vec<Waiter> = tasks.filter(|task| !known(task)).map(long_in_d).collect();
    waiters.extend(others);
    waiters.sort_by_key(|waiter| (rank(waiter), Reverse(pain(waiter))));
    waiters
}

/// Processes before the kernel's threads; those not known last.
const fn rank(waiter: &Waiter) -> u8 {
    match (waiter.pid, waiter.kernel_thread) {
        (Some(_), false) => 0,
        (Some(_), true) => 1,
        (None, _) => 2,
    }
}

/// What would not have been waited where that is known; else what was waited.
fn pain(waiter: &Waiter) -> u64 {
    let waited = waiter
        .excess_ns
        .map_or(waiter.waited_ns, |ns| u64::try_from(ns).unwrap_or(0));
    waited
        .saturating_add(waiter.oldest_unfinished_ns.unwrap_or(0))
        .max(waiter.blocked_ns.filter(|_| waiter.ops == 0).unwrap_or(0))
}

/// Actors with a slow or unfinished request on the device that sent it no discards; when there are none,
/// those that did.
fn on_device(findings: &Findings, device: &str) -> Vec<Waiter> {
    let trims = |actor| {
        findings
            .discards
            .iter()
            .any(|group| group.actor == actor && group.origin == Origin::FilesystemTrim)
    };
    let rows = findings.actors.iter().filter(|actor| !trims(actor.id));
    let waiters = rows.map(|actor| waiter(findings, device, actor.id, &actor.label));
    let is_victim = |waiter: &Waiter| {
        let submits = |group: &DiscardGroup| {
            group.device == device && Some(group.actor) == waiter.actor && !is_own_victim(group)
        };
        !findings.discards.iter().any(submits)
    };
    let hurt: Vec<Waiter> = waiters
        .filter(|waiter| waiter.slow_ops > 0 || waiter.unfinished_ops > 0)
        .collect();
    let (victims, submitters): (Vec<Waiter>, Vec<Waiter>) = hurt.into_iter().partition(is_victim);
    if victims.is_empty() {
        submitters
    } else {
        victims
    }
}

fn waiter(findings: &Findings, device: &str, actor: u32, label: &str) -> Waiter {
    let victim = findings
        .victims
        .iter()
        .find(|victim| victim.device == device && victim.actor == actor);
    let uses = findings
        .actors
        .iter()
        .filter(|one| one.id == actor)
        .flat_map(|one| &one.uses);
    let uses: Vec<_> = uses
        .filter(|used| used.device == device && is_waited_for(used.op))
        .collect();
    let ages: Vec<u64> = findings
        .requests
        .unfinished
        .iter()
        .filter(|request| {
            request.device == device && request.actor == actor && is_waited_for(request.op)
        })
        .map(|request| request.age_ns)
        .collect();
    let exposure = victim.map(|victim: &Victim| &victim.all);
    let actor_row = findings.actors.iter().find(|one| one.id == actor);
    let process = actor_row.and_then(|one| one.process.as_ref());
    Waiter {
        actor: Some(actor),
        label: label.to_owned(),
        pid: process.map(|process| process.pid),
        kernel_thread: process.is_some_and(|process| process.kernel_thread),
        device: Some(device.to_owned()),
        ops: uses
            .iter()
            .fold(0, |sum, used| sum.saturating_add(used.ops)),
        slow_ops: uses
            .iter()
            .fold(0, |sum, used| sum.saturating_add(used.slow_ops)),
        waited_ns: exposure.map_or_else(
            || {
                uses.iter()
                    .fold(0, |sum, used| sum.saturating_add(used.total_ns))
            },
            waited,
        ),
        excess_ns: exposure.and_then(|exposure| exposure.excess_ns),
        exposed_mean_ns: exposure.and_then(|exposure| exposure.exposed.mean_ns),
        unexposed_mean_ns: exposure.and_then(|exposure| exposure.unexposed.mean_ns),
        unfinished_ops: ages.len() as u64,
        oldest_unfinished_ns: ages.into_iter().max(),
        blocked_ns: blocked(findings, actor),
    }
}

fn blocked(findings: &Findings, actor: u32) -> Option<u64> {
    let tasks = findings
        .blocked
        .iter()
        .filter(|task| task.actor == Some(actor));
    let sum = tasks.fold(0u64, |sum, task| sum.saturating_add(task.in_window_ns));
    (sum > 0).then_some(sum)
}

pub(super) fn long_in_d(task: &BlockedTask) -> Waiter {
    Waiter {
        actor: task.actor,
        label: task.label.clone(),
        pid: Some(task.process.pid),
        kernel_thread: task.process.kernel_thread,
        device: None,
        ops: 0,
        slow_ops: 0,
        waited_ns: 0,
        excess_ns: None,
        exposed_mean_ns: None,
        unexposed_mean_ns: None,
        unfinished_ops: 0,
        oldest_unfinished_ns: None,
        blocked_ns: Some(task.in_window_ns),
    }
}

/// Mount points of the filesystems on a device and on devices made of it, those the culprits name first.
pub(super) fn mount_points(findings: &Findings, device: &str, culprits: &[Culprit]) -> Vec<String> {
    let on_it = |one: &&Device| one.id == device || one.bottom.iter().any(|id| id == device);
    let mounts = findings.devices.iter().filter(on_it).flat_map(mounts_of);
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
    device.mounts.iter().chain(
        device
            .partitions
            .iter()
            .flat_map(|partition| &partition.mounts),
    )
}
