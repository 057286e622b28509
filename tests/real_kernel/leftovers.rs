//! What a staging leaves when it is killed together with its disk's server is taken down by the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stall_tests::scratch::Scratch;
use stall_tests::spawned::{Spawned, program_beside, wait_until};
use stall_tests::staged::{FileSystem, StagedDisk, sweep};
use stall_tests::{loop_device, mounted};

use crate::harness::test::Test;

pub(crate) const TESTS: &[Test] = &[Test::new("of_the_dead_only", of_the_dead_only)];

/// Check that a dead staging's mounts, loop device and folder go, and that a living one stays as it is.
fn of_the_dead_only() -> Result<()> {
    let folder = Scratch::new()?;
    let alive = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(256 << 20)
        .start()?;
    leave(folder.path())?;
    ensure!(
        below(folder.path())?.len() == 2,
        "no trap was set: not both mounts were left"
    );
    ensure!(
        !loop_device::backed_below(folder.path())?.is_empty(),
        "no trap was set: no loop device was left"
    );
    let swept = sweep::sweep(folder.path())?;
    ensure!(swept == 1, "{swept} dead stagings were swept");
    let (mounts, devices) = (
        below(folder.path())?,
        loop_device::backed_below(folder.path())?,
    );
    ensure!(
        mounts.is_empty() && devices.is_empty(),
        "{mounts:?} and {devices:?} are left"
    );
    let is_disk = |entry: &fs::DirEntry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with("staged-disk-")
    };
    let folders = fs::read_dir(folder.path())?
        .flatten()
        .filter(is_disk)
        .count();
    ensure!(folders == 0, "{folders} folders are left");
    let temporary = alive
        .mount()
        .ancestors()
        .nth(2)
        .context("it lies in a folder")?;
    sweep::sweep(temporary)?;
    fs::write(alive.mount().join("file"), "written").context("the living disk was taken down")
}

/// Stages a disk in another process and kills that and its children, so that none can take anything down.
fn leave(temporary: &Path) -> Result<()> {
    let mut staging = Spawned::start(
        Command::new(program_beside("incident")?)
            .env("TMPDIR", temporary)
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )?;
    let stands = || below(temporary).is_ok_and(|points| points.len() == 2);
    ensure!(
        wait_until(Duration::from_secs(20), stands),
        "no disk was staged"
    );
    staging.signal(Signal::SIGSTOP)?;
    for child in children(staging.pid())? {
        kill(child, Signal::SIGKILL)?;
    }
    staging.kill();
    Ok(())
}

fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut points = mounted::mount_points()?;
    points.retain(|point| point.starts_with(folder));
    Ok(points)
}

fn children(parent: Pid) -> Result<Vec<Pid>> {
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        after_name.split(' ').nth(1) == Some(&parent.to_string())
    };
    let entries = fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter(is_child).map(Pid::from_raw).collect())
}
