//! Why: what speaks for the verdict and against it, and what else was weighed.

use super::paper::Paper;
use crate::Report;
use crate::model::{Hypothesis, Standing};
use crate::text::word;

pub(super) fn write(paper: &mut Paper, report: &Report) {
    let mut weighed = report.verdict.hypotheses.iter().peekable();
    let is_cause =
        |one: &&&Hypothesis| one.standing == Standing::Supported && one.kind == report.verdict.kind;
    if let Some(cause) = weighed.peek().filter(is_cause).copied() {
        paper.heading("WHY");
        for evidence in &cause.evidence_for {
            paper.item("  + ", &evidence.text);
        }
        for evidence in &cause.evidence_against {
            paper.item("  - ", &evidence.text);
        }
        weighed.next();
    }
    others(paper, &weighed.collect::<Vec<_>>());
}

fn others(paper: &mut Paper, others: &[&Hypothesis]) {
    if others.is_empty() {
        return;
    }
    paper.heading("WHAT ELSE WAS WEIGHED");
    for one in others {
        let device = one.device.as_ref().map(|device| format!(" on {device}"));
        let what = format!("{}{}", word(&one.kind), device.unwrap_or_default());
        let first = format!("  {:<10}", word(&one.standing));
        match telling(one) {
            "" => paper.item(&first, &what),
            fact => paper.item(&first, &format!("{what}: {fact}")),
        }
    }
}

/// The first fact of the side that decided.
fn telling(one: &Hypothesis) -> &str {
    let side = match one.standing {
        Standing::Supported => &one.evidence_for,
        Standing::Undecided | Standing::Refuted => &one.evidence_against,
    };
    let other = one.evidence_for.first();
    side.first()
        .or(other)
        .map_or("", |evidence| evidence.text.as_str())
}
