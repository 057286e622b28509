//! `cargo xtask bench`: builds everything, gets the peers, then becomes the program that measures them all.
//!
//! It measures, and judges nothing.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::lab::{self, peers};
use crate::setup::say;
use crate::workspace::Workspace;
use crate::{build, process, setup};

pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::run(workspace)?;
    build::release(workspace, &["stall-agent", "stall-tests"])?;
    let mut command = Command::new(workspace.release("bench"));
    command.arg("--agent").arg(workspace.release("stall-agent"));
    match peers::get(&lab::folder(workspace)?) {
        Ok(peers) => {
            command.arg("--peers").arg(peers);
        }
        Err(error) => say(&format!("no peers to compare with: {error:#}")),
    }
    process::become_program(command.args(arguments))
}
