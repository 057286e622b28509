//! What the agent itself costs: within the bounds it promises, and as it says.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;
use stall_agent::capture::Overhead;

use crate::harness::agent::Agent;
use crate::harness::test::Test;
use crate::harness::{between, note, same};

pub(crate) const TESTS: &[Test] = &[Test::new("it_is_within_bounds_and_true", cost)];

const MIB: u64 = 1 << 20;
/// Time is bounded for the best of these: what a busy machine adds is not the agent's.
const RUNS: usize = 8;
const ATTACH_NS: u64 = 300_000_000;
const FINISH_NS: u64 = 1_000_000_000;

/// One run's figures, and what was measured from outside.
struct Run {
    told: Overhead,
    attached: Duration,
    finished: Duration,
    peak_bytes: u64,
    map_bytes: u64,
}

impl Run {
    fn is_in_time(&self) -> bool {
        let finished = self.finished.as_nanos() as u64;
        self.told.attach_ns < ATTACH_NS && self.told.finish_ns.max(finished) < FINISH_NS
    }
}

/// Check that attaching takes less than 300 ms, finishing less than a second, memory at most 40 MiB and maps at most 32 MiB; and
/// that what the report says of it is what can be measured from outside.
fn cost() -> Result<()> {
    let mut runs = Vec::new();
    while runs.len() < RUNS && !runs.iter().any(Run::is_in_time) {
        let run = run()?;
        is_true(&run)?;
        runs.push(run);
    }
    let best = |of: fn(&Run) -> u64| runs.iter().map(of).min().context("nothing was run");
    between(
        "attaching, ns",
        best(|run| run.told.attach_ns)?,
        &(1..ATTACH_NS),
    )?;
    between(
        "finishing, ns",
        best(|run| run.told.finish_ns)?,
        &(1..FINISH_NS),
    )?;
    between(
        "to the report, ns",
        best(|run| run.finished.as_nanos() as u64)?,
        &(1..FINISH_NS),
    )?;
    for run in &runs {
        between("peak memory", run.told.peak_rss_bytes, &(MIB..40 * MIB + 1))?;
        between("maps", run.told.map_memory_bytes, &(1..32 * MIB + 1))?;
    }
    Ok(())
}

fn run() -> Result<Run> {
    let begin = Instant::now();
    let tracing = Agent::everywhere().start()?;
    let attached = begin.elapsed();
    thread::sleep(Duration::from_millis(1200));
    let peak_bytes = peak(tracing.pid())?;
    let map_bytes = maps(tracing.pid())?;
    let end = Instant::now();
    let trace = tracing.stop()?;
    // With validation and another analysis in it, so more than the agent takes.
    let finished = end.elapsed();
    note!("attached after {attached:?}, all read after {finished:?}");
    Ok(Run {
        told: trace.capture.overhead,
        attached,
        finished,
        peak_bytes,
        map_bytes,
    })
}

fn is_true(run: &Run) -> Result<()> {
    let Run { told, .. } = run;
    let measured = |time: Duration| time.as_nanos() as u64 + 1;
    between(
        "attaching, as told",
        told.attach_ns,
        &(1..measured(run.attached)),
    )?;
    between(
        "finishing, as told",
        told.finish_ns,
        &(1..measured(run.finished)),
    )?;
    between(
        "peak memory, as told",
        told.peak_rss_bytes,
        &(run.peak_bytes..64 * MIB),
    )?;
    same("memory of maps", told.map_memory_bytes, run.map_bytes)?;
    ensure!(
        told.cpu_user_ns + told.cpu_system_ns > 0,
        "it took no CPU time"
    );
    let switch = told
        .programs
        .iter()
        .find(|row| row.program.starts_with("sched_switch"));
    let switch = switch.context("sched_switch is not among the programs")?;
    ensure!(
        switch.runs > 0 && switch.run_ns > 0,
        "the kernel did not time it"
    );
    Ok(())
}

fn peak(pid: Pid) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("no VmHWM")?.parse::<u64>()? * 1024)
}

/// What the kernel charges for the maps the process holds, each once.
fn maps(pid: Pid) -> Result<u64> {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo"))?.flatten();
    let texts = infos.filter_map(|info| fs::read_to_string(info.path()).ok());
    let maps = texts.filter(|text| text.contains("map_id:"));
    let charged = maps.filter_map(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("memlock:"))?;
        line.trim().parse::<u64>().ok()
    });
    Ok(charged.sum())
}
