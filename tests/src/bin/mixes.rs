//! `mixes`: how often does the agent accuse a trim wrongly, and how often does it find one? See `stall_tests::mix`.
//!
//! Contract: the table on stdout, each mix as it comes on stderr; exit status as `--help` says, 2 when what was
//! typed is not understood.

use std::process::ExitCode;

use anyhow::Result;
use stall_tests::command_line;
use stall_tests::mix::{self, Options, options::USAGE};

fn main() -> ExitCode {
    command_line::main("mixes", USAGE, Options::parse, run)
}

fn run(options: &Options) -> Result<ExitCode> {
    let table = mix::run(options)?;
    println!("{table}");
    Ok(match table.is_within_bounds() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
