//! What the programs of this package that take options have in common: reading them, `--help`, and how each ends.
//!
//! Contract: exit status 2 when what was typed is not understood, 1 when the work failed, each with one line on stderr.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Error, Result};

use crate::spawned::program_beside;

/// Runs a program of this name. `parse` gets what was typed and the agent beside the program, and gives no options when help
/// was asked for, which is `usage`.
pub fn main<O>(
    name: &str,
    usage: &str,
    parse: impl FnOnce(&[String], PathBuf) -> Result<Option<O>>,
    run: impl FnOnce(&O) -> Result<ExitCode>,
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let agent = program_beside("stall-agent").unwrap_or_else(|_| PathBuf::from("stall-agent"));
    match parse(&arguments, agent) {
        Ok(Some(options)) => run(&options).unwrap_or_else(|error| fail(name, &error, 1)),
        Ok(None) => {
            println!("{usage}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(name, &error, 2),
    }
}

fn fail(name: &str, error: &Error, code: u8) -> ExitCode {
    eprintln!("{name}: {error:#}");
    ExitCode::from(code)
}
