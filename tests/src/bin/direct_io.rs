//! `direct-io`: does exactly the requests it is told to. See `stall_tests::block_io::program`.
//!
//! Contract: exit status 0 when all were done, 1 with one line on stderr otherwise.

use std::process::ExitCode;

use anyhow::Result;
use stall_tests::block_io::program::{Program, USAGE};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("direct-io: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Program::parse(&arguments)? {
        Some(program) => program.run(),
        None => {
            println!("{USAGE}");
            Ok(())
        }
    }
}
