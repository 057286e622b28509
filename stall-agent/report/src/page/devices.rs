//! The disks: what they are, whether they were slow, and latencies by operation.

use maud::{Markup, html};

use super::{figure, foreign};
use crate::Report;
use crate::model::{Device, Operation};
use crate::text::word;

pub(super) fn section(report: &Report) -> Markup {
    let used = report.devices.iter().enumerate();
    let used = used.filter(|(_, device)| device.operations.iter().any(|one| one.ops > 0));
    html! {
        section #devices {
            h2 { "Disks" }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "" }
                    @for words in ["requests", "median", "90 %", "99 %", "longest", "bytes"] { th.number scope="col" { (words) } }
                } }
                @for (number, device) in used { (body(number, device)) }
            } }
        }
    }
}

fn body(number: usize, device: &Device) -> Markup {
    let place = format!("/devices/{number}");
    html! {
        tbody {
            tr.group { th scope="rowgroup" colspan="7" { strong { (foreign::short(&device.id)) } " " (about(&place, device)) } }
            @for (index, operation) in device.operations.iter().enumerate().filter(|(_, one)| one.ops > 0) {
                (line(&format!("{place}/operations/{index}"), operation))
            }
        }
    }
}

fn about(place: &str, device: &Device) -> Markup {
    let words = [
        &device.model,
        &device.transport,
        &device.volume,
        &device.mapper_name,
    ];
    let words: Vec<String> = words
        .into_iter()
        .flatten()
        .map(|one| foreign::text(one))
        .collect();
    html! {
        span.muted {
            (words.join(", "))
            @if let Some(stall) = &device.stall {
                @if stall.stalled { " slow: " } @else { " not slow: " }
                (figure::count(&format!("{place}/stall"), "slow_ops", stall.slow_ops)) " of "
                (figure::count(&format!("{place}/stall"), "ops", stall.ops)) " requests"
            }
            @if device.discard_clock.busy_ns > 0 {
                "; a discard in flight "
                (figure::part(&format!("{place}/discard_clock"), "busy_share", device.discard_clock.busy_share)) " of the time"
            }
        }
    }
}

fn line(place: &str, operation: &Operation) -> Markup {
    let (total, at) = (&operation.total, format!("{place}/total"));
    html! {
        tr {
            th scope="row" { (word(&operation.op)) }
            td.number { (figure::count(place, "ops", operation.ops)) }
            td.number { (figure::time(&at, "p50_ns", total.p50_ns)) }
            td.number { (figure::time(&at, "p90_ns", total.p90_ns)) }
            td.number { (figure::time(&at, "p99_ns", total.p99_ns)) }
            td.number { (figure::time(&at, "max_ns", total.max_ns)) }
            td.number { (figure::size(place, "bytes", operation.bytes)) }
        }
    }
}
