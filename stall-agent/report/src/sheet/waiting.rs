//! Who waited, for whom, and in which sleep.

use super::paper::{Align, Column, Paper, most};
use crate::model::{BlameRow, BlockedTask, Chain, ChainEnd, ChainLink, Culprit};
use crate::summary::{in_order, waiter};
use crate::text::cut;
use crate::text::word;
use crate::{Report, duration, share, thousands};

const CULPRITS: usize = 5;
/// Cells of a culprit's command line.
const COMMAND: usize = 140;
const WAITERS: usize = 8;
const VICTIMS: usize = 6;
const CELLS: usize = 4;
const CHAINS: usize = 6;
const TASKS: usize = 10;

/// Time, what for.
const CELL: [Column; 3] = [(10, Align::Right), (6, Align::Right), (58, Align::Left)];
/// Time in D, sleeps, longest, what for, who.
const TASK: [Column; 4] = [
    (9, Align::Right),
    (9, Align::Right),
    (22, Align::Left),
    (34, Align::Left),
];

/// Those to blame, and those that waited.
pub(super) fn who(paper: &mut Paper, report: &Report) {
    if !report.verdict.culprits.is_empty() {
        paper.heading("WHO DID IT");
        most(paper, &report.verdict.culprits, CULPRITS, |paper, one| {
            paper.item("  ", &culprit(one));
        });
    }
    if !report.verdict.waiters.is_empty() {
        paper.heading("WHO WAITED");
        let waiters = in_order(&report.verdict.waiters);
        most(paper, &waiters, WAITERS, |paper, one| {
            paper.item("  ", &waiter(one));
        });
    }
}

fn culprit(one: &Culprit) -> String {
    let mut parts = vec![one.label.clone()];
    if let Some(command) = one
        .process
        .as_ref()
        .and_then(|process| process.command.as_ref())
    {
        parts.push(format!("command: {}", cut(command, COMMAND)));
    }
    if one.ops > 0 {
        parts.push(format!("{} requests", thousands(one.ops)));
    }
    if let Some(mean) = one.mean_device_ns {
        parts.push(format!("{} each", duration(mean)));
    }
    if let Some(caused) = one.caused_ns.filter(|ns| *ns > 0) {
        parts.push(format!("others waited {} for it", duration(caused)));
    }
    if let Some(sleep) = &one.sleep {
        parts.push(format!(
            "blocked (D state) {} over all threads",
            duration(sleep.total_ns)
        ));
    }
    parts.join("; ")
}

/// Who delayed whom, on each device.
pub(super) fn table(paper: &mut Paper, report: &Report) {
    for blame in &report.blame {
        let mut slow: Vec<&BlameRow> = blame
            .victims
            .iter()
            .filter(|row| row.slow_ops > 0)
            .collect();
        slow.sort_by_key(|row| std::cmp::Reverse(slow_ns(row)));
        if slow.is_empty() {
            continue;
        }
        paper.heading(&format!("WHO DELAYED WHOM on {}", blame.device));
        most(paper, &slow, VICTIMS, |paper, row| victim(paper, row));
    }
}

const fn slow_ns(row: &BlameRow) -> u64 {
    row.waited_ns.saturating_sub(row.fast_ns)
}

fn victim(paper: &mut Paper, row: &BlameRow) {
    let all = slow_ns(row);
    paper.text_at(
        1,
        &format!(
            "{} waited {} in {} slow requests, for",
            row.label,
            duration(all),
            thousands(row.slow_ops)
        ),
    );
    let own = [
        ("the device itself", row.device_ns),
        ("its own other requests", row.own_ns),
        ("not explained", row.unexplained_ns),
    ];
    let mut parts: Vec<(String, u64)> = own
        .into_iter()
        .map(|(what, ns)| (what.to_owned(), ns))
        .collect();
    parts.extend(row.by.iter().map(|cell| {
        let origin = cell.origin.map(|origin| format!(" ({})", word(&origin)));
        (
            format!(
                "{}: {}{}",
                cell.label,
                word(&cell.op),
                origin.unwrap_or_default()
            ),
            cell.waited_ns,
        )
    }));
    // A thousandth says nothing.
    parts.retain(|(_, ns)| *ns > all / 1_000);
    parts.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    for (what, ns) in parts.iter().take(CELLS) {
        let part = share(*ns as f64 / all.max(1) as f64);
        paper.row(&CELL, &[&duration(*ns), &part, what]);
    }
}

/// Who waits for whose lock.
pub(super) fn chains(paper: &mut Paper, report: &Report) {
    if report.chains.is_empty() {
        return;
    }
    paper.heading("LOCKS");
    most(paper, &report.chains, CHAINS, |paper, one| {
        paper.item("  ", &chain(one));
    });
}

fn chain(one: &Chain) -> String {
    let links: Vec<String> = one.links.iter().map(link).collect();
    let end = match one.end {
        ChainEnd::Waits => "",
        ChainEnd::Runs => ", which held it and was in no long sleep",
        ChainEnd::Unknown => ", held by nobody known",
        ChainEnd::Cut => ", and so on",
    };
    format!("{}: {}{end}", duration(one.waited_ns), links.join(" <- "))
}

fn link(one: &ChainLink) -> String {
    let reason = one
        .reason
        .map(|reason| format!(" waits for {}", word(&reason)));
    let device = one.device.as_ref().map(|device| format!(" on {device}"));
    format!(
        "{}{}{}",
        one.label,
        reason.unwrap_or_default(),
        device.unwrap_or_default()
    )
}

/// Tasks in D, longest first.
pub(super) fn blocked(paper: &mut Paper, report: &Report) {
    let long: Vec<&BlockedTask> = report
        .blocked
        .iter()
        .filter(|task| task.in_window_ns > 0)
        .collect();
    if long.is_empty() {
        return;
    }
    paper.heading("IN UNINTERRUPTIBLE SLEEP (D)");
    paper.row(&TASK, &["in D", "longest", "mostly for", "who"]);
    most(paper, &long, TASKS, |paper, task| {
        let unfinished = task.unfinished.as_ref();
        let longest = task
            .longest_ns
            .max(unfinished.map_or(0, |sleep| sleep.age_ns));
        let ended = task.reasons.first().map(|row| (row.blocked_ns, row.reason));
        let open = unfinished.map(|sleep| (sleep.in_window_ns, sleep.reason));
        let reason = ended.into_iter().chain(open).max_by_key(|(ns, _)| *ns);
        let still = if unfinished.is_some() { ", still" } else { "" };
        let reason = reason.map_or_else(
            || "short sleeps".to_owned(),
            |(_, reason)| word(&reason) + still,
        );
        paper.row(
            &TASK,
            &[
                &duration(task.in_window_ns),
                &duration(longest),
                &reason,
                &task.label,
            ],
        );
    });
}
