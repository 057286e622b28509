//! The agent on less of a kernel than there is: this very program, started again, traces with the agent's library on facts of
//! the kernel from which something is taken away. The agent itself has no way to be told.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use stall_agent::cli::{self, Cli};
use stall_agent::config;
use stall_agent::failure::Failure;
use stall_agent::kernel::support::{self, Facts};
use stall_agent::progress::Verbosity;
use stall_agent::trace::{self, Embedding};
use stall_common::layout::ABSENT;

/// The first argument of the program when it is started again; the second is what is kept back.
const MARK: &str = "--keep-back";

/// Beyond the end of every structure.
const NOWHERE: u32 = 1 << 20;

/// Everything optional, by what `coverage_gaps` calls it.
pub(crate) const OPTIONAL: [&str; 13] = [
    "block_rq_merge",
    "block_rq_requeue",
    "sched_process_exit",
    "task",
    "request_start",
    "requests_before",
    "who_waits",
    "io_wait",
    "woken_early",
    "control_groups",
    "last_run",
    "command_line",
    "lock_holder",
];

/// What 6.18 has and 5.14 has not: who submits is told at the start, and the state of who is switched away from.
pub(crate) const SINCE_5_14: [&str; 3] = ["block_io_start", "prev_state", "lock_holder"];

/// What 6.18 has and 5.10 has not, but for the queue in front of `block_getrq`: the running task's fields are copied.
pub(crate) const SINCE_5_10: [&str; 4] = [
    "block_io_start",
    "prev_state",
    "lock_holder",
    "typed_current",
];

/// This program, to trace with so much kept back.
pub(crate) fn command(things: &[&str]) -> Result<Command> {
    let own = env::current_exe().context("this program has no path")?;
    let mut command = Command::new(own);
    command.arg(MARK).arg(things.join(","));
    Ok(command)
}

/// Traces, when this program was started for that.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = env::args().skip(1);
    if arguments.next()? != MARK {
        return None;
    }
    let things = arguments.next()?;
    let agent = ["stall-agent".to_owned()].into_iter().chain(arguments);
    let Some(cli::Command::Trace(typed)) = Cli::parse_from(agent).command else {
        return Some(ExitCode::FAILURE);
    };
    let code = traced(typed, &things).map_or_else(
        |failure| {
            eprintln!("stall-agent: {failure}");
            failure.exit_code()
        },
        |()| 0,
    );
    Some(ExitCode::from(code))
}

fn traced(typed: cli::Trace, things: &str) -> Result<(), Failure> {
    let mut config = config::Trace::new(typed, Verbosity::Quiet)?;
    config.find_disks()?;
    let mut facts = support::facts()?;
    for thing in things.split(',') {
        keep_back(&mut facts, thing);
    }
    let within = Embedding {
        confine: false,
        before: &mut |_| {},
        limits: &[],
    };
    let capture = trace::run_with(&config, &facts, Instant::now(), within)?;
    let path = config.capture.clone().unwrap_or_else(PathBuf::new);
    let text =
        serde_json::to_string(&capture).map_err(|error| Failure::Other(error.to_string()))?;
    fs::write(&path, text).map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}

/// As if the kernel did not have it. The first field of a part is the one the programs test for.
fn keep_back(facts: &mut Facts, thing: &str) {
    let layout = &mut facts.layout;
    match thing {
        "task" => facts.iterators.clear(),
        "typed_current" => facts.typed_current = false,
        "prev_state" => {
            facts.tracepoints.insert("sched_switch", 3);
        }
        "request_start" => {
            layout.request_start_time_ns = ABSENT;
            layout.device_disk = ABSENT;
        }
        "requests_before" => layout.device_disk = ABSENT,
        "control_groups" => layout.bio_blkg = ABSENT,
        "last_run" => layout.task_last_arrival = ABSENT,
        "command_line" => layout.task_mm = ABSENT,
        "lock_holder" => layout.task_blocker = ABSENT,
        "who_waits" => layout.task_stack = ABSENT,
        "io_wait" => layout.task_io_wait = ABSENT,
        "woken_early" => layout.task_pi_lock = ABSENT,
        // Said to be where nothing is: the kernel refuses the programs that read it.
        "true_last_run" => layout.task_last_arrival = NOWHERE,
        "true_request_start" => layout.request_start_time_ns = NOWHERE,
        hook => {
            facts.tracepoints.remove(hook);
        }
    }
}
