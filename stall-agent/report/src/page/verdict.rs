//! Who did it, and who waited, with what each cost and was cost.

use maud::{Markup, html};

use super::{figure, foreign};
use crate::Report;
use crate::model::{Culprit, Sleep, Waiter};
use crate::text::word;

const CULPRITS: usize = 5;
const WAITERS: usize = 10;

pub(super) fn parties(report: &Report) -> Markup {
    let verdict = &report.verdict;
    html! {
        div.parties {
            @if !verdict.culprits.is_empty() {
                section.culprits {
                    h2 { "Who did it" }
                    @for (number, one) in verdict.culprits.iter().take(CULPRITS).enumerate() { (culprit(number, one)) }
                    (more(verdict.culprits.len(), CULPRITS))
                }
            }
            @if !verdict.waiters.is_empty() {
                section.waiters {
                    h2 { "Who waited" }
                    @for (number, one) in verdict.waiters.iter().take(WAITERS).enumerate() { (waiter(number, one)) }
                    (more(verdict.waiters.len(), WAITERS))
                }
            }
        }
    }
}

/// How many there are beyond those shown.
pub(super) fn more(all: usize, shown: usize) -> Markup {
    html! { @if all > shown { p.muted { "and " (all - shown) " more in the report" } } }
}

fn culprit(number: usize, one: &Culprit) -> Markup {
    let place = format!("/verdict/culprits/{number}");
    let process = one.process.as_ref();
    html! {
        div.party {
            h3 { (foreign::short(&one.label)) }
            @if let Some(command) = process.and_then(|process| process.command.as_ref()) {
                p { (foreign::code(command, 200)) }
            }
            @if let Some(process) = process { p.muted { "started " (process.started) } }
            dl.figures {
                @if let Some(caused) = one.caused_ns.filter(|ns| *ns > 0) {
                    (pair("others waited for it", &figure::time(&place, "caused_ns", caused)))
                }
                @if one.ops > 0 || one.unfinished_ops > 0 {
                    (pair(&requests(one), &figure::count(&place, "ops", one.ops)))
                }
                @if one.mean_device_ns.is_some() { (pair("each took", &figure::time(&place, "mean_device_ns", one.mean_device_ns))) }
                @if one.unfinished_ops > 0 {
                    (pair("not ended", &figure::count(&place, "unfinished_ops", one.unfinished_ops)))
                    (pair("the oldest for", &figure::time(&place, "oldest_unfinished_ns", one.oldest_unfinished_ns)))
                }
                @if let Some(sleep) = &one.sleep { (asleep(&format!("{place}/sleep"), sleep)) }
            }
        }
    }
}

fn requests(one: &Culprit) -> String {
    one.origin.map_or_else(
        || "its requests".to_owned(),
        |origin| format!("discards ({})", word(&origin)),
    )
}

fn asleep(place: &str, sleep: &Sleep) -> Markup {
    html! {
        (pair("in D", &figure::time(place, "total_ns", sleep.total_ns)))
        @if sleep.before_ns > 0 { (pair("of it before the trace", &figure::time(place, "before_ns", sleep.before_ns))) }
    }
}

fn waiter(number: usize, one: &Waiter) -> Markup {
    let place = format!("/verdict/waiters/{number}");
    html! {
        div.party {
            h3 { (foreign::short(&one.label)) @if one.kernel_thread { span.muted { " for others" } } }
            dl.figures {
                @if one.ops > 0 {
                    (pair("slow", &html! {
                        (figure::count(&place, "slow_ops", one.slow_ops)) " of " (figure::count(&place, "ops", one.ops))
                    }))
                    (pair("waited", &figure::time(&place, "waited_ns", one.waited_ns)))
                }
                @if let Some(excess) = one.excess_ns.and_then(|ns| u64::try_from(ns).ok()) {
                    (pair("too long by", &figure::time(&place, "excess_ns", excess)))
                }
                @if one.unfinished_ops > 0 {
                    (pair("not ended", &figure::count(&place, "unfinished_ops", one.unfinished_ops)))
                    (pair("the oldest for", &figure::time(&place, "oldest_unfinished_ns", one.oldest_unfinished_ns)))
                }
                @if one.blocked_ns.is_some() { (pair("in D", &figure::time(&place, "blocked_ns", one.blocked_ns))) }
            }
        }
    }
}

/// A term and its number.
pub(super) fn pair(term: &str, number: &Markup) -> Markup {
    html! { div { dt { (term) } dd { (number) } } }
}
