//! `soak`: a long run under full load. See `stall_tests::soak`.
//!
//! Contract: what was measured on stdout; exit status as `--help` says, 2 when what was typed is not understood.

use std::process::ExitCode;

use anyhow::Result;
use stall_tests::command_line;
use stall_tests::soak::{self, Options, options::USAGE};

fn main() -> ExitCode {
    command_line::main("soak", USAGE, Options::parse, run)
}

fn run(options: &Options) -> Result<ExitCode> {
    let outcome = soak::run(options)?;
    println!("{outcome}");
    outcome.judge()?;
    Ok(ExitCode::SUCCESS)
}
