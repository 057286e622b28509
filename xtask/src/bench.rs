//! `cargo xtask bench`: what the agent costs on this machine, as its own report says.
//!
//! Traces the whole host for some seconds, as it is, and prints figures beside what they are to
//! stay below. It measures, and judges nothing.

mod table;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::workspace::Workspace;
use crate::{build, process};

const WINDOW: Duration = Duration::from_secs(5);

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let agent = build::agent(workspace)?;
    let file = workspace.release("bench.json");
    let start = Instant::now();
    let duration = format!("{}s", WINDOW.as_secs());
    let mut trace = Command::new(agent);
    trace
        .args(["trace", "-q", "--duration", &duration, "--output"])
        .arg(&file);
    process::run(&mut trace)?;
    let beyond = start.elapsed().saturating_sub(WINDOW);
    let report = read(&file)?;
    print!("{}", table::of_agent(&report["agent"], beyond)?);
    Ok(())
}

fn read(file: &Path) -> Result<Value> {
    let text = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", file.display()))
}
