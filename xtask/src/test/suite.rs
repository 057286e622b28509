//! One `cargo test`: its output streamed, the results in it added up.

use std::io::{self, BufRead as _, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result};

use super::tally::Tally;
use super::told::Failures;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// What is said of each test that failed.
    pub(super) failures: Vec<String>,
}

pub(super) fn run(mut command: Command) -> Result<Outcome> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cargo test does not start")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let outcome = stream(output).context("the output of cargo test cannot be read")?;
    let status = child.wait().context("cargo test cannot be waited for")?;
    Ok(judged(outcome, status))
}

fn stream(output: impl Read) -> io::Result<Outcome> {
    let mut tally = Tally::default();
    let mut failures = Failures::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally += Tally::parse(&line).unwrap_or_default();
        failures.line(&line);
    }
    Ok(Outcome {
        tally,
        failures: failures.told(),
    })
}

/// What does not compile, or dies, prints no result; that is a failure all the same.
fn judged(mut outcome: Outcome, status: ExitStatus) -> Outcome {
    if !status.success() && outcome.tally.failed == 0 {
        let why = format!("cargo test ended with {status} and no failed test to show for it");
        println!("== {why}");
        outcome.failures.push(why);
        outcome.tally.failed = 1;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(script: &str) -> Outcome {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command).expect("there is a shell")
    }

    fn shell(script: &str) -> Tally {
        outcome(script).tally
    }

    #[test]
    fn adds_up_every_result() {
        let line = "echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured'";
        assert_eq!(
            shell(&format!("{line}; echo; {line}")),
            Tally {
                passed: 4,
                failed: 0,
                skipped: 2
            }
        );
    }

    #[test]
    fn dying_without_a_result_is_a_failure() {
        assert_eq!(shell("kill -9 $$"), Tally::one_failed());
        assert_eq!(shell("exit 101"), Tally::one_failed());
    }
    #[test]
    fn a_failure_is_told_with_its_reason() {
        let script = "echo '---- one ----'; echo why; echo failures:; exit 101";
        assert_eq!(outcome(script).failures[0], "one\n    why");
        let failures = outcome("exit 3").failures;
        assert!(failures[0].contains("exit status: 3"), "{failures:?}");
    }
}
