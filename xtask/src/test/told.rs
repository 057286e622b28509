//! What test runners say of the tests that failed, kept to be said again at the very end, where a log
//! that is cut still has it.

/// Lines kept of one failure: an assertion of two long values says what it has to in fewer.
const MAX_LINES: usize = 20;

/// The failures in a runner's output, line by line.
#[derive(Debug, Default)]
pub(super) struct Failures {
    told: Vec<String>,
    /// Lines still taken in for the last one.
    open: usize,
}

impl Failures {
    /// Takes in the next line. A runner heads what it has to say of a test with `---- name ----` or
    /// `---- name stdout ----`, and ends it with the list of names, or another heading.
    pub(super) fn line(&mut self, line: &str) {
        if let Some(name) = heading(line) {
            self.told.push(name.to_owned());
            self.open = MAX_LINES;
        } else if line == "failures:" {
            self.open = 0;
        } else if self.open > 0 && !line.trim().is_empty() {
            self.add(line);
        }
    }

    /// One text each, of one or more lines.
    pub(super) fn told(self) -> Vec<String> {
        self.told
    }

    fn add(&mut self, line: &str) {
        if let Some(last) = self.told.last_mut() {
            last.push_str("\n    ");
            last.push_str(line);
            self.open -= 1;
        }
    }
}

fn heading(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    Some(name.strip_suffix(" stdout").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(output: &str) -> Vec<String> {
        let mut failures = Failures::default();
        output.lines().for_each(|line| failures.line(line));
        failures.told()
    }

    #[test]
    fn keeps_what_is_said_of_each_failed_test_and_nothing_else() {
        let output = "test a ... FAILED\n\nfailures:\n\n---- a ----\none is not two\n\n---- b stdout ----\n\n\
                      thread 'b' panicked\nnote: run\n\nfailures:\n    a\n    b\n\ntest result: FAILED.";
        assert_eq!(
            told(output),
            [
                "a\n    one is not two",
                "b\n    thread 'b' panicked\n    note: run"
            ]
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let output = format!("---- a ----\n{}", "line\n".repeat(MAX_LINES * 2));
        assert_eq!(told(&output)[0].lines().count(), 1 + MAX_LINES);
    }

    #[test]
    fn nothing_is_kept_of_what_passed() {
        assert_eq!(
            told("test a ... ok\ntest result: ok. 1 passed; 0 failed"),
            [""; 0]
        );
    }
}
