//! A lock whose holder waits for a slow disk, and those that wait for the lock.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use stall_agent::report::model::{ChainLink, Confidence, Kind, Reason};
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::staged::{FileSystem, StagedDisk};

use super::cast::{EXT4, MS, staged};
use super::scene::{Must, Played, Scene};
use crate::harness::close;
use crate::harness::load::Load;
use crate::harness::test::Test;

pub(super) const TESTS: &[Test] = &[Test::new(
    "behind_a_files_lock_is_the_slow_disk_its_holder_waits_for",
    inode,
)
.needs(EXT4)];

/// Check that chains lead from those that only want to read a file to the one that makes it longer and waits for a slow
/// disk, and that the disk is what is wrong: on a healthy one nobody would wait for that lock.
fn inode() -> Result<()> {
    let disk = staged(11).file_system(FileSystem::Ext4).start()?;
    let file = disk.mount().join("file");
    fs::write(&file, vec![1; 1 << 20])?;
    nix::unistd::sync();
    disk.control()
        .set_delay(Op::Write, Delay::constant(1_300_000))?;
    let time = Duration::from_secs(8);
    let _holder = Load::start_for("holder", &file, &["write:1048576:65536:64"], time)?;
    let steps = ["read:0:4096:4:65536", "sleep:2"];
    let readers = [
        Load::start_for("etcd", &file, &steps, time)?,
        Load::start_for("postgres", &file, &steps, time)?,
    ];
    let (played, ()) = Scene::on("lock_holder", &disk).play(|| Ok(()))?;
    for reader in &readers {
        let longest = played
            .trace
            .blocked(reader.pid())
            .iter()
            .map(|row| row.longest_ns)
            .max();
        ensure!(
            longest > Some(1_000 * MS),
            "a reader slept {longest:?} ns: no trap was set"
        );
    }
    for reader in &readers {
        chains_end_at_the_write(&played, reader, &disk)?;
    }
    let must = Must::be(Kind::SlowDevice).on(&disk);
    played.must(&must.at_least(Confidence::High))
}

/// What it slept for locks, as the kernel's sums by stack have it, is attributed to the holder; and most of it on the
/// holder's waiting for the disk.
fn chains_end_at_the_write(played: &Played, reader: &Load, disk: &StagedDisk) -> Result<()> {
    let pid = reader.pid().as_raw().unsigned_abs();
    let chains = played.trace.report.chains.iter();
    let chains: Vec<_> = chains.filter(|one| one.links[0].pid == pid).collect();
    let laid: u64 = chains.iter().map(|one| one.waited_ns).sum();
    let slept = played.trace.blocked_task(reader.pid())?.in_window_ns;
    close(
        "time attributed to chains (time in D)",
        laid,
        slept,
        0.05,
        0,
    )?;
    let ends_there = |link: &ChainLink| {
        link.reason == Some(Reason::Write) && link.device.as_deref() == Some(disk.name())
    };
    let at_the_write = chains
        .iter()
        .filter(|one| one.links.last().is_some_and(ends_there));
    let at_the_write: u64 = at_the_write.map(|one| one.waited_ns).sum();
    ensure!(
        at_the_write * 2 > laid,
        "{at_the_write} of {laid} ns end at a write to {}: {chains:#?}",
        disk.name()
    );
    Ok(())
}
