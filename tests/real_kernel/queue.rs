//! Queue time and device time are two numbers, and merged requests are retired.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::Op as Seen;
use stall_tests::fio::{Engine, Job, Pattern};
use stall_tests::slow_disk::command::Setting;
use stall_tests::slow_disk::{Delay, Op, OpRecord};
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::ftrace::EventLog;
use crate::harness::skip::Need;
use crate::harness::test::Test;
use crate::harness::urgent::urgently;
use crate::harness::{close, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("queue_and_device_time_are_apart", apart).needs(&[Need::Scheduler("mq-deadline")]),
    Test::new("merged_requests_are_retired", merged).needs(&[Need::Scheduler("mq-deadline")]),
];

const MIB: u64 = 1 << 20;
const DEPTH: u32 = 256;
/// What a request costs in the loop driver and in FUSE, on a busy machine.
const DRIVER_NS: u64 = 300_000;

/// Check that with twice as many requests as the driver takes at once, the time in the scheduler is
/// queue time and the time at the disk is device time (the disk's own log), that they add up to the
/// whole (fio), and that Little's law holds: requests present = rate x time.
fn apart() -> Result<()> {
    let disk = StagedDisk::builder()
        .size(1 << 30)
        .queue("scheduler", "mq-deadline")
        .queue("nr_requests", "256")
        .delay(Op::Read, Delay::constant(4_000))
        .setting(Setting::Width(16))
        .start()?;
    let job = Job::new(Pattern::RandRead, &disk.device())
        .engine(Engine::Libaio)
        .depth(DEPTH)
        .size(512 * MIB)
        .runtime(Duration::from_secs(3));
    let act = || urgently(|| job.run());
    let (trace, counted, fio) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    let read = trace.seen(&disk, Seen::Read)?;
    same(
        "queue and device time",
        read.queue_ns + read.device_ns,
        read.total_ns,
    )?;
    let log = disk.control().log()?;
    let at_disk: u64 = log.of(Op::Read).filter_map(OpRecord::total_ns).sum();
    let slack = read.ops * DRIVER_NS;
    close("device time (disk)", read.device_ns, at_disk, 0.05, slack)?;
    let waited = (fio.read.latency.mean_ns * fio.read.latency.count as f64) as u64;
    close("whole time (fio)", read.total_ns, waited, 0.05, slack)?;
    close(
        "queue time (fio less disk)",
        read.queue_ns,
        waited - at_disk,
        0.1,
        slack,
    )?;
    ensure!(read.queue_ns > read.total_ns / 4, "nothing was queued");
    let present = read.total_ns / (fio.read.runtime_ms * 1_000_000);
    close("requests present (Little)", present, DEPTH.into(), 0.1, 0)
}

/// Check that a request whose bios went to another one is counted as merged and never as lost or
/// unfinished; merges of single bios into requests are none.
fn merged() -> Result<()> {
    let disk = StagedDisk::builder()
        .size(1 << 30)
        .queue("scheduler", "mq-deadline")
        .start()?;
    // Every block of a small range in random order, submitted in batches: neighbours meet.
    let job = Job::new(Pattern::RandRead, &disk.device())
        .engine(Engine::Libaio)
        .depth(64)
        .option("iodepth_batch_submit", "64")
        .option("iodepth_batch_complete_min", "64")
        .option("loops", "10")
        .size(MIB);
    let events = EventLog::start(&["block_rq_merge"], disk.major_minor())?;
    let act = || {
        let fio = job.run()?;
        Ok((fio, events.count("block_rq_merge")?))
    };
    let (trace, counted, (fio, merges)) = traced(&disk, &Agent::on(&disk), act)?;
    note!(
        "{} bios, {merges} merges of requests, {:?}",
        fio.read.ops,
        counted.reads
    );
    equals_kernel(&trace, &disk, &counted)?;
    ensure!(merges > 0, "no request was merged into another one");
    let read = trace.seen(&disk, Seen::Read)?;
    same("merges", read.merges, merges)?;
    same(
        "unfinished requests",
        trace.unfinished(&disk).len() as u64,
        0,
    )?;
    let bios = counted.reads.ios + counted.reads.merges;
    same("bios (kernel)", bios, fio.read.ops).context("the kernel and fio disagree")
}
