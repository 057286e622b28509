//! Discards by submitter, device and what they were for.

use std::collections::BTreeMap;

use stall_common::actor::UNKNOWN;

use super::names::Names;
use super::origin::{self, Decision};
use super::symbol;
use crate::number::mean;
use stall_capture::is_discard;
use stall_capture::{Capture, Discards, Op, UnfinishedRequest};
use stall_report::model::{BlockedTask, DiscardGroup, Origin};

/// A task that falls asleep so soon after a discard was submitted waits for it.
const SAME_SLEEP_NS: u64 = 10_000_000;

/// Groups, those with the most time at the device first.
pub(super) fn groups(capture: &Capture, names: &Names<'_>) -> Vec<DiscardGroup> {
    let mut groups = Groups {
        capture,
        names,
        rows: BTreeMap::new(),
    };
    for row in &capture.discards {
        groups.add_ended(row);
    }
    for request in capture
        .unfinished_requests
        .iter()
        .filter(|request| is_discard(request.op))
    {
        groups.add_unfinished(request);
    }
    let mut rows: Vec<DiscardGroup> = groups.rows.into_values().collect();
    rows.sort_by_key(|group| std::cmp::Reverse(time(group)));
    rows
}

/// Rule D1 of `docs/principles.md`: what discards older than the first hook were for.
pub(super) fn infer_origins(
    groups: &mut [DiscardGroup],
    blocked: &[BlockedTask],
    (start_ns, end_ns): (u64, u64),
) {
    let trims: Vec<&BlockedTask> = blocked
        .iter()
        .filter(|task| task.trim_function.is_some() && slept_before(task, start_ns))
        .collect();
    let mut open: Vec<&mut DiscardGroup> = groups
        .iter_mut()
        .filter(|group| is_unattributed(group))
        .collect();
    let only = open.len() == 1;
    for group in &mut open {
        let waiting = trims.iter().filter(|task| waits_for(group, task, end_ns));
        let waiting: Vec<_> = waiting.collect();
        let task = match (waiting.as_slice(), trims.as_slice()) {
            ([task], _) => task,
            (_, [task]) if only => task,
            _ => continue,
        };
        group.inferred_gap_ns = gap(group, task, end_ns);
        group.origin = Origin::FilesystemTrim;
        group.inferred = true;
        group.actor = task.actor.unwrap_or(UNKNOWN);
        group.decided_by.clone_from(&task.trim_function);
    }
}

/// Fell asleep when they were submitted, and still sleeps.
fn waits_for(group: &DiscardGroup, task: &BlockedTask, end_ns: u64) -> bool {
    gap(group, task, end_ns).is_some_and(|ns| ns <= SAME_SLEEP_NS)
}

/// From the submission of the oldest that has not ended to the sleep that has not ended either.
fn gap(group: &DiscardGroup, task: &BlockedTask, end_ns: u64) -> Option<u64> {
    let queued_ns = end_ns.saturating_sub(group.oldest_unfinished_ns?);
    let slept_ns = task.unfinished.as_ref()?.start_ns;
    slept_ns.checked_sub(queued_ns)
}

fn slept_before(task: &BlockedTask, start_ns: u64) -> bool {
    let unfinished = task.unfinished.as_ref();
    unfinished.is_some_and(|sleep| sleep.start_ns <= start_ns)
        || task.reasons.iter().any(|row| row.before_ns > 0)
}

/// Time at the device of the ended, and age of the oldest that has not.
pub(super) fn time(group: &DiscardGroup) -> u64 {
    group
        .device_ns
        .saturating_add(group.oldest_unfinished_ns.unwrap_or(0))
}

fn is_unattributed(group: &DiscardGroup) -> bool {
    group.actor == UNKNOWN && group.origin == Origin::Unknown && group.op == Op::Discard
}

struct Groups<'a> {
    capture: &'a Capture,
    names: &'a Names<'a>,
    rows: BTreeMap<(u16, u32, Op, Origin), DiscardGroup>,
}

impl Groups<'_> {
    fn add_ended(&mut self, row: &Discards) {
        let group = self.group(row.disk, row.actor, row.op, row.stack);
        group.ops = group.ops.saturating_add(row.ops);
        group.bytes = group.bytes.saturating_add(row.bytes);
        group.queue_ns = group.queue_ns.saturating_add(row.queue_ns);
        group.device_ns = group.device_ns.saturating_add(row.device_ns);
        group.mean_device_ns = mean(group.device_ns, group.ops).filter(|ns| *ns > 0);
        group.slowest_ns = group
            .slowest_ns
            .max(Some(row.slowest_ns).filter(|ns| *ns > 0));
        group.first_queued_ns = Some(
            group
                .first_queued_ns
                .map_or(row.first_queued_ns, |ns| ns.min(row.first_queued_ns)),
        );
        group.last_completed_ns = group.last_completed_ns.max(Some(row.last_completed_ns));
    }

    fn add_unfinished(&mut self, request: &UnfinishedRequest) {
        let age_ns = self.capture.window.end_ns.saturating_sub(request.queued_ns);
        let group = self.group(request.disk, request.actor, request.op, request.stack);
        group.unfinished_ops += 1;
        group.oldest_unfinished_ns = group.oldest_unfinished_ns.max(Some(age_ns));
        group.first_queued_ns = Some(
            group
                .first_queued_ns
                .map_or(request.queued_ns, |ns| ns.min(request.queued_ns)),
        );
    }

    fn group(&mut self, disk: u16, actor: u32, op: Op, stack: Option<usize>) -> &mut DiscardGroup {
        let process = self
            .capture
            .actor(actor)
            .and_then(|actor| actor.process.as_ref());
        let decision = origin::decide(self.capture, symbol::stack(self.capture, stack), process);
        let device = self.names.device(disk);
        let key = (disk, actor, op, decision.origin);
        let group = self
            .rows
            .entry(key)
            .or_insert_with(|| empty(device, actor, op, decision));
        if let Some(index) = stack
            && !group.stacks.contains(&index)
        {
            group.stacks.push(index);
        }
        group
    }
}

fn empty(device: String, actor: u32, op: Op, decision: Decision) -> DiscardGroup {
    DiscardGroup {
        device,
        actor,
        op,
        origin: decision.origin,
        decided_by: decision.decided_by,
        inferred: false,
        inferred_gap_ns: None,
        object: decision.object,
        ops: 0,
        bytes: 0,
        queue_ns: 0,
        device_ns: 0,
        mean_device_ns: None,
        slowest_ns: None,
        unfinished_ops: 0,
        oldest_unfinished_ns: None,
        first_queued_ns: None,
        last_completed_ns: None,
        stacks: Vec::new(),
    }
}
