//! `cargo xtask miri`: the crate of the ABI under Miri, which sees what a test of a built program does not, such as a read of what was
//! never written.
//!
//! Takes a rustup nightly with the component `miri`, and says in one line that it is skipped where there is none.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// It interprets, so a property is tried with a few cases only.
const CASES: (&str, &str) = ("PROPTEST_CASES", "4");
/// Where they are kept is asked of the system.
const FLAGS: (&str, &str) = ("MIRIFLAGS", "-Zmiri-disable-isolation");
/// Numbers only, and millions of them.
const SLOW: &str = "every_copy_of_every_row_has_a_place_of_its_own";
const MISSING: &str = "no rustup nightly has it: rustup toolchain install nightly --component miri";

/// Fails when Miri finds something.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    if !process::succeeds(cargo(workspace).args(["miri", "--version"])) {
        println!("miri: skipped: {MISSING}");
        return Ok(());
    }
    let mut command = cargo(workspace);
    command.args(["miri", "test", "--package", "stall-common"]);
    command.args(["--features", "user", "--lib", "--", "--skip", SLOW]);
    process::run(command.envs([CASES, FLAGS]))
}

/// Not the cargo that runs us, which is of another toolchain and says so to those it starts.
fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    command.current_dir(workspace.root());
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}
