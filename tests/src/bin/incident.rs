//! `incident`: the demo's incident, from nothing to nothing. See `stall_tests::incident`.
//!
//! Contract: exit status as `--help` says; 2 when what was typed is not understood, 1 when the
//! incident could not be staged, each with one line on stderr.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use anyhow::Result;
use stall_tests::command_line;
use stall_tests::incident::options::{Options, USAGE};
use stall_tests::incident::{self, Outcome};

fn main() -> ExitCode {
    command_line::main("incident", USAGE, Options::parse, run)
}

fn run(options: &Options) -> Result<ExitCode> {
    Ok(match incident::run(options)? {
        Outcome::Traced(status) => ExitCode::from(code(status)),
        Outcome::Interrupted(signal) => ExitCode::from(128 + signal as u8),
    })
}

/// The status as a shell would give it.
fn code(status: ExitStatus) -> u8 {
    let by_signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(by_signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
