//! Faults of the machine around the agent, each brought about on purpose, and what the report then says.
//!
//! `docs/reliability.md` has them in a table, with those that other topics test.

pub(crate) mod attach;
pub(crate) mod clock;
pub(crate) mod devices;
pub(crate) mod maps;
pub(crate) mod messages;
pub(crate) mod output;
pub(crate) mod owners;
pub(crate) mod resources;
pub(crate) mod signals;
pub(crate) mod soak;

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use stall_agent::capture::Capture;
use stall_agent::cli::{Cli, Command};
use stall_agent::config;
use stall_agent::probe::sizes::Limits;
use stall_agent::progress::Verbosity;
use stall_agent::trace::{self, Embedding, Part};

/// A trace in this process with small maps, in which something is done while nothing is read from them: when the hooks are
/// attached, and before the agent waits for what comes.
fn trace_of(options: &[&str], limits: Limits, act: impl FnOnce() -> Result<()>) -> Result<Capture> {
    let words = ["stall-agent", "trace", "--quiet", "--duration", "300ms"];
    let words = words.iter().chain(options);
    let Some(Command::Trace(typed)) = Cli::try_parse_from(words)?.command else {
        bail!("not a trace");
    };
    let mut config = config::Trace::new(typed, Verbosity::Quiet)?;
    config.find_disks()?;
    let (mut act, mut acted) = (Some(act), None);
    let mut before = |part| {
        if part == Part::Waiting
            && let Some(act) = act.take()
        {
            acted = Some(act());
        }
    };
    let within = Embedding {
        confine: false,
        before: &mut before,
        limits,
    };
    let capture = trace::run(&config, Instant::now(), within)?;
    acted.context("the run did not begin")??;
    Ok(capture)
}
