//! The discard clock, and who was exposed to it, against the disk's own log.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::Op as Seen;
use stall_agent::report::model::Side as Told;
use stall_tests::exposure::{Exposure, Side as Truth};
use stall_tests::intervals::union_length;
use stall_tests::slow_disk::{Delay, Op, OpRecord};
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::load::Load;
use crate::harness::test::Test;
use crate::harness::{between, close, note};

pub(crate) const TESTS: &[Test] = &[
    Test::new("it_is_the_union_of_the_discards", union),
    Test::new("exposed_are_those_that_overlap_it", exposed),
];

const MS: u64 = 1_000_000;
/// The most bytes of one discard.
const PIECE: u64 = 65536;
const FOR: Duration = Duration::from_secs(3);

fn disk() -> Result<StagedDisk> {
    StagedDisk::builder()
        .size(1 << 30)
        .discard_max(PIECE)
        .delay(Op::Discard, Delay::constant(50_000))
        .delay(Op::Read, Delay::constant(300))
        .start()
}

/// Discards in calls of so many requests, with pauses.
fn discards(disk: &StagedDisk, requests: u64) -> Result<Load> {
    let step = format!("discard:0:{}", requests * PIECE);
    Load::start_for("discards", &disk.device(), &[&step, "sleep:30"], FOR)
}

fn span(record: &OpRecord) -> std::ops::Range<u64> {
    record.arrival_ns..record.end_ns.unwrap_or(record.arrival_ns)
}

/// Check that with four discards at once, time with a discard in flight is counted once: not below
/// what the disk says, not above what the caller says, and near both. The sum of their latencies is
/// the kernel's.
fn union() -> Result<()> {
    let disk = disk()?;
    let act = || discards(&disk, 4)?.wait();
    let (trace, counted, done) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    let at_disk = union_length(disk.control().log()?.present(Op::Discard));
    let waited = union_length(done.log.records.iter().map(span));
    let busy = trace.disk(&disk)?.discard_busy_ns;
    between("time with a discard", busy, &(at_disk - MS..waited + MS))?;
    close(
        "time with a discard (disk)",
        busy,
        at_disk,
        0.02,
        counted.discards.ios * MS / 2,
    )?;
    let series = trace.seen(&disk, Seen::Discard)?;
    let kernel = counted.discards.ms * MS;
    close(
        "sum of discards (kernel)",
        series.total_ns,
        kernel,
        0.02,
        counted.discards.ios * MS,
    )?;
    ensure!(
        series.total_ns > 2 * busy,
        "the discards never overlapped: no trap was set"
    );
    let by_interval = trace
        .capture
        .intervals
        .iter()
        .flat_map(|interval| &interval.discards);
    let by_interval = by_interval.map(|row| row.busy_ns).sum();
    close("sum over intervals", by_interval, busy, 0.0, MS)
}

/// Check that a reader's requests are split by whether they overlap a discard: as many, with as
/// much time, as the disk's log and the reader's own account say.
fn exposed() -> Result<()> {
    let disk = disk()?;
    let steps = ["read:0:4096", "sleep:4"];
    let act = || {
        let discards = discards(&disk, 1)?;
        let reader = Load::start_for("paced-reader", &disk.device(), &steps, FOR)?;
        let done = reader.wait()?;
        discards.wait()?;
        Ok(done)
    };
    let (trace, counted, done) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    let culprit = disk.control().log()?.present(Op::Discard);
    let truth = Exposure::of(done.log.records.iter().map(span), &culprit);
    let (exposed, unexposed) = (&truth.exposed, &truth.unexposed);
    note!(
        "truth: {} exposed, {} not",
        exposed.count(),
        unexposed.count()
    );
    ensure!(
        exposed.count().min(unexposed.count()) > 20,
        "one side is missing: no trap was set"
    );
    let used = trace.use_of(&disk, done.pid, Seen::Read)?;
    // A read that begins or ends within the system call of a discard may be on either side.
    let either = 3 + counted.discards.ios / 20;
    close(
        "exposed reads",
        used.exposed_ops,
        exposed.count() as u64,
        0.02,
        either,
    )?;
    let slow = exposed.slow(10_000_000) as u64;
    close(
        "slow exposed reads",
        used.exposed_slow_ops,
        slow,
        0.02,
        either,
    )?;
    close(
        "time of exposed reads",
        used.exposed_total_ns,
        exposed.total_ns(),
        0.03,
        10 * MS,
    )?;
    let mut victims = trace.report.victims.iter();
    let victim = victims.find(|victim| victim.actor == used.actor && victim.device == disk.name());
    let told = &victim.context("the reader is no victim")?.all;
    close(
        "exposed reads in the report",
        told.exposed.ops,
        used.exposed_ops,
        0.0,
        0,
    )?;
    percentiles("exposed", &told.exposed, exposed)?;
    percentiles("unexposed", &told.unexposed, unexposed)
}

/// Buckets are an eighth off at most; the reader's own account has the way in and out of the kernel as well.
fn percentiles(name: &str, told: &Told, truth: &Truth) -> Result<()> {
    for (percent, told) in [(50.0, told.p50_ns), (90.0, told.p90_ns)] {
        let told = told.context("no percentile is told")?;
        let truth = truth.percentile_ns(percent).context("nothing was read")?;
        close(&format!("{name}, {percent} %"), told, truth, 0.20, MS / 2)?;
    }
    Ok(())
}
