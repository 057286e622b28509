//! What began before the first hook counts: with its age, and with the kernel's own stamp.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;
use stall_agent::capture::{IntervalDisk, Op as Seen, UnfinishedRequest};
use stall_tests::slow_disk::{Op, OpRecord};
use stall_tests::spawned::wait_for_d_state;
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::compare::rest;
use crate::harness::load::{Done, Load};
use crate::harness::seen::Trace;
use crate::harness::test::Test;
use crate::harness::{between, close, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_sleep_and_a_request_that_end_in_the_window", ended),
    Test::new("a_sleep_and_a_request_that_outlast_it", outlasting),
    Test::new("a_discard_that_began_before_and_never_ends", stuck_discard),
    Test::new("a_disk_that_hangs_and_gets_nothing_new", silent),
    Test::new("a_discard_that_began_before_and_ends", ending_discard),
];

const MS: u64 = 1_000_000;
const LEAD: Duration = Duration::from_secs(3);
const SHARE: Duration = Duration::from_millis(700);
const IN_D_WITHIN: Duration = Duration::from_secs(5);
/// The scheduler's stamps are as old as a tick, at most 10 ms.
const TICK_NS: u64 = 20 * MS;

/// Starts a reader on a disk that stands still, and long after it the agent.
fn stuck(disk: &StagedDisk, end_first: bool) -> Result<(Trace, Done)> {
    let frozen = disk.control().freeze();
    let reader = Load::start("early-reader", &disk.device(), &["read:8192:4096"])?;
    wait_for_d_state(reader.pid(), IN_D_WITHIN)?;
    thread::sleep(LEAD);
    let tracing = Agent::on(disk).start()?;
    thread::sleep(SHARE);
    if end_first {
        drop(frozen);
        let done = reader.wait()?;
        rest(disk)?;
        return Ok((tracing.stop()?, done));
    }
    let trace = tracing.stop()?;
    drop(frozen);
    Ok((trace, reader.wait()?))
}

fn only_read(done: &Done) -> Result<&OpRecord> {
    done.log.records.first().context("nothing was read")
}

/// Check that a sleep older than the trace ends with its whole age, split into before the
/// window and in it; and that the request it waited for has the kernel's stamp of its beginning.
fn ended() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let (trace, done) = stuck(&disk, true)?;
    let read = only_read(&done)?;
    let window = &trace.capture.window;
    let before = window.start_ns - read.arrival_ns;
    let waited = read.total_ns().context("it has ended")?;
    let rows = trace.blocked(done.pid);
    let sum =
        |part: fn(&stall_agent::capture::Blocked) -> u64| rows.iter().map(|row| part(row)).sum();
    close(
        "before the window",
        sum(|row| row.before_ns),
        before,
        0.0,
        TICK_NS,
    )?;
    close(
        "in the window",
        sum(|row| row.blocked_ns),
        waited - before,
        0.0,
        TICK_NS,
    )?;
    let longest = rows.iter().map(|row| row.longest_ns).max().unwrap_or(0);
    close("longest", longest, waited, 0.0, TICK_NS)?;
    let series = trace.seen(&disk, Seen::Read)?;
    same("reads", series.ops, 1)?;
    same("older requests", series.older_requests, 1)?;
    close("time of the read", series.total_ns, waited, 0.0, 5 * MS)?;
    let slow = trace.capture.slow_requests.iter();
    let mut slow = slow.filter(|row| Some(row.disk) == trace.index(&disk));
    let slow = slow.next().context("the read is not among the slow ones")?;
    ensure!(slow.older, "the read is not said to be older");
    close(
        "start of the read",
        slow.queued_ns,
        read.arrival_ns,
        0.0,
        5 * MS,
    )?;
    in_flight_at_start(&trace, &disk)
}

/// Check that the same is reported as a lower bound when it does not end, and counted as ended
/// nowhere.
fn outlasting() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let (trace, done) = stuck(&disk, false)?;
    let read = only_read(&done)?;
    let asleep = trace
        .asleep(done.pid)
        .context("it is not said to be in D")?;
    close(
        "start of the sleep",
        asleep.start_ns,
        read.arrival_ns,
        0.0,
        TICK_NS,
    )?;
    ensure!(!asleep.killable, "a direct read is not killable");
    same("ended sleeps", trace.blocked(done.pid).len() as u64, 0)?;
    let task = trace.blocked_task(done.pid)?;
    let told = task
        .unfinished
        .as_ref()
        .context("the report does not tell it")?;
    let before = trace.capture.window.start_ns - read.arrival_ns;
    close("before the window", told.before_ns, before, 0.0, TICK_NS)?;
    between(
        "before the window",
        told.before_ns,
        &(2_700 * MS..3_900 * MS),
    )?;
    same("ended reads", trace.ops(&disk, Seen::Read), 0)?;
    let rows = trace.unfinished(&disk);
    same("unfinished requests", rows.len() as u64, 1)?;
    is_told(&trace, rows[0], Seen::Read, read, done.pid)
}

/// A request from before the window that has not ended is there with its own stamp, and whoever waits for it.
fn is_told(
    trace: &Trace,
    row: &UnfinishedRequest,
    op: Seen,
    asked: &OpRecord,
    waits: Pid,
) -> Result<()> {
    note!("{row:?}");
    ensure!(row.op == op && row.older, "{row:?} is no older {op:?}");
    let start = asked.arrival_ns;
    close("its start", row.queued_ns, start, 0.0, 5 * MS)?;
    same(
        "who waits for it",
        row.actor.into(),
        trace.actor(waits)?.id.into(),
    )?;
    same(
        "its thread",
        row.tid.into(),
        waits.as_raw().cast_unsigned().into(),
    )
}

/// Check that where a discard and a read hang from before the trace and nothing else comes, both are found, with their ages and
/// with who waits for them, and the discard's clock runs from the start.
fn silent() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let trimmer = hanging_discard(&disk)?;
    let reader = Load::start("early-reader", &disk.device(), &["read:8192:4096"])?;
    wait_for_d_state(reader.pid(), IN_D_WITHIN)?;
    thread::sleep(SHARE);
    let tracing = Agent::everywhere().start()?;
    thread::sleep(Duration::from_secs(2));
    let trace = tracing.stop()?;
    disk.control().release(None)?;
    let (trimmed, read) = (trimmer.wait()?, reader.wait()?);
    let rows = trace.unfinished(&disk);
    same("unfinished requests", rows.len() as u64, 2)?;
    is_told(
        &trace,
        rows[0],
        Seen::Discard,
        only_read(&trimmed)?,
        trimmed.pid,
    )?;
    is_told(&trace, rows[1], Seen::Read, only_read(&read)?, read.pid)?;
    let window = trace.capture.window.length_ns();
    let seen = trace.disk(&disk)?;
    close(
        "time with a discard",
        seen.discard_busy_ns,
        window,
        0.0,
        50 * MS,
    )?;
    let index = trace.index(&disk);
    let counted = trace.capture.intervals.iter().flat_map(|it| &it.disks);
    let mut counted = counted.filter(|row| Some(row.disk) == index);
    let is_stuck =
        |row: &IntervalDisk| (row.in_flight.reads, row.in_flight.writes, row.ended) == (1, 1, 0);
    ensure!(
        counted.all(is_stuck),
        "the kernel counts one of each in flight"
    );
    same("missed completions", trace.lost("missed_completions")?, 0)
}

/// The kernel had it in flight when the hooks were attached.
fn in_flight_at_start(trace: &Trace, disk: &StagedDisk) -> Result<()> {
    let there = trace.disk(disk)?.in_flight_at_start;
    let there = there.context("in_flight_at_start is not known")?;
    same("reads in flight at the start", there.reads, 1)?;
    same("other requests in flight at the start", there.writes, 0)
}

/// Starts a discard, and comes back when it has hung for long.
fn hanging_discard(disk: &StagedDisk) -> Result<Load> {
    disk.control().hang(Op::Discard, Some(1))?;
    let trimmer = Load::start("early-trimmer", &disk.device(), &["discard:1048576:65536"])?;
    disk.control().wait_for_hanging(1, IN_D_WITHIN)?;
    thread::sleep(LEAD);
    Ok(trimmer)
}

/// Check that a discard so found moves the clock until it ends, and what waits for it meets it.
fn ending_discard() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let trimmer = hanging_discard(&disk)?;
    let tracing = Agent::on(&disk).start()?;
    let other = Load::start("reader", &disk.device(), &["read:8192:4096"])?;
    thread::sleep(SHARE);
    disk.control().release(None)?;
    let (done, other) = (trimmer.wait()?, other.wait()?);
    rest(&disk)?;
    thread::sleep(SHARE);
    let trace = tracing.stop()?;
    let read = only_read(&other)?;
    let end = only_read(&done)?.end_ns.context("it has ended")?;
    let seen = trace.disk(&disk)?;
    let from_start = end - trace.capture.window.start_ns;
    close(
        "time with a discard",
        seen.discard_busy_ns,
        from_start,
        0.0,
        50 * MS,
    )?;
    let busy = end - read.arrival_ns;
    let in_flight = seen.discards_in_flight_at_end;
    same("discards in flight at the end", in_flight.into(), 0)?;
    let discards = trace.seen(&disk, Seen::Discard)?;
    same("ended discards", discards.ops, 1)?;
    same("older discards", discards.older_requests, 1)?;
    let waited = only_read(&done)?.total_ns().context("it has ended")?;
    close("its time", discards.total_ns, waited, 0.01, 0)?;
    same(
        "requests that had not ended",
        trace.unfinished(&disk).len() as u64,
        0,
    )?;
    same("missed completions", trace.lost("missed_completions")?, 0)?;
    let used = trace.use_of(&disk, other.pid, Seen::Read)?;
    same("exposed reads", used.exposed_ops, 1)?;
    close("their time with it", used.overlap_ns, busy, 0.0, 10 * MS)
}

/// Check that a discard that hangs all through the window is found, and what comes after it waits for it: with the kernel's stamp of
/// its beginning, and the clock runs in all of the window.
fn stuck_discard() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let trimmer = hanging_discard(&disk)?;
    let tracing = Agent::on(&disk).start()?;
    // It waits for the discard: the loop device's worker does one after another.
    let other = Load::start("reader", &disk.device(), &["read:8192:4096"])?;
    thread::sleep(Duration::from_secs(2));
    let trace = tracing.stop()?;
    disk.control().release(None)?;
    let done = trimmer.wait()?;
    other.wait()?;
    let asked = only_read(&done)?.arrival_ns;
    let rows = trace.unfinished(&disk);
    let discards = rows.iter().filter(|row| row.op == Seen::Discard);
    same("unfinished discards", discards.count() as u64, 1)?;
    same("unfinished requests", rows.len() as u64, 2)?;
    let row = rows[0];
    note!("{row:?}");
    ensure!(
        row.op == Seen::Discard && row.older,
        "{row:?} is no older discard"
    );
    same("its bytes", row.bytes, 65536)?;
    ensure!(row.sector == Some(1_048_576 / 512), "{row:?}");
    let end = trace.capture.window.end_ns;
    close("its age", end - row.queued_ns, end - asked, 0.01, 0)?;
    let seen = trace.disk(&disk)?;
    let window = trace.capture.window.length_ns();
    close(
        "time with a discard",
        seen.discard_busy_ns,
        window,
        0.0,
        50 * MS,
    )?;
    let in_flight = seen.discards_in_flight_at_end;
    same("discards in flight at the end", in_flight.into(), 1)?;
    same("ended discards", trace.ops(&disk, Seen::Discard), 0)?;
    same("missed completions", trace.lost("missed_completions")?, 0)?;
    let told = trace.report.requests.unfinished.iter();
    let told = told.filter(|told| told.device == disk.name()).count();
    same("unfinished requests in the report", told as u64, 2)
}
