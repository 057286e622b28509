//! What to do: each piece of advice with what to type. A click selects a command whole.

use maud::{Markup, html};

use super::foreign;
use crate::Report;
use crate::model::{Advice, AdviceWhen};

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section #advice {
            h2 { "What to do" }
            @if report.verdict.advice.is_empty() { p.muted { "Nothing." } }
            @for (when, title) in [
                (AdviceWhen::Now, "Now"), (AdviceWhen::ToConfirm, "To be sure"), (AdviceWhen::ForGood, "To prevent it"),
            ] {
                @let pieces: Vec<&Advice> = report.verdict.advice.iter().filter(|one| one.when == when).collect();
                @if !pieces.is_empty() {
                    h3 { (title) }
                    ul.advice { @for one in pieces { (piece(one)) } }
                }
            }
        }
    }
}

fn piece(one: &Advice) -> Markup {
    html! {
        li {
            (foreign::text(&one.text))
            @if let Some(command) = &one.command { pre { code { (foreign::text(command)) } } }
            (told("Changes", one.changes.as_deref()))
            (told("Risk", one.risk.as_deref()))
            (told("Undo", one.undo.as_deref()))
            (told("Source", one.source.as_deref()))
        }
    }
}

fn told(what: &str, text: Option<&str>) -> Markup {
    html! {
        @if let Some(text) = text { p.muted { (what) ": " (foreign::text(text)) } }
    }
}
