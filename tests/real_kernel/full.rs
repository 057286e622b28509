//! What does not fit is counted as lost, and what is counted elsewhere stays right.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use stall_agent::capture::{EndedRequest, Op as Seen};
use stall_tests::block_io::program::Program;
use stall_tests::fio::{Engine, Job, Pattern};
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::spawned::Spawned;
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::load::Load;
use crate::harness::test::Test;
use crate::harness::{between, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("more_records_than_may_be_sent", records),
    Test::new("processes_that_come_and_go_leave_their_rows", processes),
    Test::new("a_fast_trim_starves_nobody", fast_trim),
];

/// Half again as many as there are rows of who did what where.
const PROCESSES: u32 = 12_000;
/// Three snapshots and more.
const INTERVALS: Duration = Duration::from_secs(4);
/// Those that stand for themselves at most, and others on the host.
const APART: usize = 1_500;

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
    // Sleeps that are held back count with them, so that more may be lost than reads.
    let told = trace.capture.slow_requests.len() as u64;
    let accounted =
        told + over + trace.lost("records_not_kept")? + trace.lost("ring_buffer_full")?;
    between("records told or lost", accounted, &(slow..u64::MAX))
}

/// Check that of many more short processes than there are rows nothing is lost, that they take no more room than some, and that
/// those that are told of as one are said to be as many as they were.
fn processes() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let program = Program {
        processes: PROCESSES,
        path: disk.device(),
        steps: vec!["read:0:4096".to_owned()],
        ..Program::default()
    };
    let act = || {
        let mut command = program.command()?;
        let mut forking = Spawned::start(command.stdin(Stdio::null()))?;
        let status = forking.wait_within(Duration::from_secs(90))?;
        ensure!(status.success(), "direct-io: {status}");
        // Those of the last two intervals are not yet taken out of the kernel's rows.
        thread::sleep(INTERVALS);
        Ok(())
    };
    let (trace, counted, ()) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    same("reads", trace.ops(&disk, Seen::Read), PROCESSES.into())?;
    let reads = trace.uses(&disk).filter(|used| used.op == Seen::Read);
    let reads: Vec<_> = reads.collect();
    let of_actors: u64 = reads.iter().map(|used| used.ops).sum();
    same("reads of all actors", of_actors, PROCESSES.into())?;
    let rows = reads.len();
    note!("{rows} rows");
    ensure!(rows < APART, "{rows} actors are tracked");
    let actor = |id: u32| trace.capture.actors.iter().find(|actor| actor.id == id);
    let alike = reads.iter().filter_map(|used| actor(used.actor));
    let told: u64 = alike.map(|actor| 1 + actor.ended_alike).sum();
    same("processes", told, PROCESSES.into())?;
    let intervals = trace.capture.intervals.iter();
    let in_intervals = intervals.flat_map(|interval| &interval.uses);
    let index = trace.index(&disk);
    let in_intervals = in_intervals.filter(|row| Some(row.disk) == index && row.op == Seen::Read);
    let known = in_intervals.clone().all(|row| actor(row.actor).is_some());
    ensure!(known, "an interval tells of an actor that is no row");
    same(
        "reads in intervals",
        in_intervals.map(|row| row.ops).sum(),
        PROCESSES.into(),
    )
}

/// Check that while a trim sends more discards than are recorded one by one, the slow reads of another are all recorded, and that
/// what is recorded stands for all there was.
fn fast_trim() -> Result<()> {
    let disk = StagedDisk::builder()
        .size(1 << 30)
        .delay(Op::Read, Delay::constant(12_000))
        .start()?;
    let act = || {
        let long = Duration::from_secs(3);
        let discards = ["discard:1048576:65536:64:65536"];
        let trimmer = Load::start_for("fast-trim", &disk.device(), &discards, long)?;
        let reader = Load::start_for("reader", &disk.device(), &["read:8192:4096:8"], long)?;
        trimmer.wait()?;
        reader.wait()
    };
    let (trace, counted, reader) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    let over = trace.lost("records_over_budget")?;
    note!(
        "{} discards, {over} records held back",
        counted.discards.ios
    );
    let used = trace.use_of(&disk, reader.pid, Seen::Read)?;
    let recorded = trace.capture.slow_requests.iter();
    let recorded = recorded.filter(|row| row.actor == used.actor && row.op == Seen::Read);
    same(
        "slow reads recorded",
        recorded.count() as u64,
        used.slow_ops,
    )?;
    let stands = |rows: &[EndedRequest], op: Seen| {
        let rows = rows.iter().filter(|row| row.op == op);
        rows.map(|row| row.stands_for).sum::<f64>().round() as u64
    };
    let slow = stands(&trace.capture.slow_requests, Seen::Read);
    same("slow reads the sample stands for", slow, used.slow_ops)?;
    let discards = stands(&trace.capture.discard_requests, Seen::Discard);
    same(
        "discards the sample stands for",
        discards,
        counted.discards.ios,
    )
}
