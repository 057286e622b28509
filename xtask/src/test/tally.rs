//! Counting tests, and the line that says the counts.

use std::fmt;
use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Tally {
    pub(super) fn one_failed() -> Self {
        Self {
            failed: 1,
            ..Self::default()
        }
    }

    pub(super) fn clean(&self) -> bool {
        self.failed == 0
    }

    /// From a test runner's `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
        let count = |what: &str| {
            let mut parts = counts.split("; ").filter_map(|part| part.split_once(' '));
            parts.find(|(_, name)| *name == what)?.0.parse().ok()
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            skipped: count("ignored")?,
        })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(
            f,
            "tests: {passed} passed, {failed} failed, {skipped} skipped"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_runners_print() {
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(
            Tally::parse(line),
            Some(Tally {
                passed: 3,
                failed: 2,
                skipped: 1
            })
        );
        let line = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out";
        assert_eq!(Tally::parse(line), Some(Tally::default()));
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in [
            "",
            "test result",
            "test result: ok. many passed",
            "test a ... ok",
        ] {
            assert_eq!(Tally::parse(line), None);
        }
    }

    #[test]
    fn says_the_counts_in_one_line() {
        let mut tally = Tally {
            passed: 3,
            failed: 0,
            skipped: 1,
        };
        tally += Tally::one_failed();
        assert_eq!(tally.to_string(), "tests: 3 passed, 1 failed, 1 skipped");
        assert!(!tally.clean());
    }
}
