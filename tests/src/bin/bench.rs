//! `bench`: what the agent costs beside its peers. See `stall_tests::bench`.
//!
//! Contract: the tables on stdout, what runs on stderr; exit status 2 when what was typed is not understood.

use std::path::PathBuf;
use std::process::ExitCode;

use stall_tests::bench::{self, Options, options::USAGE};
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
    match bench::run(options) {
        Ok(tables) => {
            print!("{tables}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("bench: {error:#}");
    ExitCode::from(code)
}
