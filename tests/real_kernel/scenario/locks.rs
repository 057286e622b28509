//! A lock whose holder waits for a slow disk, and those that wait for the lock.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use stall_agent::report::model::Kind;
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::staged::{FileSystem, StagedDisk};

use super::cast::{EXT4, MS};
use super::scene::{Must, Scene};
use crate::harness::load::Load;
use crate::harness::test::Test;

pub(super) const TESTS: &[Test] =
    &[Test::new("who_holds_a_files_lock_is_named", inode).needs(EXT4)];

/// Check that the one that makes a file longer, on a disk whose writes are slow, is named by those that only
/// want to read the file.
fn inode() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .start()?;
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
    played.must(&Must::be(Kind::LockHolder).by(&["holder"]))
}
