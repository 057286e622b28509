//! Little memory, no CPU: the report comes, and its counts are right.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use stall_agent::capture::Op as Seen;
use stall_tests::cgroup::{Controller, IoGroup};
use stall_tests::fio::{Engine, Job, Pattern};
use stall_tests::staged::StagedDisk;

use crate::harness::agent::{self, Agent, Tracing};
use crate::harness::compare::{equals_kernel, rest};
use crate::harness::seen::Trace;
use crate::harness::skip::Skip;
use crate::harness::test::Test;
use crate::harness::{between, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("memory_of_64_mib_is_enough_for_all_of_it", memory),
    Test::new("without_a_cpu_for_seconds_nothing_is_lost", stopped),
    Test::new("with_a_twentieth_of_a_cpu_it_gets_done", throttled),
];

const MIB: u64 = 1 << 20;
const NS: u64 = 1_000_000_000;

/// Check that the agent, with the processes that write and its maps in the kernel, lives in a control group of 64 MiB under
/// load, and that no process of it is killed.
fn memory() -> Result<()> {
    let group = group(Controller::Memory)?;
    group.limit_memory(64 * MIB)?;
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    let agent = inside(&group, Agent::on(&disk))?.with("--slow", "1us");
    let (trace, counted) = loaded(&disk, &agent, |_| Ok(()))?;
    equals_kernel(&trace, &disk, &counted)?;
    let peak = group.peak_memory()?;
    between("memory of the group", peak, &(8 * MIB..64 * MIB + 1))?;
    same("killed for it", group.killed_for_memory()?, 0)
}

/// Check that an agent which gets no CPU for three seconds, while thousands of requests end, has each of them in its sums,
/// and says how long the window was.
fn stopped() -> Result<()> {
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    let begin = Instant::now();
    let (trace, counted) = loaded(&disk, &Agent::on(&disk), |tracing| {
        tracing.signal(Signal::SIGSTOP)?;
        thread::sleep(Duration::from_secs(3));
        tracing.signal(Signal::SIGCONT)
    })?;
    equals_kernel(&trace, &disk, &counted)?;
    let window = &trace.capture.window;
    let most = begin.elapsed().as_nanos() as u64;
    between("the window", window.length_ns(), &(3 * NS..most))?;
    let intervals = trace.capture.intervals.iter();
    let longest = intervals.map(|it| it.end_ns - it.start_ns).max();
    between(
        "the longest interval",
        longest.context("there is none")?,
        &(3 * NS..most),
    )
}

/// Check that with 5 ms of CPU in 100 it attaches, counts, and writes its report.
fn throttled() -> Result<()> {
    let group = group(Controller::Cpu)?;
    group.limit_cpu(5_000)?;
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    let agent = inside(&group, Agent::on(&disk))?;
    let (trace, counted) = loaded(&disk, &agent, |_| Ok(()))?;
    equals_kernel(&trace, &disk, &counted)
}

/// Traces reads of the disk, a thousand and more; something is done to the agent meanwhile.
fn loaded(
    disk: &StagedDisk,
    agent: &Agent,
    disturb: impl FnOnce(&Tracing) -> Result<()>,
) -> Result<(Trace, stall_tests::staged::KernelCounters)> {
    rest(disk)?;
    let tracing = agent.start()?;
    let before = disk.counters()?;
    let job = Job::new(Pattern::RandRead, &disk.device())
        .engine(Engine::Libaio)
        .depth(8)
        .size(128 << 20)
        .runtime(Duration::from_secs(2));
    let running = job.start()?;
    disturb(&tracing)?;
    running.wait()?;
    rest(disk)?;
    let counted = disk.counters()?.since(&before);
    let trace = tracing.stop()?;
    note!("{} reads", trace.ops(disk, Seen::Read));
    ensure!(counted.reads.ios > 1_000, "no trap was set: {counted}");
    Ok((trace, counted))
}

fn group(controller: Controller) -> Result<IoGroup> {
    let group = IoGroup::of(controller, "stall-fault")?;
    let none = || {
        Skip(format!(
            "this machine has no control groups for {controller:?}"
        ))
    };
    Ok(group.ok_or_else(none)?)
}

/// Starts in the group, with all that it starts itself.
fn inside(group: &IoGroup, agent: Agent) -> Result<Agent> {
    let path = group.path().join("cgroup.procs");
    let join = format!("echo 0 > {} && exec \"$0\" \"$@\"", path.display());
    Ok(agent.launched_by(["sh", "-c", &join], &agent::program()?))
}
