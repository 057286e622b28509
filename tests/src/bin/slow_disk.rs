//! `slow-disk MOUNT SIZE THREADS`: the slow disk's process; `slow-disk --self-test`: is it exact?
//!
//! Contract: see `stall_tests::slow_disk`; commands on stdin, answers on stdout. Exit status 0
//! after `quit` or the end of stdin, 1 on any error, with one line on stderr.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use stall_tests::self_test;
use stall_tests::slow_disk::daemon;

const USAGE: &str = "\
slow-disk MOUNT SIZE [THREADS]   mount a slow disk of SIZE bytes on the folder MOUNT
slow-disk --self-test            stage a disk and compare measured times with set ones

Commands on stdin: set KEY=VALUE..., hang, release, fail, pass, hurry, at, status, dump, quit
(see stall_tests::slow_disk::command).";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slow-disk: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--self-test"] => run_self_test(),
        [mount, size] if !mount.starts_with('-') => daemon::run(&options(mount, size, "136")?),
        [mount, size, threads] => daemon::run(&options(mount, size, threads)?),
        _ => {
            println!("{USAGE}");
            Ok(())
        }
    }
}

fn options(mount: &str, size: &str, threads: &str) -> Result<daemon::Options> {
    Ok(daemon::Options {
        mount: mount.into(),
        size: size.parse().context("SIZE is a number of bytes")?,
        threads: threads.parse().context("THREADS is a number")?,
    })
}

fn run_self_test() -> Result<()> {
    let disk = self_test::disk()?;
    let figures = self_test::run(&disk)?;
    for figure in &figures {
        println!("{figure}");
    }
    self_test::judge(&figures)
}
