//! What does not fit is counted as lost, and what is counted elsewhere stays right.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};
use stall_agent::capture::Op as Seen;
use stall_tests::block_io::program::Program;
use stall_tests::fio::{Engine, Job, Pattern};
use stall_tests::spawned::Spawned;
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::test::Test;
use crate::harness::{between, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("more_records_than_may_be_sent", records),
    Test::new("more_processes_than_are_kept", processes),
];

/// Rows of the map of who did what where.
const ROWS: u32 = 8192;

/// Check that when every request is slow enough to be recorded, those beyond the interval's budget
/// are counted as lost records, each of them, and counts of requests lose nothing.
fn records() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let job = Job::new(Pattern::RandRead, &disk.device())
        .engine(Engine::Libaio)
        .depth(32)
        .size(256 << 20)
        .runtime(Duration::from_secs(2));
    let agent = Agent::on(&disk).with("--slow", "1us");
    let (trace, counted, _) = traced(&disk, &agent, || job.run())?;
    equals_kernel(&trace, &disk, &counted)?;
    let slow: u64 = trace.uses(&disk).map(|used| used.slow_ops).sum();
    let over = trace.lost("records_over_budget")?;
    note!("{slow} slow requests, {over} beyond the budget");
    ensure!(over > 0, "the budget was not spent: no trap was set");
    // Sleeps are recorded from the same budget, so that more may be lost than reads.
    let told = trace.capture.slow_requests.len() as u64;
    let accounted =
        told + over + trace.lost("records_not_kept")? + trace.lost("ring_buffer_full")?;
    between("records told or lost", accounted, &(slow..u64::MAX))
}

/// Check that processes beyond what the map of uses holds are counted as lost, while the disk's own
/// counts equal the kernel's; and that so many short-lived processes are no trouble.
fn processes() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let program = Program {
        processes: ROWS + 500,
        path: disk.device(),
        steps: vec!["read:0:4096".to_owned()],
        ..Program::default()
    };
    let act = || {
        let mut command = program.command()?;
        let mut forking = Spawned::start(command.stdin(Stdio::null()))?;
        let status = forking.wait_within(Duration::from_secs(90))?;
        ensure!(status.success(), "direct-io: {status}");
        Ok(())
    };
    let (trace, counted, ()) = traced(&disk, &Agent::on(&disk), act)?;
    let read = trace.seen(&disk, Seen::Read)?;
    same("reads", read.ops, counted.reads.ios)?;
    let in_map: u64 = trace.uses(&disk).map(|used| used.ops).sum();
    let lost = trace.lost("uses_map_full")?;
    note!("{in_map} reads in the map, {lost} beyond it");
    ensure!(lost > 0, "the map was not filled: no trap was set");
    let missed = trace.lost("missed_completions")?;
    same("reads in the map or lost", in_map + lost + missed, read.ops)?;
    let told = trace.report.losses.causes.iter();
    let told = told
        .filter(|loss| loss.cause == "uses_map_full")
        .map(|loss| loss.count)
        .sum();
    same("lost, in the report", told, lost)?;
    ensure!(
        trace.report.losses.request_share > 0.0,
        "the report's share of losses is 0"
    );
    Ok(())
}
