//! `cargo xtask build` and `run`: the agent, release build.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{process, setup};

/// Builds the agent and prints where it is.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let agent = agent(workspace)?;
    println!("{}", agent.display());
    Ok(())
}

/// Builds the agent and becomes it.
pub(crate) fn run_agent(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let agent = agent(workspace)?;
    process::become_program(Command::new(agent).args(arguments))
}

/// Sets up, builds the agent, and says where it is.
pub(crate) fn agent(workspace: &Workspace) -> Result<PathBuf> {
    setup::run(workspace)?;
    release(workspace, &["stall-agent"])?;
    Ok(workspace.release("stall-agent"))
}

/// The release build of `packages`.
pub(crate) fn release(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["build", "--release", "--locked"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    process::run(&mut command)
}

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
