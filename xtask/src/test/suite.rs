//! One `cargo test`: its output streamed, the results in it added up.

use std::io::{self, BufRead as _, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result};

use super::tally::Tally;

pub(super) fn run(mut command: Command) -> Result<Tally> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cargo test does not start")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let tally = stream(output).context("the output of cargo test cannot be read")?;
    let status = child.wait().context("cargo test cannot be waited for")?;
    Ok(judged(tally, status))
}

fn stream(output: impl Read) -> io::Result<Tally> {
    let mut tally = Tally::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally += Tally::parse(&line).unwrap_or_default();
    }
    Ok(tally)
}

/// What does not compile, or dies, prints no result; that is a failure all the same.
fn judged(mut tally: Tally, status: ExitStatus) -> Tally {
    if !status.success() && tally.failed == 0 {
        println!("== cargo test ended with {status} and no failed test to show for it");
        tally.failed = 1;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Tally {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command).expect("there is a shell")
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
}
