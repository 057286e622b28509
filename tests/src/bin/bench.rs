//! `bench`: what the agent costs beside its peers. See `stall_tests::bench`.
//!
//! Contract: the tables on stdout, what runs on stderr; exit status 2 when what was typed is not understood.

use std::process::ExitCode;

use anyhow::Result;
use stall_tests::bench::{self, Options, options::USAGE};
use stall_tests::command_line;

fn main() -> ExitCode {
    command_line::main("bench", USAGE, Options::parse, run)
}

fn run(options: &Options) -> Result<ExitCode> {
    print!("{}", bench::run(options)?);
    Ok(ExitCode::SUCCESS)
}
