//! The agent on other kernels, in emulated machines: the short form of the checks, counted one by one.
//!
//! Skipped, and counted as that, where the parts cannot be had; whatever can be had must boot and pass.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::tally::Tally;
use crate::lab::kernel::{Kernel, architectures};
use crate::process;
use crate::vm::{self, Downloads, Wanted};
use crate::workspace::Workspace;

/// One that Harvester ships in both architectures, the newest, the oldest that is traced. The slowest last, as in the list of all:
/// machines take them from its end.
const KERNELS: [&str; 4] = ["5.10", "6.12", "7", "6.12-arm64"];
/// For the checks of one machine; two run at a time.
const WITHIN: Duration = Duration::from_secs(600);

/// What is done about the kernels.
pub(super) enum Plan {
    Run(Vec<Kernel>, Downloads),
    Skip(String),
}

/// Gets the parts, or says why not.
pub(super) fn plan(workspace: &Workspace) -> Result<Plan> {
    let kernels = vm::chosen(&KERNELS)?;
    for arch in architectures(&kernels) {
        if !has_standard_library(arch.target()) {
            let target = arch.target();
            return Ok(Plan::Skip(format!(
                "no standard library of {target}, and rustup gets none"
            )));
        }
    }
    Ok(match Downloads::get(workspace, &kernels) {
        Ok(downloads) => Plan::Run(kernels, downloads),
        Err(error) => Plan::Skip(format!("parts cannot be downloaded: {error:#}")),
    })
}

/// Boots them.
pub(super) fn run(
    workspace: &Workspace,
    kernels: &[Kernel],
    downloads: Downloads,
) -> Result<Tally> {
    let wanted = Wanted {
        checks: "short".to_owned(),
        within: WITHIN,
    };
    let table = vm::play(workspace, kernels, downloads, &wanted)?;
    println!("{table}");
    let counts = table.counts();
    Ok(Tally {
        passed: counts.passed,
        failed: counts.failed,
        skipped: counts.skipped,
    })
}

/// How many tests are not run when none is: a machine each, and what it runs held to its size.
pub(super) fn skipped() -> u64 {
    KERNELS.len() as u64 + 1
}

fn has_standard_library(target: &str) -> bool {
    // Where rustup is there it may have it; the compiler knows.
    let _no_rustup = process::read(Command::new("rustup").args(["target", "add", target]));
    let mut command = Command::new("rustc");
    command.args(["--print", "target-libdir", "--target", target]);
    process::read(&mut command).is_some_and(|folder| Path::new(&folder).is_dir())
}
