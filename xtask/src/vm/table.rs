//! Kernel x check: what came of it.

use std::fmt;

use anyhow::Result;

/// One kernel.
pub(super) struct Row {
    pub(super) kernel: &'static str,
    checks: Vec<Check>,
}

struct Check {
    outcome: Outcome,
    name: String,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped,
    Failed,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Skipped => "skipped",
            Self::Failed => "FAILED",
        }
    }
}

impl Row {
    pub(super) const fn new(kernel: &'static str) -> Self {
        let checks = Vec::new();
        Self { kernel, checks }
    }

    /// What one of its machines said; one that did not come to its end failed, whatever it said before.
    pub(super) fn add(&mut self, said: &[String], ended: Result<()>) {
        let failed = match ended {
            Ok(()) if said.is_empty() => Some("it said nothing".to_owned()),
            Ok(()) => None,
            Err(error) => Some(format!("{error:#}")),
        };
        self.checks
            .extend(said.iter().map(|line| Check::parse(line)));
        self.checks.extend(failed.map(|text| Check {
            outcome: Outcome::Failed,
            name: "the machine".to_owned(),
            text,
        }));
    }

    fn outcome(&self, name: &str) -> Option<Outcome> {
        let check = self.checks.iter().find(|check| check.name == name);
        check.map(|check| check.outcome)
    }
}

impl Check {
    /// `passed NAME (SECONDS s): TEXT`, where the time may be missing.
    fn parse(line: &str) -> Self {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let outcome = match word {
            "passed" => Outcome::Passed,
            "skipped" => Outcome::Skipped,
            _ => Outcome::Failed,
        };
        let (name, text) = rest.split_once(": ").unwrap_or((rest, ""));
        let (name, _) = name.split_once(" (").unwrap_or((name, ""));
        Self {
            outcome,
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// All kernels.
pub(crate) struct Table {
    pub(super) rows: Vec<Row>,
}

/// Passed, failed, skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Table {
    /// Whether nothing failed.
    pub(crate) fn clean(&self) -> bool {
        self.counts().failed == 0
    }

    /// Of all checks on all kernels.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for check in self.rows.iter().flat_map(|row| &row.checks) {
            let count = match check.outcome {
                Outcome::Passed => &mut counts.passed,
                Outcome::Failed => &mut counts.failed,
                Outcome::Skipped => &mut counts.skipped,
            };
            *count += 1;
        }
        counts
    }

    /// Names of checks, in the order of the kernel that ran most.
    fn names(&self) -> Vec<&str> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.checks.len()));
        let mut names: Vec<&str> = Vec::new();
        for check in rows.iter().flat_map(|row| &row.checks) {
            if !names.contains(&check.name.as_str()) {
                names.push(&check.name);
            }
        }
        names
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names();
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        write!(f, "{:width$}", "")?;
        for row in &self.rows {
            write!(f, "  {:>10}", row.kernel)?;
        }
        for name in &names {
            write!(f, "\n{name:width$}")?;
            for row in &self.rows {
                let word = row.outcome(name).map_or("-", Outcome::word);
                write!(f, "  {word:>10}")?;
            }
        }
        writeln!(f)?;
        for row in &self.rows {
            for check in row
                .checks
                .iter()
                .filter(|check| check.outcome != Outcome::Passed)
            {
                let (word, name) = (check.outcome.word(), &check.name);
                writeln!(f, "{} {word}: {name}: {}", row.kernel, check.text)?;
            }
        }
        let counts = self.counts();
        write!(
            f,
            "kernels: {}; checks: {} passed, {} failed, {} skipped",
            self.rows.len(),
            counts.passed,
            counts.failed,
            counts.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Machine = (&'static str, Vec<String>, Result<()>);

    /// Of one machine for each kernel.
    fn table(machines: Vec<Machine>) -> Table {
        let rows = machines.into_iter().map(|(kernel, said, ended)| {
            let mut row = Row::new(kernel);
            row.add(&said, ended);
            row
        });
        Table {
            rows: rows.collect(),
        }
    }

    #[test]
    fn what_is_not_understood_has_failed() {
        let lines = [
            "passed check (3 s): fine",
            "skipped incident: old",
            "nonsense",
        ];
        let said = lines.map(str::to_owned).to_vec();
        let table = table(vec![("6.1", said, Ok(()))]);
        assert!(!table.clean());
        let text = table.to_string();
        assert!(
            text.ends_with("kernels: 1; checks: 1 passed, 1 failed, 1 skipped"),
            "{text}"
        );
        assert!(text.contains("6.1 skipped: incident: old"), "{text}");
    }

    #[test]
    fn a_kernel_has_one_row_for_all_its_machines() {
        let mut row = Row::new("6.1");
        row.add(&["passed check (3 s): fine".to_owned()], Ok(()));
        row.add(&["passed suspended (9 s): fine".to_owned()], Ok(()));
        let table = Table { rows: vec![row] };
        assert!(table.clean());
        assert_eq!(table.names(), ["check", "suspended"]);
        assert_eq!(table.counts().passed, 2);
    }

    #[test]
    fn a_machine_that_does_not_end_has_failed_after_what_it_said() {
        let said = vec!["passed check (3 s): fine".to_owned()];
        let ended = Err(anyhow::anyhow!("it ended early"));
        let table = table(vec![("6.1", said, ended), ("7", Vec::new(), Ok(()))]);
        let counts = table.counts();
        assert_eq!((counts.passed, counts.failed, counts.skipped), (1, 2, 0));
    }
}
