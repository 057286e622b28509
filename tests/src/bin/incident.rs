//! `incident`: the demo's incident, from nothing to nothing. See `stall_tests::incident`.
//!
//! Contract: exit status as `--help` says; 2 when what was typed is not understood, 1 when the
//! incident could not be staged, each with one line on stderr.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use stall_tests::incident::options::{Options, USAGE};
use stall_tests::incident::{self, Outcome};
use stall_tests::spawned::program_beside;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let agent = program_beside("stall-agent").unwrap_or_else(|_| PathBuf::from("stall-agent"));
    match Options::parse(&arguments, agent) {
        Ok(Some(options)) => run(&options),
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, 2),
    }
}

fn run(options: &Options) -> ExitCode {
    match incident::run(options) {
        Ok(Outcome::Traced(status)) => ExitCode::from(code(status)),
        Ok(Outcome::Interrupted(signal)) => ExitCode::from(128 + signal as u8),
        Err(error) => fail(&error, 1),
    }
}

/// The status as a shell would give it.
fn code(status: ExitStatus) -> u8 {
    let by_signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(by_signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("incident: {error:#}");
    ExitCode::from(code)
}
