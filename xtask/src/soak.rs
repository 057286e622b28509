//! `cargo xtask soak`: builds everything, then becomes the program that loads the machine for long.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, process, setup};

pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::run(workspace)?;
    build::release(workspace, &["stall-agent", "stall-tests"])?;
    let mut command = Command::new(workspace.release("soak"));
    command.arg("--agent").arg(workspace.release("stall-agent"));
    process::become_program(command.args(arguments))
}
