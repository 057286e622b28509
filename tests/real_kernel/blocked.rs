//! Tasks in D: how long, until the wake-up and not beyond it; who is in D and who only looks so.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use stall_agent::capture::Blocked;
use stall_tests::clock::{monotonic_ns, sleep_until};
use stall_tests::slow_disk::OpRecord;
use stall_tests::spawned::{Spawned, state, threads, wait_for_d_state};
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::load::{Done, Load};
use crate::harness::seen::Trace;
use crate::harness::skip::Skip;
use crate::harness::test::Test;
use crate::harness::urgent::schedule;
use crate::harness::{between, close, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("time_in_d_is_the_time_of_the_freeze", freeze),
    Test::new("it_ends_at_the_wake_up", wake_up),
    Test::new("killable_sleeps_are_apart", killable),
    Test::new("who_is_idle_is_not_in_d", idle),
];

const MS: u64 = 1_000_000;
const FREEZE: Duration = Duration::from_millis(1500);
const IN_D_WITHIN: Duration = Duration::from_secs(5);

/// A reader waits for the disk, which stands still for a time. What came of it, and when the disk
/// went on.
fn frozen_reader(
    disk: &StagedDisk,
    meanwhile: impl FnOnce(Pid) -> Result<()>,
) -> Result<(Done, u64)> {
    let frozen = disk.control().freeze();
    let reader = Load::start("reader", &disk.device(), &["read:0:4096"])?;
    wait_for_d_state(reader.pid(), IN_D_WITHIN)?;
    thread::sleep(FREEZE);
    meanwhile(reader.pid())?;
    let thawed = monotonic_ns();
    drop(frozen);
    Ok((reader.wait()?, thawed))
}

fn only_read(done: &Done) -> Result<&OpRecord> {
    done.log.records.first().context("nothing was read")
}

fn time(rows: &[&Blocked], killable: bool) -> u64 {
    let rows = rows.iter().filter(|row| row.killable == killable);
    rows.map(|row| row.blocked_ns).sum()
}

/// Check that a reader of a disk that stands still is in D for as long as the reader itself says it
/// waited.
fn freeze() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let tracing = Agent::everywhere().start()?;
    let (done, _) = frozen_reader(&disk, |_| Ok(()))?;
    let trace = tracing.stop()?;
    let waited = only_read(&done)?.total_ns().context("it has ended")?;
    let rows = trace.blocked(done.pid);
    close("time in D", time(&rows, false), waited, 0.02, 5 * MS)?;
    same(
        "time before the window",
        rows.iter().map(|row| row.before_ns).sum(),
        0,
    )?;
    same("killable time in D", time(&rows, true), 0)?;
    let task = trace.blocked_task(done.pid)?;
    note!("{}: {:?}", task.label, task.reasons);
    let long = task.long_sleeps.first().context("it has no long sleep")?;
    close("longest sleep", long.length_ns, waited, 0.02, 5 * MS)
}

/// Check that the wait for a CPU after the wake-up is not blocked time: a real-time task keeps the
/// only CPU the reader may use for half a second longer than the disk stands still.
fn wake_up() -> Result<()> {
    let hog = Duration::from_millis(500);
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let tracing = Agent::everywhere().start()?;
    let mut hogging = None;
    let (done, thawed) = frozen_reader(&disk, |reader| {
        let mut cpus = CpuSet::new();
        cpus.set(0)?;
        sched_setaffinity(reader, &cpus).context("binding the reader to a CPU")?;
        hogging = Some(Hog::start(cpus, hog)?);
        Ok(())
    })?;
    hogging.context("it was started")?.wait()?;
    let trace = tracing.stop()?;
    let read = only_read(&done)?;
    let end = read.end_ns.context("it has ended")?;
    note!(
        "the reader went on {} ms after the thaw",
        (end - thawed) / MS
    );
    let most = hog.as_nanos() as u64;
    ensure!(
        end - thawed > most * 7 / 10,
        "the reader got its CPU too early: no trap was set"
    );
    let blocked = time(&trace.blocked(done.pid), false);
    let until_thaw = thawed - read.arrival_ns;
    between(
        "time in D",
        blocked,
        &(until_thaw - 5 * MS..until_thaw + most / 2),
    )
}

/// Keeps CPUs busy above all that is not real-time.
struct Hog {
    thread: thread::JoinHandle<()>,
}

impl Hog {
    /// Comes back when it has its CPU.
    fn start(cpus: CpuSet, time: Duration) -> Result<Self> {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let bound = sched_setaffinity(Pid::from_raw(0), &cpus);
            let urgent = schedule(libc::SCHED_FIFO, 50);
            // The other end waits for it.
            let _ = tell.send(urgent.and(bound.map_err(Into::into)));
            let end = monotonic_ns() + time.as_nanos() as u64;
            while monotonic_ns() < end {
                std::hint::spin_loop();
            }
        });
        told.recv()?
            .map_err(|error| Skip(format!("no real-time priority ({error:#})")))?;
        Ok(Self { thread })
    }

    fn wait(self) -> Result<()> {
        self.thread.join().ok().context("the hog panicked")
    }
}

/// Check that a wait which a fatal signal would end (here for a page) is reported apart.
fn killable() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let tracing = Agent::everywhere().start()?;
    let frozen = disk.control().freeze();
    let mut reader = buffered_reader(&disk.device())?;
    wait_for_d_state(reader.pid(), IN_D_WITHIN)?;
    let begin = monotonic_ns();
    sleep_until(begin + FREEZE.as_nanos() as u64);
    let asleep = monotonic_ns() - begin;
    drop(frozen);
    ensure!(reader.wait()?.success(), "dd failed");
    let trace = tracing.stop()?;
    let rows = trace.blocked(reader.pid());
    close(
        "killable time in D",
        time(&rows, true),
        asleep,
        0.02,
        50 * MS,
    )?;
    between("other time in D", time(&rows, false), &(0..50 * MS))?;
    let task = trace.blocked_task(reader.pid())?;
    same(
        "killable time in the report",
        task.killable_ns,
        time(&rows, true),
    )
}

fn buffered_reader(device: &Path) -> Result<Spawned> {
    let mut command = Command::new("dd");
    command
        .arg(format!("if={}", device.display()))
        .args(["of=/dev/null", "bs=4096", "count=1"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    Spawned::start(&mut command)
}

/// Check that threads of the kernel that sleep so as not to count as load (state I), and processes
/// in an ordinary sleep, are never said to be in D.
fn idle() -> Result<()> {
    let idle: Vec<Pid> = all_threads().into_iter().filter(is_idle).collect();
    ensure!(
        idle.len() > 5,
        "no thread of the kernel is idle: no trap is set"
    );
    let mut sleeper = Command::new("sleep");
    let sleeper = Spawned::start(sleeper.arg("60"))?;
    let tracing = Agent::everywhere().with("--interval", "200ms").start()?;
    thread::sleep(Duration::from_millis(1500));
    let trace = tracing.stop()?;
    ensure!(
        trace.task(sleeper.pid()).is_none(),
        "an ordinary sleep is said to be D"
    );
    for thread in idle.iter().filter(|thread| is_idle(thread)) {
        let asleep = trace.asleep(*thread);
        ensure!(
            asleep.is_none(),
            "idle thread {thread} is said to be in D: {asleep:?}"
        );
    }
    no_idle_stacks(&trace)
}

/// A worker without work, and the thread that waits for RCU, sleep nowhere else. A worker at work may
/// well be in D: then the work stands above the worker's loop.
fn no_idle_stacks(trace: &Trace) -> Result<()> {
    for row in &trace.capture.blocked {
        let stack = row.stack.and_then(|index| trace.capture.stacks.get(index));
        let frames = stack
            .map(|stack| stack.frames.as_slice())
            .unwrap_or_default();
        let names: Vec<_> = frames
            .iter()
            .take(4)
            .filter_map(|frame| frame.symbol.as_deref())
            .take_while(|name| *name != "process_one_work")
            .collect();
        let idle = names
            .iter()
            .any(|name| *name == "worker_thread" || name.starts_with("rcu_gp_"));
        ensure!(!idle, "an idle thread's sleep is counted: {names:?}");
    }
    Ok(())
}

fn all_threads() -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.flat_map(|pid| threads(Pid::from_raw(pid))).collect()
}

fn is_idle(thread: &Pid) -> bool {
    state(*thread) == Some('I')
}
