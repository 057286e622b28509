//! `cargo xtask build` and `run`: the agent that is handed out, and the one that is there soonest.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{process, setup};

/// Builds the agent (release) and prints where it is.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace, &[])?;
    release(workspace, &["stall-agent"])?;
    println!("{}", workspace.release("stall-agent").display());
    Ok(())
}

/// Builds the agent as the tests do and becomes it.
pub(crate) fn run_agent(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::run(workspace, &[])?;
    process::run(&mut dev(workspace, &["stall-agent"]))?;
    process::become_program(Command::new(workspace.dev("stall-agent")).args(arguments))
}

/// The release build of `packages`.
pub(crate) fn release(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["build", "--release", "--locked"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    process::run(&mut command)
}

/// The build that is there soonest, of these programs; of the same packages each time, so that what they depend on is built once.
pub(crate) fn dev(workspace: &Workspace, programs: &[&str]) -> Command {
    let mut command = workspace.cargo();
    command.args(["build", "--locked"]);
    command.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    command.args(programs.iter().flat_map(|program| ["--bin", program]));
    command
}

/// The agent, and what stages its incidents.
pub(crate) const PACKAGES: [&str; 2] = ["stall-agent", "stall-tests"];

/// The variable by which cargo is told the linker of a target.
pub(crate) fn linker_variable(target: &str) -> String {
    let target = target.to_uppercase().replace('-', "_");
    format!("CARGO_TARGET_{target}_LINKER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_targets_linker_is_told_as_cargo_asks_for_it() {
        assert_eq!(
            linker_variable("aarch64-unknown-linux-musl"),
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER"
        );
    }
}
