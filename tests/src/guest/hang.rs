//! A disk that stands still: who is in D for how long, what does not end, and what a report says when it goes on.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::host::Hanging;
use super::incident::readers;
use super::outcome::Outcome;
use super::trace::Tracing;
use crate::block_io::load::Load;
use crate::clock::monotonic_ns;
use crate::slow_disk::OpRecord;
use crate::spawned::wait_for_d_state;

const DISK: &str = "vda";
const NODE: &str = "/dev/vda";
const STILL: Duration = Duration::from_secs(2);
const IN_D_WITHIN: Duration = Duration::from_secs(30);
/// Of an emulated CPU, from the end of a request until who waited for it has read its clock.
const LATE: Duration = Duration::from_millis(300);
/// A disk that recovers: how often, how long, and the time between.
const TIMES: u32 = 6;
const SHORTLY: Duration = Duration::from_millis(700);
const BETWEEN: Duration = Duration::from_millis(600);

/// A reader of a block of its own, in D for the disk that stands still.
fn waiting(name: &str, block: u64) -> Result<Load> {
    let step = format!("read:{}:4096", block << 20);
    let load = Load::start(name, Path::new(NODE), &[&step])?;
    wait_for_d_state(load.pid(), IN_D_WITHIN)?;
    Ok(load)
}

/// How long the reader's own clock says that its only read took.
fn own_time(load: Load) -> Result<Duration> {
    let done = load.wait()?;
    let read = done.log.records.first().and_then(OpRecord::total_ns);
    Ok(Duration::from_nanos(read.context("nothing was read")?))
}

/// The time in D of a reader is what the reader's own clock says, and so is its request's.
///
/// # Errors
///
/// When the report says otherwise.
pub fn time_in_d() -> Result<Outcome> {
    let tracing = Tracing::start("time-in-d", &[DISK])?;
    let hanging = Hanging::start(DISK)?;
    let reader = waiting("reader", 1)?;
    thread::sleep(STILL);
    hanging.end()?;
    let own = own_time(reader)?;
    let report = tracing.stop()?;
    let in_d = report.in_d("reader");
    let request = report.count(DISK, "read", "/total/max_ns")?;
    let request = Duration::from_nanos(request);
    for (what, seen) in [("in D", in_d), ("its request", request)] {
        ensure!(
            seen <= own + own / 20 && seen + LATE + own / 20 >= own,
            "{what}: {seen:?}, by the reader's own clock {own:?}"
        );
    }
    Ok(Outcome::Passed(format!(
        "in D {in_d:.2?}, its request {request:.2?}, by its own clock {own:.2?}"
    )))
}

/// This process and those it starts run on the first CPU, until dropped.
pub(super) struct OneCpu(CpuSet);

impl OneCpu {
    pub(super) fn new() -> Result<Self> {
        let own = Pid::from_raw(0);
        let before = sched_getaffinity(own)?;
        let mut first = CpuSet::new();
        first.set(0)?;
        sched_setaffinity(own, &first).context("binding to a CPU")?;
        Ok(Self(before))
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        // It was so before.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0);
    }
}

/// What was in flight before the trace and what came in it is unfinished at the end, each with its age; the one is older.
///
/// # Errors
///
/// When the report says otherwise.
pub fn unfinished() -> Result<Outcome> {
    // What was in flight is found when the next request comes to its hardware queue: both on one CPU's.
    let _one = OneCpu::new()?;
    let hanging = Hanging::start(DISK)?;
    let before_ns = monotonic_ns();
    let early = waiting("early", 1)?;
    let tracing = Tracing::start("unfinished", &[DISK])?;
    let between_ns = monotonic_ns();
    let late = waiting("late", 2)?;
    thread::sleep(STILL);
    let report = tracing.stop()?;
    hanging.end()?;
    let reads = report.rows("requests/unfinished");
    let reads: Vec<_> = reads.filter(|one| one["op"] == "read").collect();
    ensure!(reads.len() == 2, "{} are unfinished, not 2", reads.len());
    for (older, sector, from_ns, to_ns) in [
        (true, 1 << 11, before_ns, between_ns),
        (false, 2 << 11, between_ns, monotonic_ns()),
    ] {
        let read = reads
            .iter()
            .find(|one| one["sector"].as_u64() == Some(sector));
        let read = read.with_context(|| format!("the read of sector {sector} is not told"))?;
        ensure!(read["older"] == older, "{read}");
        let queued = read["queued_ns"].as_u64().context("it has no beginning")?;
        ensure!(
            (from_ns..to_ns).contains(&queued),
            "{read} began {from_ns}..{to_ns}"
        );
        ensure!(
            read["age_ns"].as_u64() >= Some(STILL.as_nanos() as u64),
            "{read}"
        );
    }
    let mut told = report.rows("requests/older_than_trace");
    let told = told
        .find(|one| one["op"] == "read")
        .context("no read is older")?;
    ensure!(told["unfinished"] == 1 && told["ended"] == 0, "{told}");
    ensure!(
        report.count(DISK, "read", "/ops")? == 0,
        "a read ended while the disk stood still"
    );
    ensure!(
        report.in_d("early") > Duration::ZERO,
        "the early reader is not in D"
    );
    let ages = [own_time(early)?, own_time(late)?];
    Ok(Outcome::Passed(format!(
        "2 unfinished, one of them older; they took {ages:.1?}"
    )))
}

/// A disk that stands still again and again recovers each time: what waited is told as slow, most was not, nothing hangs, and
/// nobody is accused: who is served first after each pause did not make it.
///
/// # Errors
///
/// When the report says otherwise.
pub fn recovers() -> Result<Outcome> {
    let tracing = Tracing::start("recovers", &[])?;
    let readers = readers(Path::new(NODE))?;
    thread::sleep(BETWEEN);
    for _ in 0..TIMES {
        let hanging = Hanging::start(DISK)?;
        for reader in &readers {
            wait_for_d_state(reader.pid(), IN_D_WITHIN)?;
        }
        thread::sleep(SHORTLY);
        hanging.end()?;
        thread::sleep(BETWEEN);
    }
    let report = tracing.stop()?;
    drop(readers);
    let slowest = Duration::from_nanos(report.count(DISK, "read", "/total/max_ns")?);
    ensure!(slowest >= SHORTLY, "the slowest read took {slowest:?}");
    let fast = Duration::from_nanos(report.count(DISK, "read", "/total/p50_ns")?);
    ensure!(
        fast < SHORTLY / 4,
        "it did not recover: half of the reads took {fast:?}"
    );
    let (verdict, sentence) = (report.verdict(), report.sentence());
    ensure!(verdict == "slow_device", "{verdict}: {sentence}");
    let stalled = &report.device(DISK)?["stall"]["stalled"];
    ensure!(*stalled == true, "stalled: {stalled}");
    let mut unfinished = report.rows("requests/unfinished");
    ensure!(unfinished.next().is_none(), "something is unfinished");
    Ok(Outcome::Passed(format!(
        "the slowest read took {slowest:.2?}, half below {fast:.2?}: {sentence}"
    )))
}
