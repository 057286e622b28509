//! `guest`: the first and only program of a virtual machine with some other kernel; see `stall_tests::guest`.
//!
//! Contract: as process 1 it never returns: it says what came of each check on the console and resets the machine. Under
//! other names it is what it stages: `postgres` reads a file, `fstrim` trims a filesystem, `direct-io` does what it is told;
//! `reader` is a machine that only reads its disk.

use std::process::ExitCode;

use stall_tests::block_io::program::Program;
use stall_tests::guest;

fn main() -> ExitCode {
    let mut words = std::env::args();
    let name = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    let result = match name.rsplit('/').next() {
        Some("fstrim") => guest::cast::trim(&words),
        Some("direct-io") => exactly(&words),
        Some("postgres") => guest::cast::read(&words),
        Some("reader") => guest::reader::run(),
        _ => guest::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn exactly(words: &[String]) -> anyhow::Result<()> {
    Program::parse(words)?.map_or(Ok(()), |program| program.run())
}
