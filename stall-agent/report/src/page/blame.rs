//! Who delayed whom as a picture: a row for each that waited, a column for each that it waited for, darker the longer.

use std::collections::HashMap;

use maud::{Markup, html};

use super::{figure, foreign};
use crate::model::{Blame, BlameCell, BlameRow, Op, Origin};
use crate::text::word;
use crate::{Report, duration};

const VICTIMS: usize = 10;
const CAUSES: usize = 6;
/// Steps of darkness.
const LEVELS: f64 = 6.0;

pub(super) fn section(report: &Report) -> Markup {
    let tables = report.blame.iter().enumerate();
    html! {
        section #blame {
            h2 { "Who delayed whom" }
            @if report.blame.is_empty() { p.muted { "Nobody waited in slow requests." } }
            @for (number, table) in tables { (matrix(number, table)) }
        }
    }
}

/// Whose requests of which kind.
type Cause = (u32, Op, Option<Origin>);

const fn cause(cell: &BlameCell) -> Cause {
    (cell.actor, cell.op, cell.origin)
}

fn matrix(number: usize, table: &Blame) -> Markup {
    let mut rows: Vec<(usize, &BlameRow)> = table.victims.iter().enumerate().collect();
    rows.retain(|(_, row)| row.slow_ops > 0);
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(slow_ns(row)));
    let causes = causes(&rows);
    let most = rows.iter().map(|(_, row)| slow_ns(row)).max().unwrap_or(0);
    let shown = causes.len().min(CAUSES);
    html! {
        @if !rows.is_empty() {
            h3 { "On " (foreign::short(&table.device)) span.muted { " time in slow requests, attributed to those whom the disk served meanwhile" } }
            div.scroll { table.matrix {
                thead { tr {
                    th scope="col" { "waited" }
                    @for (_, label) in &causes[..shown] { th scope="col" { (label) } }
                    th scope="col" { "the device itself" } th scope="col" { "its own requests" } th scope="col" { "not explained" }
                } }
                tbody { @for (index, row) in rows.iter().take(VICTIMS) {
                    (line(&format!("/blame/{number}/victims/{index}"), row, &causes[..shown], most))
                } }
            } }
            @if causes.len() > shown || rows.len() > VICTIMS {
                p.muted { "The report has " (rows.len()) " that waited and " (causes.len()) " that were waited for; the largest are here." }
            }
        }
    }
}

const fn slow_ns(row: &BlameRow) -> u64 {
    row.waited_ns.saturating_sub(row.fast_ns)
}

/// Those waited for the longest first, with what a column is called.
fn causes(rows: &[(usize, &BlameRow)]) -> Vec<(Cause, Markup)> {
    let mut found = HashMap::<Cause, (u64, &BlameCell)>::new();
    for cell in rows.iter().flat_map(|(_, row)| &row.by) {
        let sum = found.entry(cause(cell)).or_insert((0, cell));
        sum.0 = sum.0.saturating_add(cell.waited_ns);
    }
    let mut found: Vec<(Cause, (u64, &BlameCell))> = found.into_iter().collect();
    found.sort_by_key(|(cause, (ns, _))| (std::cmp::Reverse(*ns), *cause));
    let named = found
        .into_iter()
        .map(|(cause, (_, cell))| (cause, name(cell)));
    named.collect()
}

fn name(cell: &BlameCell) -> Markup {
    html! {
        (foreign::short(&cell.label)) span.muted {
            " " (word(&cell.op)) @if let Some(origin) = cell.origin { ", " (word(&origin)) }
        }
    }
}

fn line(place: &str, row: &BlameRow, causes: &[(Cause, Markup)], most: u64) -> Markup {
    let by = |wanted: Cause| row.by.iter().position(|cell| cause(cell) == wanted);
    html! {
        tr {
            th scope="row" {
                (foreign::short(&row.label))
                span.muted { " " (duration(slow_ns(row))) " in " (figure::count(place, "slow_ops", row.slow_ops)) " slow" }
            }
            @for (wanted, _) in causes {
                @match by(*wanted) {
                    Some(at) => (cell(row.by[at].waited_ns, most, &figure::time(&format!("{place}/by/{at}"), "waited_ns", row.by[at].waited_ns))),
                    None => td.l0 {},
                }
            }
            (cell(row.device_ns, most, &figure::time(place, "device_ns", row.device_ns)))
            (cell(row.own_ns, most, &figure::time(place, "own_ns", row.own_ns)))
            (cell(row.unexplained_ns, most, &figure::time(place, "unexplained_ns", row.unexplained_ns)))
        }
    }
}

fn cell(ns: u64, most: u64, number: &Markup) -> Markup {
    let level = (ns as f64 / most.max(1) as f64 * LEVELS).ceil().min(LEVELS);
    html! { td class={ "l" (level) } { (number) } }
}
