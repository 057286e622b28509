//! One request is one operation: through flush sequences, partial completions, requeues, and in a
//! `struct request` that is used again at once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use stall_agent::capture::{EndedRequest, Op as Seen};
use stall_tests::fio::{Job, Pattern};
use stall_tests::slow_disk::{Delay, Op, OpLog, OpRecord};
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::ftrace::EventLog;
use crate::harness::load::Load;
use crate::harness::test::Test;
use crate::harness::{between, close, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_flush_sequence_is_one_write", sequences),
    Test::new("a_partial_completion_is_no_end", partial_completions),
    Test::new("a_request_used_again_keeps_nothing", used_again),
];

/// What the caller waits beyond the block layer: the system call, and being woken.
const CALL_NS: u64 = 100_000;
const READ_US: u64 = 12_000;

/// Check that a write with preflush and FUA, which completes once after its data and once after
/// its last flush, is counted at the latter only. The kernel's event log tells how many completions
/// are no ends.
fn sequences() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(1 << 30)
        .delay(Op::Write, Delay::constant(300))
        .delay(Op::Fsync, Delay::constant(500))
        .start()?;
    nix::unistd::sync();
    let job = Job::new(Pattern::Write, &disk.mount().join("wal"))
        .size(1 << 20)
        .direct(false)
        .fsync(1)
        .requests(100);
    let events = EventLog::start(&["block_rq_complete"], disk.major_minor())?;
    let act = || {
        job.run()?;
        events.count("block_rq_complete")
    };
    let (trace, counted, completions) = traced(&disk, &Agent::on(&disk), act)?;
    note!("the kernel counted {counted}, and completed {completions} times");
    equals_kernel(&trace, &disk, &counted)?;
    let ends = counted.reads.ios + counted.writes.ios + counted.discards.ios + counted.flushes;
    let sequenced = trace.seen(&disk, Seen::Write)?.sequenced_completions;
    same(
        "completions that are no ends",
        sequenced,
        completions - ends,
    )?;
    ensure!(sequenced > 0, "no flush sequence was made");
    let write = trace.seen(&disk, Seen::Write)?;
    // The write of the commit waits for a flush before it and one after it.
    between("slowest write", write.slowest_ns, &(1_300_000..u64::MAX))
}

/// Check that a read of which a half comes back, so that the rest is requeued, is one read with all
/// its bytes, whose clock goes on.
fn partial_completions() -> Result<()> {
    let disk = StagedDisk::builder()
        .size(1 << 30)
        .delay(Op::Read, Delay::constant(READ_US))
        .start()?;
    let act = || {
        disk.control().shorten_reads(Some(20))?;
        Load::run("short-reader", &disk.device(), &["read:0:8192:50"])
    };
    let (trace, counted, done) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    let read = trace.seen(&disk, Seen::Read)?;
    same("reads", read.ops, 50)?;
    same("bytes", read.bytes, 50 * 8192)?;
    same("partial completions", read.partial_completions, 20)?;
    same("requeues", read.requeues, 20)?;
    let waited: u64 = done.log.records.iter().filter_map(OpRecord::total_ns).sum();
    close(
        "time of reads (caller)",
        read.total_ns,
        waited,
        0.02,
        50 * CALL_NS,
    )?;
    close(
        "device time of reads (caller)",
        read.device_ns,
        waited,
        0.02,
        50 * CALL_NS,
    )?;
    let rows = trace.capture.slow_requests.iter();
    let rows: Vec<_> = rows
        .filter(|row| Some(row.disk) == trace.index(&disk))
        .collect();
    same("slow reads", rows.len() as u64, 50)?;
    let requeues = rows.iter().map(|row| u64::from(row.requeues)).sum();
    same("requeues of slow reads", requeues, 20)?;
    // A half, then half of the rest, and so on: each takes the disk its time.
    let all_parts = |row: &EndedRequest| {
        row.completed_ns - row.queued_ns >= (u64::from(row.requeues) + 1) * READ_US * 1000
    };
    ensure!(
        rows.iter().all(|row| all_parts(row)),
        "a requeue restarted a clock"
    );
    Ok(())
}

/// Check that nothing of a request's former life is left in the next: with four tags, three kinds
/// of operation that take very different times keep to their own.
fn used_again() -> Result<()> {
    let kinds = [
        (Op::Read, Seen::Read, 1_000),
        (Op::Write, Seen::Write, 4_000),
        (Op::Discard, Seen::Discard, 16_000),
    ];
    let builder = StagedDisk::builder()
        .size(1 << 30)
        .queue("nr_requests", "4");
    let builder = kinds.iter().fold(builder, |builder, (op, _, us)| {
        builder.delay(*op, Delay::constant(*us))
    });
    let disk = builder.start()?;
    let act = || mixed(&disk.device());
    let (trace, counted, log) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    for (op, seen, us) in kinds {
        let series = trace.seen(&disk, seen)?;
        let lowest = series.total.0.first().map_or(0, |(bucket, _)| *bucket);
        let (_, upper) = stall_common::histogram::bounds(lowest.into());
        between(&format!("shortest {op}"), upper, &(us * 1000..u64::MAX))?;
        let waited: u64 = log.of(op).filter_map(OpRecord::total_ns).sum();
        let calls = log.count(op) as u64 * CALL_NS;
        close(
            &format!("time of each {op} (caller)"),
            series.total_ns,
            waited,
            0.05,
            calls,
        )?;
    }
    Ok(())
}

/// Each kind in turn, for a second.
fn mixed(device: &Path) -> Result<OpLog> {
    let steps = ["read:0:4096:3", "write:0:4096:2", "discard:1048576:4096"];
    let load = Load::start_for("mixture", device, &steps, Duration::from_secs(1))?;
    Ok(load.wait()?.log)
}
