//! What began before the first hook counts: with its age, and with the kernel's own stamp.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::Op as Seen;
use stall_tests::slow_disk::OpRecord;
use stall_tests::spawned::wait_for_d_state;
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::compare::rest;
use crate::harness::load::{Done, Load};
use crate::harness::seen::Trace;
use crate::harness::test::Test;
use crate::harness::{between, close, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_sleep_and_a_request_that_end_in_the_window", ended),
    Test::new("a_sleep_and_a_request_that_outlast_it", outlasting),
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

/// Check that a sleep older than the trace ends with its whole age, told apart into before the
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
    same("ended reads", trace.ops(&disk, Seen::Read), 0)
}

/// The kernel had it in flight when the hooks were attached.
fn in_flight_at_start(trace: &Trace, disk: &StagedDisk) -> Result<()> {
    let there = trace.disk(disk)?.in_flight_at_start;
    let there = there.context("in_flight_at_start is not known")?;
    same("reads in flight at the start", there.reads, 1)?;
    same("other requests in flight at the start", there.writes, 0)
}
