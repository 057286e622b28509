//! What never ends is reported as a lower bound, apart from what ended; whatever ends the window.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use stall_agent::capture::{Op as Seen, UnfinishedRequest};
use stall_tests::slow_disk::{Op, OpRecord};
use stall_tests::spawned::{wait_for_d_state, wait_until};
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::bpf;
use crate::harness::load::{Done, Load};
use crate::harness::seen::Trace;
use crate::harness::test::Test;
use crate::harness::{between, close, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_discard_that_outlasts_the_window", discard),
    Test::new("a_read_that_outlasts_the_window", read),
    Test::new("signals_end_the_window_early", signals),
    Test::new("a_duration_ends_it_in_time", duration),
    Test::new("sigkill_leaves_nothing_behind", killed),
];

const MS: u64 = 1_000_000;
const HANGING_WITHIN: Duration = Duration::from_secs(5);

/// A request of this kind hangs over the end of the window.
fn hanging(disk: &StagedDisk, op: Op) -> Result<(Trace, Done)> {
    let tracing = Agent::on(disk).start()?;
    disk.control().hang(op, Some(1))?;
    let load = Load::start("stuck", &disk.device(), &[&format!("{op}:1048576:65536")])?;
    disk.control().wait_for_hanging(1, HANGING_WITHIN)?;
    wait_for_d_state(load.pid(), HANGING_WITHIN)?;
    thread::sleep(Duration::from_millis(800));
    let trace = tracing.stop()?;
    disk.control().release(None)?;
    Ok((trace, load.wait()?))
}

fn the_one<'a>(
    trace: &'a Trace,
    disk: &StagedDisk,
    done: &Done,
    op: Seen,
) -> Result<&'a UnfinishedRequest> {
    let rows = trace.unfinished(disk);
    same("unfinished requests", rows.len() as u64, 1)?;
    let row = rows[0];
    ensure!(
        row.op == op,
        "{:?} is said not to have ended, not {op:?}",
        row.op
    );
    same("its bytes", row.bytes, 65536)?;
    ensure!(row.sector == Some(1_048_576 / 512), "{row:?}");
    same(
        "its actor",
        row.actor.into(),
        trace.actor(done.pid)?.id.into(),
    )?;
    same("ended ones", trace.ops(disk, op), 0)?;
    let asked = done
        .log
        .records
        .first()
        .map(|record: &OpRecord| record.arrival_ns);
    close(
        "its start",
        row.queued_ns,
        asked.context("nothing was asked")?,
        0.0,
        5 * MS,
    )?;
    ensure!(
        row.issued_ns.is_some_and(|ns| ns >= row.queued_ns),
        "it was issued"
    );
    Ok(row)
}

/// Check that a discard that does not end is reported with its age, moves the discard clock until
/// the end, and that its submitter is in D until then.
fn discard() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let (trace, done) = hanging(&disk, Op::Discard)?;
    let row = the_one(&trace, &disk, &done, Seen::Discard)?;
    ensure!(row.stack.is_some(), "where it came from is not known");
    let seen = trace.disk(&disk)?;
    same(
        "discards in flight at the end",
        seen.discards_in_flight_at_end.into(),
        1,
    )?;
    let end = trace.capture.window.end_ns;
    let busy = end - row.issued_ns.unwrap_or(end);
    close(
        "time with a discard",
        seen.discard_busy_ns,
        busy,
        0.0,
        2 * MS,
    )?;
    let asleep = trace
        .asleep(done.pid)
        .context("its submitter is not in D")?;
    close(
        "start of the sleep",
        asleep.start_ns,
        row.queued_ns,
        0.0,
        5 * MS,
    )?;
    let report = &trace.report.requests.unfinished;
    let told = report.iter().find(|told| told.device == disk.name());
    let told = told.context("the report does not tell it")?;
    same("its age in the report", told.age_ns, end - row.queued_ns)
}

/// Check the same of a read, which nobody would see in counts of completions.
fn read() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let (trace, done) = hanging(&disk, Op::Read)?;
    let row = the_one(&trace, &disk, &done, Seen::Read)?;
    ensure!(!row.older, "it began in the window");
    let there = trace.disk(&disk)?.in_flight_at_end;
    same(
        "reads in flight at the end",
        there.context("not known")?.reads,
        1,
    )
}

/// Check that SIGINT and SIGTERM end the window at once, and that the report says so.
fn signals() -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let tracing = Agent::everywhere().with("--duration", "60s").start()?;
        thread::sleep(Duration::from_millis(300));
        tracing.signal(signal)?;
        let trace = tracing.finish()?;
        ensure!(trace.capture.window.interrupted, "{signal} is not told");
        ensure!(
            trace.report.window.interrupted,
            "{signal} is not in the report"
        );
        between(
            "the window",
            trace.capture.window.length_ns(),
            &(200 * MS..5_000 * MS),
        )?;
    }
    Ok(())
}

/// Check that a window without a signal is as long as it was to be, and not said to be interrupted.
fn duration() -> Result<()> {
    let trace = Agent::everywhere()
        .with("--duration", "1500ms")
        .start()?
        .finish()?;
    let window = &trace.capture.window;
    ensure!(!window.interrupted, "nobody interrupted it");
    close("the window", window.length_ns(), 1_500 * MS, 0.0, 100 * MS)
}

/// Check that when the agent is killed, the kernel has none of its programs, maps and links soon
/// after.
fn killed() -> Result<()> {
    let tracing = Agent::everywhere().start()?;
    let objects = bpf::objects_of(tracing.pid());
    ensure!(
        objects.len() > 20,
        "only {} objects were found",
        objects.len()
    );
    ensure!(
        objects.iter().all(|object| object.exists()),
        "an object of the agent is not found"
    );
    tracing.kill()?;
    let gone = wait_until(Duration::from_secs(5), || {
        !objects.iter().any(|object| object.exists())
    });
    let left: Vec<_> = objects.iter().filter(|object| object.exists()).collect();
    ensure!(gone, "the kernel still has {left:?}");
    Ok(())
}
