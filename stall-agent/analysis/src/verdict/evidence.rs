//! Facts as evidence: number, what it is held against, words.

use stall_report::model::{Evidence, Fact, RelativeRisk, Unit};
use stall_report::{duration, factor, share};

/// For and against one hypothesis.
#[derive(Default)]
pub(super) struct Scales {
    pub(super) evidence_for: Vec<Evidence>,
    pub(super) evidence_against: Vec<Evidence>,
}

impl Scales {
    /// Puts a fact on one side.
    pub(super) fn put(&mut self, speaks_for: bool, evidence: Evidence) {
        let side = if speaks_for {
            &mut self.evidence_for
        } else {
            &mut self.evidence_against
        };
        side.push(evidence);
    }
}

pub(super) fn of_share(fact: Fact, value: f64, bound: Option<f64>, of_what: &str) -> Evidence {
    Evidence {
        fact,
        value: Some(value),
        low: None,
        high: None,
        bound,
        unit: Unit::Share,
        text: format!("{} {of_what}", share(value)),
    }
}

pub(super) fn of_ratio(fact: Fact, value: f64, bound: f64, of_what: &str) -> Evidence {
    Evidence {
        fact,
        value: Some(value),
        low: None,
        high: None,
        bound: Some(bound),
        unit: Unit::Ratio,
        text: format!("{} times {of_what}", factor(value)),
    }
}

pub(super) fn of_risk(risk: &RelativeRisk, bound: f64) -> Evidence {
    let (low, high) = (factor(risk.low), factor(risk.high));
    Evidence {
        fact: Fact::RelativeRisk,
        value: Some(risk.ratio),
        low: Some(risk.low),
        high: Some(risk.high),
        bound: Some(bound),
        unit: Unit::Ratio,
        text: format!(
            "{} times as often slow with a discard in flight as without (95 %: {low} to {high})",
            factor(risk.ratio)
        ),
    }
}

pub(super) fn of_time(fact: Fact, ns: u64, bound: Option<u64>, of_what: &str) -> Evidence {
    Evidence {
        fact,
        value: Some(ns as f64),
        low: None,
        high: None,
        bound: bound.map(|ns| ns as f64),
        unit: Unit::Ns,
        text: format!("{} {of_what}", duration(ns)),
    }
}

pub(super) fn of_count(fact: Fact, count: u64, bound: Option<u64>, text: String) -> Evidence {
    Evidence {
        fact,
        value: Some(count as f64),
        low: None,
        high: None,
        bound: bound.map(|count| count as f64),
        unit: Unit::Count,
        text,
    }
}
