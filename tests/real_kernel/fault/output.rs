//! Outputs that cannot be written when the time comes: the agent ends all the same, and what it found is kept in memory.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use stall_agent::failure::code;
use stall_tests::spawned::{state, wait_until};
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::{Agent, Tracing};
use crate::harness::skip::Need;
use crate::harness::test::Test;
use crate::harness::{between, document, note};

const EXT4: &[Need] = &[Need::FileSystem(FileSystem::Ext4)];

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_disk_that_fills_up", full).needs(EXT4),
    Test::new("a_disk_that_becomes_read_only", read_only).needs(EXT4),
    Test::new("a_disk_that_stands_still_at_the_end", stalled).needs(EXT4),
    Test::new("a_disk_that_stands_still_below_stdout", stalled_stdout).needs(EXT4),
    Test::new(
        "a_disk_that_stands_still_from_the_start",
        stalled_from_the_start,
    )
    .needs(EXT4),
    Test::new("stdout_is_a_closed_pipe", closed_pipe),
    Test::new("those_that_write_are_small_and_go_with_it", writers),
];

pub(super) const MS: u64 = 1_000_000;
const SOON: Duration = Duration::from_secs(10);
/// A document has 30 s.
const GIVEN_UP: std::ops::Range<u64> = 29_000 * MS..45_000 * MS;

/// Check that a report for which there is no room any more is kept, whole, and nothing of it is where it was to go.
fn full() -> Result<()> {
    let disk = disk()?;
    let tracing = agent_on(&disk)?.start()?;
    let mut filler = File::create(disk.mount().join("filler"))?;
    let block = vec![0; 1 << 20];
    while filler.write_all(&block).is_ok() {}
    // The last blocks, one by one.
    while filler.write_all(&block[..512]).is_ok() {}
    is_kept(tracing, "No space left on device")?;
    has_no_report(&disk)
}

/// Check the same of a filesystem that takes nothing any more.
fn read_only() -> Result<()> {
    let disk = disk()?;
    let tracing = agent_on(&disk)?.start()?;
    remount(&disk, MsFlags::MS_RDONLY)?;
    let kept = is_kept(tracing, "Read-only file system");
    remount(&disk, MsFlags::empty())?;
    kept?;
    has_no_report(&disk)
}

/// Check that the agent ends, when it gave up on a disk that does not answer, although the process that writes there is in
/// D; that this one ends when the disk answers; and that the report is not in two places then.
fn stalled() -> Result<()> {
    let disk = disk()?;
    let tracing = agent_on(&disk)?.start()?;
    let writers = tracing.writers();
    let frozen = disk.control().freeze();
    let begin = Instant::now();
    let kept = is_kept(tracing, "its disk has not responded for 30 s");
    let took = begin.elapsed();
    let hangs = writers
        .iter()
        .filter(|pid| state(**pid) == Some('D'))
        .count();
    drop(frozen);
    kept?;
    ensure!(
        hangs == 1,
        "no trap was set: {hangs} of {} hang",
        writers.len()
    );
    between("until its end, ns", took.as_nanos() as u64, &GIVEN_UP)?;
    let gone = wait_until(SOON, || writers.iter().all(|pid| state(*pid).is_none()));
    ensure!(gone, "a process that writes is left");
    has_no_report(&disk)
}

/// Check the same of a stdout that is a file there.
fn stalled_stdout() -> Result<()> {
    let disk = disk()?;
    // Nothing of the file but its sync waits for the disk.
    let stdout = File::create(disk.mount().join("stdout"))?;
    let tracing = Agent::everywhere()
        .spawn_to(Stdio::from(stdout))?
        .started()?;
    let frozen = disk.control().freeze();
    let begin = Instant::now();
    let kept = is_kept(tracing, "to stdout (its disk has not responded for 30 s)");
    let took = begin.elapsed();
    drop(frozen);
    kept?;
    between("until its end, ns", took.as_nanos() as u64, &GIVEN_UP)
}

/// Check that a disk which does not answer is found before the trace.
fn stalled_from_the_start() -> Result<()> {
    let disk = disk()?;
    // So that making a file takes reading from the disk.
    disk.remount()?;
    let frozen = disk.control().freeze();
    let ended = agent_on(&disk)?.spawn()?.end_within(SOON * 2);
    drop(frozen);
    let (status, said) = ended?;
    ensure!(
        status.code() == Some(code::OUTPUT_UNWRITABLE.into()),
        "{status}: {said}"
    );
    ensure!(
        said.contains("its disk has not responded for 10 s"),
        "{said}"
    );
    has_no_report(&disk)
}

/// Check that the report is kept when nobody reads it.
fn closed_pipe() -> Result<()> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let tracing = Agent::everywhere().spawn_to(writer.into())?.started()?;
    is_kept(tracing, "to stdout (Broken pipe)")
}

/// Check that what the processes that write have for themselves is little, and that they end when the agent is killed.
fn writers() -> Result<()> {
    let tracing = Agent::everywhere().start()?;
    let writers = tracing.writers();
    ensure!(
        writers.len() == 3,
        "{} write the report, the capture and messages",
        writers.len()
    );
    for pid in &writers {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let own = ["Private_Clean:", "Private_Dirty:"].map(|key| kib(&rollup, key));
        between("memory of its own, KiB", own.iter().sum(), &(1..4096))?;
        let held = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        between("descriptors", held as u64, &(4..6))?;
    }
    tracing.kill()?;
    let gone = wait_until(SOON, || writers.iter().all(|pid| state(*pid).is_none()));
    ensure!(gone, "a process that writes is left");
    Ok(())
}

fn kib(rollup: &str, key: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

pub(super) fn disk() -> Result<StagedDisk> {
    StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(64 << 20)
        .start()
}

fn agent_on(disk: &StagedDisk) -> Result<Agent> {
    let path = disk.mount().join(REPORT);
    let path = path.to_str().context("it is UTF-8")?;
    Ok(Agent::everywhere().with("--output", path))
}

const REPORT: &str = "stall.json";

fn remount(disk: &StagedDisk, flags: MsFlags) -> Result<()> {
    let flags = flags | MsFlags::MS_REMOUNT;
    let (none, mount_point) = (None::<&str>, disk.mount());
    mount(none, mount_point, none, flags, none).context("mounting it again")
}

/// Ends the window; the exit code says that the report is not where it was to go, the sentence why and where it is, and it
/// is there, whole.
fn is_kept(tracing: Tracing, why: &str) -> Result<()> {
    tracing.signal(Signal::SIGINT)?;
    let (status, said) = tracing.end_within(Duration::from_secs(50))?;
    note!("{said}");
    ensure!(
        status.code() == Some(code::OUTPUT_LOST.into()),
        "{status}: {said}"
    );
    ensure!(said.contains(why), "it says {said}");
    let (_, place) = said
        .split_once("it is kept in ")
        .with_context(|| format!("it is not kept: {said}"))?;
    let place = Kept(PathBuf::from(place.trim_end()));
    document::one(&fs::read_to_string(&place.0)?).map(drop)
}

/// Nothing, with a name or without, is where the report was to be.
fn has_no_report(disk: &StagedDisk) -> Result<()> {
    let names = fs::read_dir(disk.mount())?.flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    let ours = |name: &std::ffi::OsString| name.to_string_lossy().contains(REPORT);
    ensure!(!names.iter().any(ours), "{names:?} are there");
    Ok(())
}

/// Goes with the test.
pub(super) struct Kept(pub(super) PathBuf);

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("{} stays: {error}", Path::display(&self.0));
        }
    }
}
