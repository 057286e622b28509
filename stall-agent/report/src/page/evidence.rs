//! Why: what speaks for the verdict and against it, and what else was weighed.

use maud::{Markup, html};

use super::foreign;
use crate::Report;
use crate::model::{Evidence, Hypothesis, Standing};
use crate::text::word;

pub(super) fn section(report: &Report) -> Markup {
    let mut weighed: Vec<&Hypothesis> = report.verdict.hypotheses.iter().collect();
    let is_cause = weighed
        .first()
        .is_some_and(|one| one.standing == Standing::Supported && one.kind == report.verdict.kind);
    let cause = is_cause.then(|| weighed.remove(0));
    html! {
        section #evidence {
            h2 { "Why" }
            @if let Some(cause) = cause { (sides(cause)) }
            @if !weighed.is_empty() {
                details open[cause.is_none()] {
                    summary { "What else was weighed (" (weighed.len()) ")" }
                    @for one in weighed {
                        h3 { (word(&one.kind)) (on(one)) " " span class={ "standing " (word(&one.standing)) } { (word(&one.standing)) } }
                        (sides(one))
                    }
                }
            }
        }
    }
}

fn on(one: &Hypothesis) -> Markup {
    html! { @if let Some(device) = &one.device { " on " (foreign::short(device)) } }
}

fn sides(one: &Hypothesis) -> Markup {
    html! {
        div.sides {
            (side("For it", "for", &one.evidence_for))
            (side("Against it", "against", &one.evidence_against))
        }
    }
}

fn side(title: &str, class: &str, evidence: &[Evidence]) -> Markup {
    html! {
        @if !evidence.is_empty() {
            div class=(class) {
                h4 { (title) }
                ul { @for one in evidence { li { (foreign::text(&one.text)) } } }
            }
        }
    }
}
