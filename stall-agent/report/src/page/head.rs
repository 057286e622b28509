//! The top of the page: what it was, how sure that is, and in one sentence why.

use maud::{Markup, html};

use super::{figure, foreign};
use crate::Report;
use crate::model::Confidence;
use crate::summary::headline;

/// Title of the window.
pub(super) fn title(report: &Report) -> String {
    let host = report.host.hostname.as_deref().unwrap_or("a host");
    format!("{} \u{b7} {host} \u{b7} stall-agent", headline(report))
}

pub(super) fn banner(report: &Report) -> Markup {
    let verdict = &report.verdict;
    let look = match verdict.stalled {
        Some(true) => "bad",
        Some(false) => "good",
        None => "doubt",
    };
    html! {
        header class=(look) {
            p.kicker { "stall-agent: why the disks are slow" }
            h1 data-of="/verdict/kind" { (kind(report)) }
            p.sentence data-of="/verdict/sentence" { (foreign::text(&verdict.sentence)) }
            @if let Some(confidence) = verdict.confidence { (meter(confidence)) }
            @for lowered in &verdict.lowered { p.muted { "Less sure because " (foreign::text(&lowered.text)) "." } }
            p.muted {
                (foreign::short(report.host.hostname.as_deref().unwrap_or("a host without a name")))
                ", kernel " (foreign::short(&report.host.kernel_release)) ", from " (foreign::text(&report.window.start)) " for "
                (figure::time("/window", "length_ns", report.window.length_ns))
                @if report.window.interrupted { ", interrupted" }
            }
            (place(report))
            nav {
                @for (id, words) in SECTIONS { a href={ "#" (id) } { (words) } }
            }
        }
    }
}

const SECTIONS: [(&str, &str); 7] = [
    ("timeline", "what happened when"),
    ("blocked", "who was blocked"),
    ("evidence", "why"),
    ("comparison", "with and without discards"),
    ("blame", "who delayed whom"),
    ("advice", "what to do"),
    ("devices", "disks"),
];

/// The headline without what stands elsewhere.
fn kind(report: &Report) -> String {
    let headline = headline(report);
    let kind = headline.split([',', '(']).next().unwrap_or_default().trim();
    let mut letters = kind.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    format!("{}{}", first.unwrap_or_default(), letters.as_str())
}

fn meter(confidence: Confidence) -> Markup {
    let (filled, word) = match confidence {
        Confidence::Low => (1, "low: worth looking at first"),
        Confidence::Medium => (2, "medium: likely"),
        Confidence::High => (3, "high: act on it"),
    };
    html! {
        p.confidence {
            "Confidence "
            span aria-hidden="true" { @for step in 0..3 { @if step < filled { "\u{25cf}" } @else { "\u{25cb}" } } }
            " " span data-of="/verdict/confidence" { (word) }
        }
    }
}

fn place(report: &Report) -> Markup {
    let mounts = report.verdict.mount_points.iter().take(3);
    html! {
        @if let Some(device) = &report.verdict.device {
            p { "On " strong data-of="/verdict/device" { (foreign::text(device)) }
                @for mount in mounts { " " (foreign::code(mount, 80)) } }
        }
    }
}
