//! `cargo xtask mixes`, `soak` and `bench`: each builds what is handed out, and becomes the program that stages, loads or measures.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::lab::{self, peers};
use crate::setup::runtime::{STAGING, TESTS};
use crate::setup::say;
use crate::workspace::Workspace;
use crate::{build, process, setup};

/// The program of that name, told where the agent is.
pub(crate) fn run(workspace: &Workspace, name: &str, arguments: &[OsString]) -> Result<()> {
    process::become_program(program(workspace, name)?.args(arguments))
}

/// Measures, and judges nothing; with peers beside it where they can be had.
pub(crate) fn bench(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let mut command = program(workspace, "bench")?;
    match peers::get(&lab::folder(workspace)?) {
        Ok(peers) => {
            command.arg("--peers").arg(peers);
        }
        Err(error) => say(&format!("no peers to compare with: {error:#}")),
    }
    process::become_program(command.args(arguments))
}

fn program(workspace: &Workspace, name: &str) -> Result<Command> {
    setup::run(workspace, &[STAGING, TESTS])?;
    build::release(workspace, &["stall-agent", "stall-tests"])?;
    let mut command = Command::new(workspace.release(name));
    command.arg("--agent").arg(workspace.release("stall-agent"));
    Ok(command)
}
