//! `cargo xtask`: every chore of this project, one file each.
//!
//! Each command sets up what it needs, streams what it runs, and exits non-zero with one sentence
//! on stderr when it fails. Nothing here is needed by the agent at run time.

mod build;
mod demo;
mod dist;
mod fuzz;
mod kept;
mod lab;
mod miri;
mod objcopy;
mod process;
mod setup;
mod staged;
mod test;
mod tidy;
mod toolchain;
mod vm;
mod workspace;
mod worlds;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Every chore of this project",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what building and testing need, where it is missing
    Setup,
    /// Build the agent (release) and print where it is
    Build,
    /// Build the agent and run it
    Run {
        /// What the agent is given
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run the checks and tests, and print the counts
    Test {
        /// With what takes long: the handed-out agent, a browser, mixes, other kernels in emulated machines
        #[arg(long)]
        full: bool,
    },
    /// Measure what the agent costs beside its peers, on a disk in memory
    Bench {
        /// What the program is given, such as --quick or --json FILE
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Play random mixes on staged disks, and say how often the agent accuses a trim
    Mixes {
        /// What the program is given, such as --count 200 --seed 1 --jobs 4
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Play worlds whose truth is known, and say how often the judge is right in them
    Worlds {
        /// What the program is given, such as --count 20000 --held-out
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Load this machine for an hour, and see that what the agent takes stays the same
    Soak {
        /// What the program is given, such as --duration 60m
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Give foreign bytes to what reads them, by libFuzzer, one target after another
    Fuzz {
        /// Which targets; all without
        targets: Vec<String>,
        /// Of each target
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Bring what was found into the committed corpus, minimised
        #[arg(long)]
        keep: bool,
    },
    /// Run the tests of the ABI under Miri, where a nightly has it
    Miri,
    /// Boot other kernels in QEMU, and see on each what the agent can do there
    Vm {
        /// Which kernels; all without
        kernels: Vec<String>,
        /// Only the short form (short), or checks with one of these in their name: blanks as -, a comma between two
        #[arg(long, default_value = vm::ALL)]
        checks: String,
    },
    /// Print what describes the small virtual machine of the tests on the real kernel, for STALL_MACHINE
    Machine,
    /// Build what is handed out into dist/: static binaries, checksums, bill of materials, image
    Dist {
        /// Build twice, in different directories, and compare
        #[arg(long)]
        check: bool,
    },
    /// Check the rules that neither rustfmt nor clippy holds
    Tidy,
    /// Stage a real incident on a disk of its own, trace it, and leave stall.json
    Demo {
        /// Options of the staging, and after `--` of the agent
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    run(Arguments::parse().chore).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(chore: Chore) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Setup => setup::report(&workspace)?,
        Chore::Build => build::run(&workspace)?,
        Chore::Run { arguments } => build::run_agent(&workspace, &arguments)?,
        Chore::Test { full } => return Ok(test::run(&workspace, full)),
        Chore::Bench { arguments } => staged::bench(&workspace, &arguments)?,
        Chore::Mixes { arguments } => staged::run(&workspace, "mixes", &arguments)?,
        Chore::Soak { arguments } => staged::run(&workspace, "soak", &arguments)?,
        Chore::Worlds { arguments } => worlds::run(&workspace, &arguments)?,
        Chore::Fuzz {
            targets,
            seconds,
            keep,
        } => {
            let wanted = fuzz::Wanted {
                seconds,
                keep,
                targets,
            };
            fuzz::run(&workspace, &wanted)?;
        }
        Chore::Miri => miri::run(&workspace)?,
        Chore::Vm { kernels, checks } => return vm::run(&workspace, &kernels, &checks),
        Chore::Machine => println!("{}", vm::reader::describe(&workspace)?),
        Chore::Dist { check } => dist::run(&workspace, check)?,
        Chore::Tidy => tidy::run(&workspace)?,
        Chore::Demo { .. } => demo::run(&workspace, &typed_after_the_chore())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// With the `--` between the options of the staging and of the agent, which clap would take for its own.
fn typed_after_the_chore() -> Vec<OsString> {
    env::args_os().skip(2).collect()
}
