//! `soak`: a long run under full load. See `stall_tests::soak`.
//!
//! Contract: what was measured on stdout; exit status as `--help` says, 2 when what was typed is not understood.

use std::path::PathBuf;
use std::process::ExitCode;

use stall_tests::soak::{self, Options, options::USAGE};
use stall_tests::spawned::program_beside;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let agent = program_beside("stall-agent").unwrap_or_else(|_| PathBuf::from("stall-agent"));
    match Options::parse(&arguments, agent) {
        Ok(Some(options)) => run(&options).unwrap_or_else(|error| fail(&error, 1)),
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, 2),
    }
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let outcome = soak::run(options)?;
    println!("{outcome}");
    outcome.judge()?;
    Ok(ExitCode::SUCCESS)
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("soak: {error:#}");
    ExitCode::from(code)
}
