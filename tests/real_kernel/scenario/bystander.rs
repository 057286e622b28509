//! A trim that is there and did nothing to anybody.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use stall_agent::report::model::Kind;
use stall_tests::fio::Pattern;
use stall_tests::slow_disk::{Delay, LockMode, Op};
use stall_tests::staged::trim::Trim;
use stall_tests::staged::{FileSystem, StagedDisk};

use super::cast::{EXT4, apart, job, light, log_of, reader, staged, table};
use super::scene::{Must, Played, Scene};
use crate::harness::test::Test;

pub(super) const TESTS: &[Test] = &[
    Test::new("a_fast_trim_beside_a_heavy_writer_is_acquitted", fast).needs(EXT4),
    Test::new("a_trim_on_another_disk_is_acquitted", elsewhere).needs(EXT4),
    Test::new("a_disk_slow_for_everybody_has_nobody_to_blame", alone),
    Test::new(
        "a_trim_on_a_disk_slow_for_everybody_is_acquitted",
        slow_anyway,
    )
    .needs(EXT4),
];

const LEAD: Duration = Duration::from_millis(1_500);
const MIB: u64 = 1 << 20;

fn discarded(played: &Played, disk: &StagedDisk) -> Result<()> {
    let discards = log_of(played, disk)?.count(Op::Discard);
    ensure!(discards > 10, "{discards} discards: no trap was set");
    Ok(())
}

/// Check that a writer that fills a disk is named, and not the trim beside it whose discards are fast.
fn fast() -> Result<()> {
    let disk = staged(1)
        .file_system(FileSystem::Ext4)
        .lock(LockMode::Serial)
        .delay(Op::Discard, Delay::constant(100))
        .delay(Op::Read, Delay::uniform(200, 400))
        .start()?;
    let file = table(&disk, "table")?;
    let filler = fill(&disk.mount().join("image"), "bulk");
    filler.create_only()?;
    disk.control()
        .set_delay(Op::Write, Delay::uniform(2_000, 4_000))?;
    let _filling = filler.start()?;
    let _reader = reader("postgres", &file)?;
    let group = apart()?;
    let trim = group
        .as_ref()
        .map_or_else(Trim::new, |own| Trim::new().group(own));
    let (played, _trimming) = Scene::on("heavy_writer_and_fast_trim", &disk).play(|| {
        thread::sleep(LEAD);
        trim.start(&disk)
    })?;
    discarded(&played, &disk)?;
    played.acquits_the_trim(&disk)?;
    played.must(&Must::be(Kind::NoisyNeighbor).on(&disk).by(&["bulk"]))
}

/// Writes as much as it can to a file.
fn fill(file: &std::path::Path, name: &str) -> stall_tests::fio::Job {
    stall_tests::fio::Job::new(Pattern::RandWrite, file)
        .called(name)
        .engine(stall_tests::fio::Engine::Libaio)
        .depth(24)
        .block_size(65_536)
        .size(128 * MIB)
        .runtime(Duration::from_secs(600))
}

/// Check that a slow trim on a disk of its own is not blamed for another disk's stall.
fn elsewhere() -> Result<()> {
    let trimmed = staged(11)
        .file_system(FileSystem::Ext4)
        .lock(LockMode::DiscardExclusive)
        .delay(Op::Discard, Delay::uniform(35_000, 65_000))
        .start()?;
    let used = staged(12)
        .lock(LockMode::Serial)
        .delay(Op::Write, Delay::constant(16_000))
        .delay(Op::Read, Delay::constant(300))
        .start()?;
    // The disk is free at times, so that what a read takes by itself is seen.
    let _filling = job(Pattern::RandWrite, "bulk", &used, 0)
        .depth(4)
        .rate_iops(50)
        .start()?;
    let _light = light("postgres", &used, 1)?;
    let (played, _trimming) = Scene::on("trim_elsewhere", &used).and(&trimmed).play(|| {
        thread::sleep(LEAD);
        Trim::new().start(&trimmed)
    })?;
    discarded(&played, &trimmed)?;
    played.acquits_the_trim(&trimmed)?;
    played.must(&Must::be(Kind::NoisyNeighbor).on(&used).by(&["bulk"]))
}

/// Check that a slow disk with one light user is slow by itself.
fn alone() -> Result<()> {
    let disk = staged(13)
        .delay(Op::Read, Delay::uniform(25_000, 45_000))
        .start()?;
    let _light = light("postgres", &disk, 0)?;
    let (played, ()) = Scene::on("slow_device", &disk).play(|| Ok(()))?;
    played.must(&Must::be(Kind::SlowDevice).on(&disk))
}

/// Check that a trim on a disk that is as slow before, during and after it is acquitted.
fn slow_anyway() -> Result<()> {
    let disk = staged(1)
        .file_system(FileSystem::Ext4)
        .delay(Op::Discard, Delay::uniform(25_000, 45_000))
        .start()?;
    let files = [table(&disk, "a")?, table(&disk, "b")?];
    disk.control()
        .set_delay(Op::Read, Delay::uniform(25_000, 45_000))?;
    let _readers = [reader("etcd", &files[0])?, reader("postgres", &files[1])?];
    let Some(group) = apart()? else {
        let reason = "without a control group of its own a trim does hold up the loop driver";
        return Err(crate::harness::skip::Skip(reason.to_owned()).into());
    };
    let (played, _trimming) = Scene::on("trim_on_slow_device", &disk).play(|| {
        thread::sleep(LEAD);
        Trim::new().group(&group).start(&disk)
    })?;
    discarded(&played, &disk)?;
    played.acquits_the_trim(&disk)?;
    played.must(&Must::be(Kind::SlowDevice).on(&disk))
}
