//! What to do, in the order of when; below each, what it changes and risks, how to take it back, and who says so.

use super::paper::Paper;
use crate::Report;
use crate::model::{Advice, AdviceWhen};

pub(super) fn write(paper: &mut Paper, report: &Report) {
    if report.verdict.advice.is_empty() {
        return;
    }
    paper.heading("WHAT TO DO (none of it has been done)");
    for when in [AdviceWhen::Now, AdviceWhen::ToConfirm, AdviceWhen::ForGood] {
        for advice in report.verdict.advice.iter().filter(|one| one.when == when) {
            one(paper, advice);
        }
    }
}

fn one(paper: &mut Paper, advice: &Advice) {
    let word = match advice.when {
        AdviceWhen::Now => "now: ",
        AdviceWhen::ToConfirm => "to confirm: ",
        AdviceWhen::ForGood => "to prevent it: ",
    };
    paper.item("  ", &format!("{word}{}", advice.text));
    if let Some(command) = &advice.command {
        paper.command(command);
    }
    for (label, text) in [("changes: ", &advice.changes), ("risk: ", &advice.risk)] {
        if let Some(text) = text {
            paper.item("      ", &format!("{label}{text}"));
        }
    }
    if let Some(undo) = &advice.undo {
        paper.item("      ", "to take it back:");
        paper.command(undo);
    }
    if let Some(source) = &advice.source {
        paper.item("      ", &format!("from: {source}"));
    }
}
