//! `cargo xtask worlds`: builds the simulator, then becomes it.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, process};

/// Worlds of `cargo xtask test`: a minute and a half of two processors.
const TESTED: &str = "2000";

pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    build::release(workspace, &["stall-worlds"])?;
    process::become_program(Command::new(workspace.release("worlds")).args(arguments))
}

/// Every one of many is judged: none makes the judge panic.
pub(crate) fn test(workspace: &Workspace) -> Result<()> {
    build::release(workspace, &["stall-worlds"])?;
    process::run(Command::new(workspace.release("worlds")).args(["--count", TESTED]))
}
