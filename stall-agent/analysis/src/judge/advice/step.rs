//! One piece of advice while it is written down: what to do, the command, what that changes and risks, how to take it
//! back, and where the advice comes from.

use stall_report::model::{Advice, AdviceWhen};

pub(super) struct Step(Advice);

/// To be done at once.
pub(super) fn now(text: impl Into<String>) -> Step {
    step(AdviceWhen::Now, text.into())
}

/// To know for sure.
pub(super) fn to_confirm(text: impl Into<String>) -> Step {
    step(AdviceWhen::ToConfirm, text.into())
}

/// So that it does not come again.
pub(super) fn for_good(text: impl Into<String>) -> Step {
    step(AdviceWhen::ForGood, text.into())
}

const fn step(when: AdviceWhen, text: String) -> Step {
    Step(Advice {
        when,
        text,
        command: None,
        changes: None,
        risk: None,
        undo: None,
        source: None,
    })
}

impl Step {
    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        self.0.command = Some(command.into());
        self
    }

    pub(super) fn changes(mut self, changes: impl Into<String>) -> Self {
        self.0.changes = Some(changes.into());
        self
    }

    /// Of a command that only reads.
    pub(super) fn changes_nothing(self) -> Self {
        self.changes("nothing").risk("none: it only reads")
    }

    pub(super) fn risk(mut self, risk: impl Into<String>) -> Self {
        self.0.risk = Some(risk.into());
        self
    }

    pub(super) fn undo(mut self, undo: impl Into<String>) -> Self {
        self.0.undo = Some(undo.into());
        self
    }

    pub(super) fn source(mut self, source: &str) -> Self {
        self.0.source = Some(source.to_owned());
        self
    }
}

impl From<Step> for Advice {
    fn from(step: Step) -> Self {
        step.0
    }
}
