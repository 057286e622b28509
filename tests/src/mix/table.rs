//! The rates: how often a trim stands accused where it is innocent, and found where it is guilty.
//!
//! Contract: pure. Intervals are Wilson's, 95 %.

use std::collections::BTreeMap;
use std::fmt;

use super::stage::Outcome;
use super::truth::Label;

/// At most this part of the innocent may stand accused at medium; none at high.
const MOST_AT_MEDIUM: f64 = 0.02;
/// At least this part of the guilty must be found.
const LEAST_FOUND: f64 = 0.95;

/// What came of all mixes.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub innocent: Vec<Outcome>,
    pub guilty: Vec<Outcome>,
    pub grey: usize,
    /// Of a label of which there were enough.
    pub surplus: usize,
    /// Could not be staged, with the reason.
    pub broken: Vec<(u64, String)>,
}

impl Table {
    /// Enters an outcome, unless there are enough of its kind; whether it is one that went wrong.
    pub fn enter(&mut self, outcome: Outcome, enough: usize) -> bool {
        let rows = match outcome.label {
            Label::Innocent => &mut self.innocent,
            Label::Guilty => &mut self.guilty,
            Label::Grey => {
                self.grey += 1;
                return false;
            }
        };
        if rows.len() >= enough {
            self.surplus += 1;
            return false;
        }
        let wrong = is_wrong(&outcome);
        rows.push(outcome);
        wrong
    }

    fn accused(&self, confidence: &str) -> usize {
        let rows = self.innocent.iter();
        rows.filter(|one| one.accuses() && one.confidence == confidence)
            .count()
    }

    fn found(&self) -> usize {
        self.guilty.iter().filter(|one| is_found(one)).count()
    }

    /// Whether all bounds are kept; so few mixes that a bound is less than one may miss it once.
    pub fn is_within_bounds(&self) -> bool {
        let once = |share: f64, count: usize| ((share * count as f64).floor() as usize).max(1);
        let missed = self.guilty.len() - self.found();
        self.accused("high") == 0
            && self.accused("medium") <= once(MOST_AT_MEDIUM, self.innocent.len())
            && missed <= once(1.0 - LEAST_FOUND, self.guilty.len())
    }

    /// Those that went wrong.
    pub fn failures(&self) -> impl Iterator<Item = &Outcome> {
        self.innocent
            .iter()
            .chain(&self.guilty)
            .filter(|one| is_wrong(one))
    }
}

fn is_found(outcome: &Outcome) -> bool {
    outcome.accuses() && outcome.here
}

/// Accused though innocent, at whatever level, or not found though guilty.
pub fn is_wrong(outcome: &Outcome) -> bool {
    match outcome.label {
        Label::Innocent => outcome.accuses(),
        Label::Guilty => !is_found(outcome),
        Label::Grey => false,
    }
}

/// A rate in percent with its interval.
fn rate(part: usize, whole: usize) -> String {
    let (low, high) = wilson(part, whole);
    let percent = 100.0 * part as f64 / (whole as f64).max(1.0);
    format!(
        "{part} of {whole}, {percent:.1} % (95 %: {:.1} to {:.1})",
        100.0 * low,
        100.0 * high
    )
}

fn wilson(part: usize, whole: usize) -> (f64, f64) {
    if whole == 0 {
        return (0.0, 1.0);
    }
    let (z, n) = (1.96_f64, whole as f64);
    let p = part as f64 / n;
    let middle = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let below = 1.0 + z * z / n;
    (
        ((middle - spread) / below).max(0.0),
        ((middle + spread) / below).min(1.0),
    )
}

fn verdicts(outcomes: &[Outcome]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for one in outcomes {
        let name = format!("{} {}", one.kind, one.confidence)
            .trim_end()
            .to_owned();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, outcomes) in [("innocent", &self.innocent), ("guilty", &self.guilty)] {
            for (verdict, count) in verdicts(outcomes) {
                writeln!(f, "{label:<9} {verdict:<24} {count:>4}")?;
            }
        }
        for outcome in self.failures() {
            writeln!(f, "wrong: {outcome}")?;
        }
        for (seed, reason) in &self.broken {
            writeln!(f, "not staged: seed {seed}: {reason}")?;
        }
        writeln!(
            f,
            "dropped: {} in between, {} too many of a kind",
            self.grey, self.surplus
        )?;
        let innocent = self.innocent.len();
        for confidence in ["high", "medium", "low"] {
            let accused = rate(self.accused(confidence), innocent);
            writeln!(f, "innocent, accused at {confidence}: {accused}")?;
        }
        write!(
            f,
            "guilty, found: {}",
            rate(self.found(), self.guilty.len())
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let truth = &self.truth;
        write!(
            f,
            "seed {} is {:?} ({} of {} slow, {} by discards, {:.0} % of {:.2} s; {} discards, {:.0} % of the time): {} {}: {} [{}]",
            self.plan.seed,
            self.label,
            truth.slow,
            truth.requests,
            truth.slow_by_discards,
            100.0 * truth.share(),
            truth.slow_ns as f64 / 1e9,
            truth.discards,
            100.0 * self.busy,
            self.kind,
            self.confidence,
            self.sentence,
            self.plan
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Plan;
    use super::super::truth::Truth;
    use super::*;

    fn outcome(label: Label, kind: &str, confidence: &str) -> Outcome {
        Outcome {
            plan: Plan::draw(1),
            truth: Truth::default(),
            label,
            busy: 0.0,
            kind: kind.to_owned(),
            confidence: confidence.to_owned(),
            here: true,
            sentence: String::new(),
        }
    }

    fn table(accused: &[&str], found: usize, missed: usize) -> Table {
        let mut table = Table::default();
        for confidence in accused {
            table.enter(outcome(Label::Innocent, "host_trim", confidence), 200);
        }
        for _ in accused.len()..200 {
            table.enter(outcome(Label::Innocent, "no_stall", "high"), 200);
        }
        for number in 0..found + missed {
            let kind = if number < found {
                "host_trim"
            } else {
                "inconclusive"
            };
            table.enter(outcome(Label::Guilty, kind, "high"), 200);
        }
        table
    }

    #[test]
    fn the_bounds_are_those_of_the_readme() {
        assert!(table(&["medium"; 4], 190, 10).is_within_bounds());
        assert!(!table(&["medium"; 5], 200, 0).is_within_bounds());
        assert!(!table(&["high"], 200, 0).is_within_bounds());
        assert!(!table(&[], 189, 11).is_within_bounds());
        assert_eq!(table(&["low", "high"], 199, 1).failures().count(), 3);
    }

    #[test]
    fn what_is_too_many_or_in_between_is_counted() {
        let mut table = Table::default();
        for label in [Label::Grey, Label::Innocent, Label::Innocent] {
            table.enter(outcome(label, "no_stall", "high"), 1);
        }
        assert_eq!((table.grey, table.surplus, table.innocent.len()), (1, 1, 1));
    }

    #[test]
    fn wilsons_interval() {
        let (low, high) = wilson(0, 200);
        assert!(low == 0.0 && (0.018..0.020).contains(&high), "{high}");
        let (low, high) = wilson(195, 200);
        assert!((0.942..0.945).contains(&low) && (0.988..0.991).contains(&high));
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }
}
