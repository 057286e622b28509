//! Who plays: those that wait, those that fill a disk, and processes that discard.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use stall_agent::report::model::Victim;
use stall_tests::cgroup::IoGroup;
use stall_tests::exposure::Exposure;
use stall_tests::fio::{Engine, Job, Pattern, Running};
use stall_tests::slow_disk::command::Setting;
use stall_tests::slow_disk::{Delay, Op, OpLog};
use stall_tests::spawned::{Spawned, find_program};
use stall_tests::staged::{Builder, FileSystem, StagedDisk};

use super::scene::{Played, WINDOW};
use crate::harness::close;
use crate::harness::load::{Done, Load};
use crate::harness::round;
use crate::harness::skip::Need;

pub(super) const EXT4: &[Need] = &[Need::FileSystem(FileSystem::Ext4)];
pub(super) const MS: u64 = 1_000_000;
const MIB: u64 = 1 << 20;
/// Longer than any scene; whoever is left is ended with it.
const EVER: Duration = Duration::from_secs(600);
/// What those that wait do beyond the window, before it and after it.
const AROUND: Duration = Duration::from_millis(1_500);

/// A disk whose delays are drawn from a seed: another one in each round.
pub(super) fn staged(seed: u64) -> Builder {
    StagedDisk::builder().setting(Setting::Seed(round::seed(seed)))
}

/// Files that are there before the disk is slow.
pub(super) fn table(disk: &StagedDisk, name: &str) -> Result<PathBuf> {
    let path = disk.mount().join(name);
    fs::write(&path, vec![7; 4 << 20]).with_context(|| format!("writing {}", path.display()))?;
    nix::unistd::sync();
    Ok(path)
}

/// One that reads now and then, with its own account.
pub(super) fn reader(name: &str, path: &Path) -> Result<Load> {
    let steps = ["read:0:4096:8:65536", "sleep:4"];
    Load::start_for(name, path, &steps, WINDOW + AROUND)
}

/// One that writes now and then, where something was before.
pub(super) fn writer(name: &str, path: &Path) -> Result<Load> {
    let steps = ["write:0:4096:4:65536", "sleep:6"];
    Load::start_for(name, path, &steps, WINDOW + AROUND)
}

/// A job on a part of a bare disk, whose part tells its operations in the disk's log.
pub(super) fn job(pattern: Pattern, name: &str, disk: &StagedDisk, part: u64) -> Job {
    Job::new(pattern, &disk.device())
        .called(name)
        .engine(Engine::Libaio)
        .option("randseed", &round::seed(part + 1).to_string())
        .option("offset", &(part * PART).to_string())
        .size(PART)
        .runtime(EVER)
}

/// Bytes of a part.
pub(super) const PART: u64 = 512 * MIB;

/// A light reader with fio, on a part of a bare disk.
pub(super) fn light(name: &str, disk: &StagedDisk, part: u64) -> Result<Running> {
    job(Pattern::RandRead, name, disk, part)
        .rate_iops(60)
        .start()
}

/// Sets the usual times of a healthy disk.
pub(super) fn healthy(disk: &StagedDisk) -> Result<()> {
    let control = disk.control();
    control.set_delay(Op::Read, Delay::uniform(200, 400))?;
    control.set_delay(Op::Write, Delay::uniform(200, 400))?;
    control.set_delay(Op::Fsync, Delay::uniform(300, 600))
}

/// A group for a trim, so that the loop driver's one worker for all others does not wait for its discards.
pub(super) fn apart() -> Result<Option<IoGroup>> {
    IoGroup::new("stall-scenario")
}

/// A program of the machine on the staged disk's device, which nobody has mounted.
pub(super) fn on_device(
    disk: &StagedDisk,
    words: &[&str],
    group: Option<&IoGroup>,
) -> Result<Spawned> {
    let mut command = Command::new(find_program(words[0])?);
    command
        .args(&words[1..])
        .arg(disk.device())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(group) = group {
        group.place(&mut command)?;
    }
    Spawned::start(&mut command)
}

/// The disk's account of the window.
pub(super) fn log_of(played: &Played, disk: &StagedDisk) -> Result<OpLog> {
    let window = &played.trace.capture.window;
    let log = disk.control().log()?;
    Ok(log.within(&(window.start_ns..window.end_ns)))
}

fn victim<'a>(played: &'a Played, disk: &StagedDisk, done: &Done) -> Result<&'a Victim> {
    let actor = played.trace.actor(done.pid)?.id;
    let mut victims = played.trace.report.victims.iter();
    victims
        .find(|one| one.actor == actor && one.device == disk.name())
        .context("a victim is not in the report")
}

/// Compares what a victim lost to discards with its own account and the disk's: within 15 %. Returns what
/// the report says.
pub(super) fn excess_is_true(played: &Played, disk: &StagedDisk, done: &Done) -> Result<u64> {
    let window = &played.trace.capture.window;
    let discards = disk.control().log()?.present(Op::Discard);
    let ended = |span: &Range<u64>| span.end >= window.start_ns && span.end < window.end_ns;
    let spans = done
        .log
        .records
        .iter()
        .map(|record| record.span(0))
        .filter(ended);
    let truth = Exposure::of(spans, &discards)
        .excess_ns()
        .context("one side is empty")?;
    let seen = victim(played, disk, done)?
        .all
        .excess_ns
        .context("no excess is told")?;
    let seen = u64::try_from(seen).unwrap_or(0);
    close(
        "excess (own account, disk's discards)",
        seen,
        truth as u64,
        0.15,
        0,
    )?;
    Ok(seen)
}
