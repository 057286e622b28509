//! Who holds a lock, and who waits for it, as a verdict names them.

use std::collections::BTreeMap;

use super::{locks, parties};
use crate::Findings;
use stall_report::model::{
    BlockedTask, Chain, ChainLink, Culprit, Hypothesis, Origin, Reason, Waiter,
};

/// The process at the end of the chains.
pub(super) fn culprit(findings: &Findings, cause: &Hypothesis) -> Option<Culprit> {
    let last = last(findings, cause)?;
    let chains = locks::chains_of(findings, cause);
    let caused_ns = chains.fold(0u64, |sum, chain| sum.saturating_add(chain.waited_ns));
    let actor = last
        .actor
        .and_then(|id| findings.actors.iter().find(|one| one.id == id));
    let tasks: Vec<&BlockedTask> = of_process(findings, last.pid).collect();
    let trims = tasks.iter().any(|task| task.trim_function.is_some());
    let known = actor.map(|actor| parties::user(findings, cause, actor));
    let process = tasks.first().map(|task| task.process.clone());
    Some(Culprit {
        origin: trims.then_some(Origin::FilesystemTrim),
        decided_by: taken_in(findings, cause),
        caused_ns: Some(caused_ns),
        sleep: parties::sleep(&tasks),
        ..known.unwrap_or_else(|| Culprit {
            actor: None,
            label: last.label.clone(),
            process,
            origin: None,
            decided_by: None,
            ops: 0,
            bytes: 0,
            caused_ns: None,
            mean_device_ns: None,
            slowest_ns: None,
            unfinished_ops: 0,
            oldest_unfinished_ns: None,
            sleep: None,
        })
    })
}

/// Those whose sleeps the chains begin with, the most waiting first.
pub(super) fn waiters(findings: &Findings, cause: &Hypothesis) -> Vec<Waiter> {
    let mut by_pid = BTreeMap::<u32, u64>::new();
    for chain in locks::chains_of(findings, cause) {
        if let Some(first) = chain.links.first() {
            let sum = by_pid.entry(first.pid).or_default();
            *sum = sum.saturating_add(chain.waited_ns);
        }
    }
    let mut pids: Vec<(u32, u64)> = by_pid.into_iter().collect();
    pids.sort_by_key(|(pid, ns)| (std::cmp::Reverse(*ns), *pid));
    let tasks = pids
        .iter()
        .filter_map(|(pid, _)| Some((of_process(findings, *pid).next()?, *pid)));
    tasks
        .map(|(task, pid)| Waiter {
            blocked_ns: parties::sleep(&of_process(findings, pid).collect::<Vec<_>>())
                .map(|sleep| sleep.in_window_ns),
            ..parties::long_in_d(task)
        })
        .collect()
}

/// What the holder waits for itself, for most of the time; nothing when it was in no recorded sleep.
pub(super) fn waits_for(findings: &Findings, cause: &Hypothesis) -> Option<Reason> {
    last(findings, cause)?.reason
}

fn last<'a>(findings: &'a Findings, cause: &'a Hypothesis) -> Option<&'a ChainLink> {
    let mut chains = locks::chains_of(findings, cause);
    chains.next().and_then(locks::holder)
}

/// The function in which those waited that waited for it directly.
fn taken_in(findings: &Findings, cause: &Hypothesis) -> Option<String> {
    let before_last = |chain: &Chain| {
        let link = chain.links.iter().rev().nth(1)?;
        link.decided_by.clone()
    };
    locks::chains_of(findings, cause).find_map(before_last)
}

fn of_process(findings: &Findings, pid: u32) -> impl Iterator<Item = &BlockedTask> {
    let tasks = findings.blocked.iter();
    tasks.filter(move |task| task.process.pid == pid)
}
