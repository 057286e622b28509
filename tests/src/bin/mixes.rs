//! `mixes`: how often does the agent accuse a trim wrongly, and how often does it find one? See `stall_tests::mix`.
//!
//! Contract: the table on stdout, each mix as it comes on stderr; exit status as `--help` says, 2 when what was
//! typed is not understood.

use std::path::PathBuf;
use std::process::ExitCode;

use stall_tests::mix::{self, Options, options::USAGE};
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
    match mix::run(options) {
        Ok(table) => {
            println!("{table}");
            match table.is_within_bounds() {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            }
        }
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("mixes: {error:#}");
    ExitCode::from(code)
}
