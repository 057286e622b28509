//! Tasks in uninterruptible sleep: how long, in the window and before it, and what for.

use std::collections::{BTreeMap, HashMap};

use super::names::{Names, process_label};
use super::reason::{self, facts};
use super::{origin, symbol};
use stall_capture::{Blocked, Capture, EndedSleep, Task};
use stall_report::model::{
    BlockedReason, BlockedStack, BlockedTask, LongSleep, Reason, UnfinishedSleep,
};

/// Long sleeps shown one by one for each task.
const SHOWN: usize = 10;

/// All tasks with their ids in the capture, those longest in D first.
pub(super) fn tasks(capture: &Capture, names: &Names<'_>) -> (Vec<u32>, Vec<BlockedTask>) {
    let rows = by_task(&capture.blocked, |row| row.task);
    let sleeps = by_task(&capture.long_sleeps, |sleep| sleep.task);
    let none = Vec::new();
    let mut tasks: Vec<(u32, BlockedTask)> = capture
        .tasks
        .iter()
        .map(|task| {
            let long = long_sleeps(capture, sleeps.get(&task.id).unwrap_or(&Vec::new()));
            let rows = rows.get(&task.id).unwrap_or(&none);
            (task.id, self::task(capture, names, task, rows, long))
        })
        .collect();
    tasks.sort_by_key(|(_, task)| (std::cmp::Reverse(task.in_window_ns), task.tid));
    tasks.into_iter().unzip()
}

fn by_task<T>(rows: &[T], task: fn(&T) -> u32) -> HashMap<u32, Vec<&T>> {
    let mut by_task: HashMap<u32, Vec<&T>> = HashMap::new();
    for row in rows {
        by_task.entry(task(row)).or_default().push(row);
    }
    by_task
}

fn task(
    capture: &Capture,
    names: &Names<'_>,
    task: &Task,
    rows: &[&Blocked],
    long_sleeps: Vec<LongSleep>,
) -> BlockedTask {
    let stacks = stacks(capture, rows);
    let (killable, plain): (Vec<&BlockedStack>, Vec<&BlockedStack>) =
        stacks.iter().partition(|row| row.killable);
    let unfinished = unfinished(capture, task);
    let killable_ns = sum(&killable, |row| row.blocked_ns);
    let blocked_ns = sum(&plain, |row| row.blocked_ns).saturating_add(task.short_ns);
    let pending_ns = unfinished.as_ref().map_or(0, |sleep| sleep.in_window_ns);
    BlockedTask {
        tid: task.tid,
        comm: task.comm.clone(),
        label: process_label(&task.process),
        process: names.process(&task.process),
        actor: names.actor_of(&task.process),
        trim_function: trim_function(capture, task.id, rows),
        sleeps: sum(&plain, |row| row.sleeps).saturating_add(task.short_sleeps),
        blocked_ns,
        before_ns: sum(&plain, |row| row.before_ns),
        longest_ns: plain.iter().map(|row| row.longest_ns).max().unwrap_or(0),
        killable_sleeps: sum(&killable, |row| row.sleeps),
        killable_ns,
        short_sleeps: task.short_sleeps,
        short_ns: task.short_ns,
        unfinished,
        in_window_ns: blocked_ns
            .saturating_add(killable_ns)
            .saturating_add(pending_ns),
        reasons: reasons(&stacks),
        stacks,
        long_sleeps,
    }
}

fn sum(rows: &[&BlockedStack], field: fn(&BlockedStack) -> u64) -> u64 {
    rows.iter()
        .fold(0, |sum, row| sum.saturating_add(field(row)))
}

fn stacks(capture: &Capture, rows: &[&Blocked]) -> Vec<BlockedStack> {
    let mut stacks: Vec<BlockedStack> =
        rows.iter().map(|row| blocked_stack(capture, row)).collect();
    stacks.sort_by_key(|row| std::cmp::Reverse(row.blocked_ns));
    stacks
}

fn blocked_stack(capture: &Capture, row: &Blocked) -> BlockedStack {
    let decision = reason::decide(symbol::stack(capture, row.stack), facts(false, row.io_wait));
    BlockedStack {
        stack: row.stack,
        reason: decision.reason,
        family: decision.family,
        decided_by: decision.decided_by,
        called_from: decision.called_from,
        killable: row.killable,
        sleeps: row.sleeps,
        blocked_ns: row.blocked_ns,
        before_ns: row.before_ns,
        longest_ns: row.longest_ns,
    }
}

fn reasons(stacks: &[BlockedStack]) -> Vec<BlockedReason> {
    let mut by_reason = BTreeMap::<(Reason, Option<&str>), BlockedReason>::new();
    for row in stacks {
        let empty = BlockedReason {
            reason: row.reason,
            family: row.family.clone(),
            sleeps: 0,
            blocked_ns: 0,
            before_ns: 0,
            longest_ns: 0,
        };
        let sum = by_reason
            .entry((row.reason, row.family.as_deref()))
            .or_insert(empty);
        sum.sleeps = sum.sleeps.saturating_add(row.sleeps);
        sum.blocked_ns = sum.blocked_ns.saturating_add(row.blocked_ns);
        sum.before_ns = sum.before_ns.saturating_add(row.before_ns);
        sum.longest_ns = sum.longest_ns.max(row.longest_ns);
    }
    let mut reasons: Vec<BlockedReason> = by_reason.into_values().collect();
    reasons.sort_by_key(|row| std::cmp::Reverse(row.blocked_ns));
    reasons
}

fn unfinished(capture: &Capture, task: &Task) -> Option<UnfinishedSleep> {
    let sleep = capture
        .unfinished_sleeps
        .iter()
        .find(|sleep| sleep.task == task.id)?;
    let facts = facts(sleep.holder.is_some(), sleep.io_wait);
    let decision = reason::decide(symbol::stack(capture, sleep.stack), facts);
    let window = &capture.window;
    let age_ns = window.end_ns.saturating_sub(sleep.start_ns);
    let before_ns = window.start_ns.saturating_sub(sleep.start_ns);
    Some(UnfinishedSleep {
        start_ns: sleep.start_ns,
        age_ns,
        in_window_ns: age_ns.saturating_sub(before_ns),
        before_ns,
        killable: sleep.killable,
        reason: decision.reason,
        family: decision.family,
        decided_by: decision.decided_by,
        called_from: decision.called_from,
        stack: sleep.stack,
    })
}

/// Any of its sleeps may show it: a trim waits for tags and metadata as well as for discards.
fn trim_function(capture: &Capture, task: u32, rows: &[&Blocked]) -> Option<String> {
    let unfinished = capture
        .unfinished_sleeps
        .iter()
        .filter(|sleep| sleep.task == task)
        .map(|sleep| sleep.stack);
    let stacks = rows.iter().map(|row| row.stack).chain(unfinished);
    let mut trims = stacks.filter_map(|stack| origin::inside_trim(symbol::stack(capture, stack)?));
    trims.next().map(str::to_owned)
}

fn long_sleeps(capture: &Capture, sleeps: &[&EndedSleep]) -> Vec<LongSleep> {
    let mut sleeps = sleeps.to_vec();
    sleeps.sort_by_key(|sleep| std::cmp::Reverse(sleep.end_ns.saturating_sub(sleep.start_ns)));
    let shown = sleeps.into_iter().take(SHOWN);
    shown.map(|sleep| long_sleep(capture, sleep)).collect()
}

fn long_sleep(capture: &Capture, sleep: &EndedSleep) -> LongSleep {
    let decision = reason::decide(
        symbol::stack(capture, sleep.stack),
        facts(false, sleep.io_wait),
    );
    LongSleep {
        start_ns: sleep.start_ns,
        end_ns: sleep.end_ns,
        length_ns: sleep.end_ns.saturating_sub(sleep.start_ns),
        reason: decision.reason,
        family: decision.family,
        killable: sleep.killable,
        stack: sleep.stack,
    }
}
