//! Service times: what the disk worked for each, from the order of completions alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::unistd::Pid;
use stall_agent::capture::Op as Seen;
use stall_tests::fio::{Engine, Job, Pattern};
use stall_tests::intervals;
use stall_tests::slow_disk::{Delay, LockMode, Op, OpLog, OpRecord};
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::compare::traced;
use crate::harness::load::Load;
use crate::harness::seen::Trace;
use crate::harness::test::Test;
use crate::harness::urgent::urgently;
use crate::harness::{close, note};

pub(crate) const TESTS: &[Test] = &[
    Test::new("of_one_server_is_the_busy_time_of_each", serial),
    Test::new("of_many_servers_is_the_busy_time_once", parallel),
    Test::new("of_a_flush_is_counted_once", flush),
];

/// What a request costs in the loop driver and in FUSE, on a busy machine.
const DRIVER_NS: u64 = 150_000;
const TIME: Duration = Duration::from_secs(3);

fn total(trace: &Trace, disk: &StagedDisk) -> u64 {
    trace.uses(disk).map(|row| row.service_ns).sum()
}

/// The time that the log knows at least one of all operations present.
fn present(log: &OpLog) -> u64 {
    let spans = log.records.iter().map(|record| record.span(log.taken_ns));
    intervals::union_length(spans)
}

fn in_service(log: &OpLog, op: Op) -> u64 {
    let served = log.of(op).map(|record| record.service(log.taken_ns));
    served.map(|span| intervals::length(&span)).sum()
}

/// Check that on a disk that does one thing at a time the service times add up to what the disk
/// itself says it worked, and each process has its own part of it, however long they wait for each
/// other; single requests and intervals add up to the same.
fn serial() -> Result<()> {
    let disk = StagedDisk::builder()
        .size(1 << 30)
        .lock(LockMode::Serial)
        .delay(Op::Read, Delay::constant(4_000))
        .delay(Op::Write, Delay::constant(12_000))
        .start()?;
    let job = |pattern, name| {
        Job::new(pattern, &disk.device())
            .called(name)
            .engine(Engine::Libaio)
            .depth(2)
            .size(64 << 20)
            .runtime(TIME)
    };
    let act = || {
        urgently(|| {
            let reader = job(Pattern::RandRead, "reader").start()?;
            let writer = job(Pattern::RandWrite, "writer").start()?;
            let pids = (reader.pid(), writer.pid());
            reader.wait()?;
            writer.wait()?;
            Ok(pids)
        })
    };
    let (trace, _, (reader, writer)) = traced(&disk, &Agent::on(&disk), act)?;
    let log = disk.control().log()?;
    is_of(&trace, &disk, &log, (reader, Seen::Read, Op::Read))?;
    is_of(&trace, &disk, &log, (writer, Seen::Write, Op::Write))?;
    let worked = in_service(&log, Op::Read) + in_service(&log, Op::Write);
    let slack = log.records.len() as u64 * DRIVER_NS;
    let all = total(&trace, &disk);
    close("all service", all, worked, 0.03, slack)?;
    let index = trace.index(&disk);
    let intervals = trace.capture.intervals.iter();
    let rows = intervals.flat_map(|interval| interval.uses.iter());
    let rows = rows.filter(|row| Some(row.disk) == index);
    close(
        "of the intervals",
        rows.map(|row| row.service_ns).sum(),
        all,
        0.01,
        0,
    )?;
    let slow = trace.capture.slow_requests.iter();
    let slow = slow.filter(|row| Some(row.disk) == index);
    ensure!(
        slow.clone()
            .all(|row| row.service_ns <= row.completed_ns - row.queued_ns),
        "a request took longer to be served than it took"
    );
    let slow: u64 = slow.map(|row| row.service_ns).sum();
    let slow_total: u64 = trace.uses(&disk).map(|row| row.slow_total_ns).sum();
    note!("slow requests have {slow} of service in {slow_total}");
    ensure!(slow > all / 2, "the slow requests have no service times");
    ensure!(
        slow_total > slow,
        "waiting is not part of the slow's totals"
    );
    Ok(())
}

fn is_of(
    trace: &Trace,
    disk: &StagedDisk,
    log: &OpLog,
    (pid, seen, op): (Pid, Seen, Op),
) -> Result<()> {
    let row = trace.use_of(disk, pid, seen)?;
    let slack = row.ops * DRIVER_NS;
    note!(
        "{op}: {} of {} ns device time",
        row.service_ns,
        row.device_ns
    );
    let truth = in_service(log, op);
    close("service of one process", row.service_ns, truth, 0.05, slack)
}

/// Check that where eight are served at once, the sum is the time the disk was busy, and not eight
/// times it.
fn parallel() -> Result<()> {
    let disk = StagedDisk::builder()
        .size(1 << 30)
        .delay(Op::Read, Delay::constant(8_000))
        .start()?;
    let job = Job::new(Pattern::RandRead, &disk.device())
        .engine(Engine::Libaio)
        .depth(8)
        .size(64 << 20)
        .runtime(TIME);
    let (trace, _, _) = traced(&disk, &Agent::on(&disk), || urgently(|| job.run()))?;
    let log = disk.control().log()?;
    let busy = present(&log);
    let each: u64 = log.records.iter().filter_map(OpRecord::total_ns).sum();
    note!("{each} ns at the disk in {busy} ns");
    ensure!(each > 6 * busy, "the disk did not serve many at once");
    let slack = log.records.len() as u64 * DRIVER_NS;
    close("all service", total(&trace, &disk), busy, 0.03, slack)
}

/// Check that the wait for a flush is its time once, though the flush and those that wait for it
/// end apart, the latter without having been at the disk.
fn flush() -> Result<()> {
    let disk = StagedDisk::builder()
        .size(1 << 30)
        .delay(Op::Fsync, Delay::constant(20_000))
        .start()?;
    let act = || {
        Load::run(
            "syncs",
            &disk.device(),
            &["write:0:4096", "sync", "write:0:4096", "sync"],
        )
    };
    let (trace, _, _) = traced(&disk, &Agent::on(&disk), act)?;
    let log = disk.control().log()?;
    let flushes = log.count(Op::Fsync) as u64;
    ensure!(flushes > 0, "nothing was flushed");
    let truth = in_service(&log, Op::Fsync);
    close(
        "all service",
        total(&trace, &disk),
        truth,
        0.03,
        flushes * 2 * DRIVER_NS + 2_000_000,
    )
}
