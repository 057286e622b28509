//! Discards that are no filesystem trim: named for what they are.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use stall_agent::report::model::{Confidence, Kind, Origin};
use stall_tests::slow_disk::{Delay, LockMode, Op};
use stall_tests::staged::{FileSystem, StagedDisk};

use super::cast::{EXT4, apart, healthy, on_device, reader, staged, table};
use super::scene::{Must, Played, Scene};
use crate::harness::skip::Need;
use crate::harness::test::Test;

pub(super) const TESTS: &[Test] = &[
    Test::new("blkdiscard_is_named", blkdiscard).needs(&[Need::Program("blkdiscard")]),
    Test::new("mkfs_is_named", mkfs).needs(EXT4),
    Test::new("deleting_files_on_a_mount_with_discard_is_named", online).needs(EXT4),
];

const LEAD: Duration = Duration::from_millis(1_000);
const SLOW: Delay = Delay::uniform(35_000, 65_000);
const FILES: u64 = 60;

fn bare() -> Result<StagedDisk> {
    staged(11)
        .lock(LockMode::DiscardExclusive)
        .delay(Op::Discard, SLOW)
        .delay(Op::Read, Delay::uniform(200, 400))
        .start()
}

/// A program discards a bare disk on which another one reads.
fn by(name: &'static str, words: &[&str], origin: Origin, culprit: &str) -> Result<()> {
    let disk = bare()?;
    let _reader = reader("postgres", &disk.device())?;
    let group = apart()?;
    let (played, _discarding) = Scene::on(name, &disk).play(|| {
        thread::sleep(LEAD);
        on_device(&disk, words, group.as_ref())
    })?;
    of_origin(&played, origin)?;
    let must = Must::be(Kind::OtherDiscards).on(&disk);
    played.must(&must.by(&[culprit]).at_least(Confidence::High))
}

fn of_origin(played: &Played, origin: Origin) -> Result<()> {
    let culprit = played.trace.report.verdict.culprits.first();
    let told = culprit.with_context(|| played.trace.report.verdict.sentence.clone())?;
    ensure!(
        told.origin == Some(origin),
        "the origin is told as {:?}",
        told.origin
    );
    Ok(())
}

/// Check that `blkdiscard` is named.
fn blkdiscard() -> Result<()> {
    let words = ["blkdiscard", "--force", "--step", "67108864"];
    by("blkdiscard", &words, Origin::Blkdiscard, "blkdiscard")
}

/// Check that making a file system is named.
fn mkfs() -> Result<()> {
    let words = ["mkfs.ext4", "-q", "-F", "-E", "discard"];
    by("mkfs", &words, Origin::Mkfs, "mkfs.ext4")
}

/// Check that a filesystem that discards what its deleted files had is named as that.
fn online() -> Result<()> {
    let disk = staged(12)
        .file_system(FileSystem::Ext4)
        .mount_options("discard")
        .lock(LockMode::DiscardExclusive)
        .start()?;
    let file = table(&disk, "table")?;
    let folder = disk.mount().join("images");
    fs::create_dir(&folder)?;
    for number in 0..FILES {
        allocate(&File::create(folder.join(number.to_string()))?, 16 << 20)?;
    }
    nix::unistd::sync();
    healthy(&disk)?;
    disk.control().set_delay(Op::Discard, SLOW)?;
    let _reader = reader("postgres", &file)?;
    let mount = File::open(disk.mount())?;
    let (played, ()) = Scene::on("online_discard", &disk).play(|| {
        thread::sleep(LEAD);
        for number in 0..FILES {
            fs::remove_file(folder.join(number.to_string()))?;
            nix::unistd::syncfs(&mount).context("syncing")?;
        }
        Ok(())
    })?;
    of_origin(&played, Origin::OnlineDiscard)?;
    // Workers of the kernel, whichever were free.
    let workers = played.culprits();
    let must = Must::be(Kind::OtherDiscards).on(&disk);
    played.must(&must.by(&workers).at_least(Confidence::Medium))?;
    let culprits = played.trace.report.verdict.culprits.iter();
    let mut processes = culprits.filter_map(|one| one.process.as_ref());
    ensure!(
        processes.all(|one| one.kernel_thread),
        "{workers:?} are not the kernel's"
    );
    Ok(())
}

fn allocate(file: &File, bytes: i64) -> Result<()> {
    // SAFETY: posix_fallocate takes no pointer; the descriptor is open.
    let failed = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, bytes) };
    ensure!(failed == 0, "allocating: {}", Errno::from_raw(failed));
    Ok(())
}
