//! `cargo xtask worlds`: builds the simulator, then becomes it.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, process};

pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    build::release(workspace, &["stall-worlds"])?;
    process::become_program(Command::new(workspace.release("worlds")).args(arguments))
}
