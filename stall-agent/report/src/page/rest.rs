//! Discards, locks, what was lost, and what made the page.

use maud::{Markup, html};

use super::stacks;
use super::verdict::more;
use super::{figure, foreign};
use crate::model::{Chain, ChainEnd, DiscardGroup};
use crate::text::word;
use crate::{Report, duration};

const GROUPS: usize = 10;
const CHAINS: usize = 10;
const GAPS: usize = 10;

/// By submitter, device and what for; stacks on demand.
pub(super) fn discards(report: &Report) -> Markup {
    html! {
        @if !report.discards.is_empty() {
            section #discards {
                h2 { "Discards" }
                @for (number, group) in report.discards.iter().take(GROUPS).enumerate() { (discard(report, number, group)) }
                (more(report.discards.len(), GROUPS))
            }
        }
    }
}

fn discard(report: &Report, number: usize, group: &DiscardGroup) -> Markup {
    let place = format!("/discards/{number}");
    let label = report.actors.iter().find(|actor| actor.id == group.actor);
    let label = label.map_or("?", |actor| actor.label.as_str());
    html! {
        details {
            summary {
                (foreign::short(label)) " on " (foreign::short(&group.device)) ": " (word(&group.origin)) ", "
                (figure::count(&place, "ops", group.ops)) " ended, " (figure::size(&place, "bytes", group.bytes))
                @if group.mean_device_ns.is_some() { ", " (figure::time(&place, "mean_device_ns", group.mean_device_ns)) " each" }
                @if group.unfinished_ops > 0 { ", " (figure::count(&place, "unfinished_ops", group.unfinished_ops)) " not ended" }
                @if group.inferred { ", inferred" }
            }
            @for index in group.stacks.iter().take(4) {
                (stacks::one(report, Some(*index), "submitted from", ""))
            }
        }
    }
}

/// Who waits for whose lock.
pub(super) fn chains(report: &Report) -> Markup {
    html! {
        @if !report.chains.is_empty() {
            section #locks {
                h2 { "Locks" }
                ul { @for (number, one) in report.chains.iter().take(CHAINS).enumerate() { (chain(number, one)) } }
                (more(report.chains.len(), CHAINS))
            }
        }
    }
}

fn chain(number: usize, one: &Chain) -> Markup {
    let end = match one.end {
        ChainEnd::Waits => "",
        ChainEnd::Runs => ", which held it and was in no long sleep",
        ChainEnd::Unknown => ", held by nobody known",
        ChainEnd::Cut => ", and so on",
    };
    html! {
        li {
            (figure::time(&format!("/chains/{number}"), "waited_ns", one.waited_ns)) ": "
            @for (index, link) in one.links.iter().enumerate() {
                @if index > 0 { " waits for " }
                strong { (foreign::short(&link.label)) }
                @if let Some(reason) = link.reason { " (for " (word(&reason)) @if let Some(device) = &link.device { " on " (foreign::short(device)) } ")" }
            }
            (end)
        }
    }
}

/// What was not measured or could not be named.
pub(super) fn losses(report: &Report) -> Markup {
    html! {
        section #losses {
            h2 { "What is missing" }
            @if report.losses.causes.is_empty() { p { "Nothing was lost." } }
            ul {
                @for (number, loss) in report.losses.causes.iter().enumerate() {
                    li { (figure::count(&format!("/losses/causes/{number}"), "count", loss.count)) " " (foreign::text(&loss.cause.replace('_', " "))) }
                }
                @for cost in &report.host.view.costs { li { (foreign::text(cost)) } }
                @for gap in report.name_gaps.iter().take(GAPS) {
                    li { "name of " (foreign::text(&gap.what)) " (" (gap.count) "): " (foreign::text(&gap.reason)) }
                }
            }
        }
    }
}

/// What made the page, and of what.
pub(super) fn footer(report: &Report) -> Markup {
    html! {
        footer {
            p.muted {
                "Made by stall-agent " (env!("CARGO_PKG_VERSION")) " from a report (" (foreign::text(&report.schema)) ") of "
                (foreign::text(&report.agent.version)) ": one snapshot each " (duration(report.settings.interval_ns))
                ", slow from " (duration(report.settings.slow_ns)) " on. Every number is defined in docs/report.md."
            }
        }
    }
}
