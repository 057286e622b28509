//! Sleeps on locks: who let them go on, and who holds what is still waited for.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::EndedSleep;
use stall_common::layout::ABSENT;
use stall_tests::slow_disk::Op;
use stall_tests::spawned::wait_for_d_state;
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::load::Load;
use crate::harness::seen::Trace;
use crate::harness::skip::{Need, Skip};
use crate::harness::test::Test;
use crate::harness::{close, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("who_let_go_is_the_waker", waker).needs(EXT4),
    Test::new("who_holds_it_at_the_end_is_told", holder).needs(EXT4),
];

const EXT4: &[Need] = &[Need::FileSystem(FileSystem::Ext4)];
const MS: u64 = 1_000_000;
const IN_D_WITHIN: Duration = Duration::from_secs(5);
const HANG: Duration = Duration::from_millis(700);

/// A writer that makes a file longer waits for the disk and holds the file's lock meanwhile, for
/// which the other writer waits.
struct Scene {
    disk: StagedDisk,
    file: PathBuf,
}

impl Scene {
    fn set() -> Result<Self> {
        let disk = StagedDisk::builder()
            .size(1 << 30)
            .file_system(FileSystem::Ext4)
            .start()?;
        let file = disk.mount().join("file");
        std::fs::write(&file, [])?;
        nix::unistd::sync();
        Ok(Self { disk, file })
    }

    /// The writer that holds the lock, and the one that waits for it.
    fn start(&self) -> Result<(Load, Load)> {
        self.disk.control().hang(Op::Write, Some(1))?;
        let holder = extending("holder", &self.file, 0)?;
        self.disk.control().wait_for_hanging(1, IN_D_WITHIN)?;
        wait_for_d_state(holder.pid(), IN_D_WITHIN)?;
        let waiter = extending("waiter", &self.file, 1 << 20)?;
        wait_for_d_state(waiter.pid(), IN_D_WITHIN)?;
        thread::sleep(HANG);
        Ok((holder, waiter))
    }
}

fn extending(name: &str, file: &Path, offset: u64) -> Result<Load> {
    Load::start(name, file, &[&format!("write:{offset}:65536")])
}

fn longest(trace: &Trace, load: &Load) -> Result<EndedSleep> {
    let task = trace.task(load.pid()).context("it was not in D")?.id;
    let sleeps = trace.capture.long_sleeps.iter();
    let longest = sleeps
        .filter(|sleep| sleep.task == task)
        .max_by_key(|sleep| sleep.end_ns - sleep.start_ns);
    longest.cloned().context("it has no long sleep")
}

/// Check that the sleep on a lock was ended by the one that held it, in whose context the wake-up
/// was done.
fn waker() -> Result<()> {
    let scene = Scene::set()?;
    let tracing = Agent::everywhere().start()?;
    let (holder, waiter) = scene.start()?;
    scene.disk.control().release(None)?;
    let holder_pid = holder.pid();
    holder.wait()?;
    thread::sleep(Duration::from_millis(50));
    let trace = tracing.stop()?;
    let sleep = longest(&trace, &waiter)?;
    close(
        "its sleep",
        sleep.end_ns - sleep.start_ns,
        HANG.as_nanos() as u64,
        0.1,
        100 * MS,
    )?;
    let waker = sleep.waker.context("nobody woke it")?;
    note!("woken by {waker:?}");
    same(
        "the waker",
        waker.pid.into(),
        holder_pid.as_raw().unsigned_abs().into(),
    )?;
    same(
        "its thread",
        waker.tid.into(),
        holder_pid.as_raw().unsigned_abs().into(),
    )?;
    let process = trace
        .actor(holder_pid)?
        .process
        .clone()
        .context("it is a process")?;
    same(
        "its start",
        waker.start_boottime_ns,
        process.start_boottime_ns,
    )?;
    ensure!(waker.comm == "holder" && !waker.kernel_thread, "{waker:?}");
    waiter.wait()?;
    Ok(())
}

/// Check that while the lock is still held when the window ends, who holds it is told, where the
/// kernel notes it.
fn holder() -> Result<()> {
    if !notes_blockers()? {
        let reason =
            "this kernel does not note what a task waits for (CONFIG_DETECT_HUNG_TASK_BLOCKER)";
        return Err(Skip(reason.to_owned()).into());
    }
    let scene = Scene::set()?;
    let tracing = Agent::everywhere().start()?;
    let (holder, waiter) = scene.start()?;
    let trace = tracing.stop()?;
    scene.disk.control().release(None)?;
    let asleep = trace
        .asleep(waiter.pid())
        .context("it is not said to be in D")?;
    let told = asleep
        .holder
        .clone()
        .context("nobody is said to hold the lock")?;
    note!("held by {told:?}");
    let pid = holder.pid().as_raw().unsigned_abs();
    same("the holder", told.pid.into(), pid.into())?;
    same("its thread", told.tid.into(), pid.into())?;
    ensure!(
        told.comm == "holder" && told.lock == "rwsem" && !told.reader,
        "{told:?}"
    );
    let asleep = trace
        .asleep(holder.pid())
        .context("the holder is not said to be in D")?;
    ensure!(
        asleep.holder.is_none(),
        "the holder waits for the disk, not for {:?}",
        asleep.holder
    );
    holder.wait()?;
    waiter.wait()?;
    Ok(())
}

fn notes_blockers() -> Result<bool> {
    let facts = stall_agent::kernel::support::facts()?;
    Ok(facts.layout.task_blocker != ABSENT && facts.layout.rwsem_owner != ABSENT)
}
