//! Slow or fast, with a discard in flight or without: both sides of each disk that had discards, next to each other.

use maud::{Markup, html};

use super::{distribution, figure, foreign};
use crate::model::{Device, Exposure, Operation, Side};
use crate::text::word;
use crate::{Report, duration};

pub(super) fn section(report: &Report) -> Markup {
    let devices: Vec<(usize, &Device, &Exposure)> = report
        .devices
        .iter()
        .enumerate()
        .filter_map(|(number, device)| Some((number, device, device.exposure.as_ref()?)))
        .filter(|(_, device, _)| device.discard_clock.busy_ns > 0)
        .collect();
    html! {
        section #comparison {
            h2 { "With and without a discard in flight" }
            @if devices.is_empty() { p.muted { "No discard met a request of others: there is nothing to compare." } }
            @for (number, device, exposure) in devices { (compared(report, number, device, exposure)) }
        }
    }
}

fn compared(report: &Report, number: usize, device: &Device, exposure: &Exposure) -> Markup {
    let place = format!("/devices/{number}/exposure");
    html! {
        h3 { (foreign::short(&device.id)) span.muted { " requests of those that sent no discards" } }
        div.sides {
            (side("With a discard in flight", "exposed", &format!("{place}/exposed"), &exposure.exposed))
            (side("Without", "unexposed", &format!("{place}/unexposed"), &exposure.unexposed))
        }
        (so(&place, exposure))
        @for operation in &device.operations { (distributions(report, operation)) }
    }
}

fn side(title: &str, class: &str, place: &str, side: &Side) -> Markup {
    let slow = side.slow_ops as f64 / side.ops.max(1) as f64;
    let times = [
        ("mean", "mean_ns", side.mean_ns),
        ("median", "p50_ns", side.p50_ns),
        ("90 %", "p90_ns", side.p90_ns),
        ("99 %", "p99_ns", side.p99_ns),
    ];
    // Captures of earlier versions lack some.
    let known = times.into_iter().filter(|(_, _, ns)| ns.is_some());
    html! {
        div.side class=(class) {
            h4 { (title) }
            p.big { (figure::count(place, "slow_ops", side.slow_ops)) span.muted { " slow of " (figure::count(place, "ops", side.ops)) } }
            svg.bar width="100%" height="10" role="img" aria-label={ "slow: " (crate::share(slow)) } {
                rect.all width="100%" height="10" {}
                rect.part width=(super::path::percent(slow.min(1.0))) height="10" {}
            }
            dl.figures {
                @for (term, field, ns) in known {
                    (super::verdict::pair(term, &figure::time(place, field, ns)))
                }
            }
        }
    }
}

/// What follows from the two sides.
fn so(place: &str, exposure: &Exposure) -> Markup {
    let risk = format!("{place}/relative_risk");
    html! {
        p {
            @if let Some(found) = &exposure.relative_risk {
                "With a discard in flight requests were slow "
                strong { (figure::times(&risk, "ratio", found.ratio)) " times as often" }
                " (95 %: " (figure::times(&risk, "low", found.low)) " to " (figure::times(&risk, "high", found.high)) "). "
            }
            @if exposure.explained_share.is_some() {
                "That explains " (figure::part(place, "explained_share", exposure.explained_share)) " of the slow ones. "
            }
            @if let Some(excess) = exposure.excess_ns.and_then(|ns| u64::try_from(ns).ok()) {
                "They waited " (figure::time(place, "excess_ns", excess)) " that they would not have waited otherwise."
            }
        }
    }
}

fn distributions(report: &Report, operation: &Operation) -> Markup {
    let slow_ns = report.settings.slow_ns;
    let (exposed, unexposed) = (operation.exposed.as_ref(), operation.unexposed.as_ref());
    let drawn = exposed
        .filter(|one| one.count > 0)
        .and_then(|exposed| distribution::pair(Some(exposed), unexposed, slow_ns));
    html! {
        @if let Some(drawn) = drawn {
            h4 { (word(&operation.op)) span.muted { " latencies of all actors, each side as parts of its own requests; the line is " (duration(slow_ns)) } }
            (drawn)
        }
    }
}
