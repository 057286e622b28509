//! `cargo xtask demo`: builds everything, then becomes the program that stages the incident.
//!
//! That program takes everything down again, also after a signal; being it, nothing is in between.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, process, setup};

pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::run(workspace)?;
    build::release(workspace, &["stall-agent", "stall-tests"])?;
    let mut command = Command::new(workspace.release("incident"));
    command.arg("--agent").arg(workspace.release("stall-agent"));
    process::become_program(command.args(arguments))
}
