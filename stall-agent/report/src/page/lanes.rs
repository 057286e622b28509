//! Who was in uninterruptible sleep when: a lane for each thread, as high as the part of the time it slept, in the
//! colour of what it waited for; its stacks open on a click.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::heat::{self, WIDTH, stretched};
use super::path::Path;
use super::stacks::Stacks;
use super::time_axis::{Column, TimeAxis};
use super::{figure, foreign};
use crate::model::{BlockedTask, Reason};
use crate::text::word;
use crate::{Report, duration};

/// Threads drawn.
const THREADS: usize = 24;
const HEIGHT: f64 = 22.0;
/// Kinds of reasons, as the legend has them.
const GROUPS: [&str; 4] = [
    "for its own discards",
    "for the disk (read, write, flush, request tag, throttling)",
    "for a lock, a page or the journal",
    "for something else, or not known",
];

pub(super) fn section(report: &Report, axis: &TimeAxis) -> Markup {
    let shown: Vec<(usize, &BlockedTask)> = report
        .blocked
        .iter()
        .enumerate()
        .filter(|(_, task)| task.in_window_ns > 0)
        .take(THREADS)
        .collect();
    html! {
        section #blocked {
            h2 { "Who was blocked when" }
            @if shown.is_empty() {
                p.muted { "No thread was in uninterruptible sleep (D)." }
            } @else {
                p.muted { "Uninterruptible sleep (D) of threads, the longest first. A bar as high as its lane is all the time. Open one for its kernel stacks." }
                ul.legend {
                    @for (group, words) in GROUPS.iter().enumerate() {
                        li { (swatch(group)) " " (words) }
                    }
                }
                @for (number, task) in &shown { (lane(report, axis, (*number, task))) }
                (axis.scale())
                @if report.blocked.len() > shown.len() {
                    p.muted { (report.blocked.len() - shown.len()) " more are in the report." }
                }
            }
        }
    }
}

const fn group(reason: Reason) -> usize {
    match reason {
        Reason::Discard => 0,
        Reason::Zeroout
        | Reason::Read
        | Reason::Write
        | Reason::Flush
        | Reason::RequestTag
        | Reason::WritebackThrottling
        | Reason::DirtyThrottling
        | Reason::BlockThrottle
        | Reason::StackedDevice
        | Reason::UserSpaceServer
        | Reason::NetworkStorage
        | Reason::Swap
        | Reason::OtherIo => 1,
        Reason::Journal
        | Reason::PageLock
        | Reason::PageWriteback
        | Reason::Lock
        | Reason::FrozenFilesystem
        | Reason::QueueFrozen => 2,
        Reason::MemoryReclaim | Reason::Other | Reason::Unknown => 3,
    }
}

fn swatch(group: usize) -> Markup {
    html! {
        svg.swatch width="14" height="14" aria-hidden="true" {
            rect class={ "g" (group) } width="14" height="14" {}
            @if group == 0 { rect.stripes width="14" height="14" {} }
        }
    }
}

fn lane(report: &Report, axis: &TimeAxis, (number, task): (usize, &BlockedTask)) -> Markup {
    let place = format!("/blocked/{number}");
    let cells = Cells::new(report, axis, number);
    html! {
        details.lane {
            summary {
                div.name {
                    span.who { (foreign::short(&task.label)) @if task.comm != task.process.comm { " \u{b7} " (foreign::short(&task.comm)) } }
                    span.muted {
                        "in D " (figure::time(&place, "in_window_ns", task.in_window_ns))
                        @if let Some(reason) = mostly(task) { ", mostly for " (word(&reason)) }
                        @if task.unfinished.is_some() { ", still" }
                        @if let Some(drawn) = cells.less_than(task.in_window_ns) { "; " (drawn) " recorded one by one and drawn" }
                    }
                }
                (cells.draw(axis, &task.label))
            }
            (Stacks::of(report, task))
        }
    }
}

/// What it waited for the longest.
fn mostly(task: &BlockedTask) -> Option<Reason> {
    let open = task.unfinished.as_ref();
    let open = open.map(|sleep| (sleep.in_window_ns, sleep.reason));
    let ended = task.reasons.iter().map(|row| (row.blocked_ns, row.reason));
    let all = ended.chain(open);
    all.max_by_key(|(ns, _)| *ns).map(|(_, reason)| reason)
}

/// One thread in each column: how much of it, and for what.
struct Cells(BTreeMap<usize, (f64, f64, Reason)>);

impl Cells {
    fn new(report: &Report, axis: &TimeAxis, number: usize) -> Self {
        let columns = axis.columns.iter().enumerate();
        let cells = columns.filter_map(|(at, column)| Some((at, cell(report, column, number)?)));
        Self(cells.collect())
    }

    /// How much is drawn, where that is less than nine tenths of all.
    fn less_than(&self, all_ns: u64) -> Option<String> {
        let drawn: f64 = self.0.values().map(|(_, ns, _)| ns).sum();
        (drawn < all_ns as f64 * 0.9).then(|| duration(drawn as u64))
    }

    fn draw(&self, axis: &TimeAxis, label: &str) -> Markup {
        let paths = self.paths(axis);
        let hits = heat::hits(axis, HEIGHT, |number, column| {
            let (part, ns, reason) = self.0.get(&number)?;
            let part = crate::share(*part);
            Some(format!(
                "{}\nin D {} ({part}), mostly for {}",
                axis.span(column),
                duration(*ns as u64),
                word(reason)
            ))
        });
        html! {
            svg.plot.cells width="100%" height=(HEIGHT) role="img" aria-label={ "When " (foreign::text(label)) " was in D" } {
                (stretched(HEIGHT, &html! {
                    @for (group, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
                        path class={ "g" (group) } d=(path.data()) {}
                        @if group == 0 { path.stripes d=(path.data()) {} }
                    }
                }))
                (hits)
            }
        }
    }

    fn paths(&self, axis: &TimeAxis) -> [Path; GROUPS.len()] {
        let mut paths: [Path; GROUPS.len()] = Default::default();
        for (number, column) in axis.columns.iter().enumerate() {
            if let Some((part, _, reason)) = self.0.get(&number) {
                // What there is must be seen.
                let height = (HEIGHT * part).max(1.5);
                paths[group(*reason)].rectangle(
                    (column.from * WIDTH, HEIGHT - height),
                    (column.width() * WIDTH, height),
                );
            }
        }
        paths
    }
}

fn cell(report: &Report, column: &Column, number: usize) -> Option<(f64, f64, Reason)> {
    let rows = column.of(report).iter().flat_map(|one| &one.blocked);
    let rows = rows.filter(|row| row.task as usize == number);
    let mut by_reason = BTreeMap::<Reason, f64>::new();
    for row in rows {
        *by_reason.entry(row.reason).or_default() += row.blocked_ns as f64;
    }
    let ns: f64 = by_reason.values().sum();
    let most = by_reason
        .into_iter()
        .max_by(|one, other| one.1.total_cmp(&other.1));
    let part = (ns / column.length_ns(report).max(1.0)).min(1.0);
    most.map(|(reason, _)| (part, ns, reason))
}
