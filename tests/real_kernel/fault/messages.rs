//! A stderr on a disk that stands still, alone and with everything else: the agent ends in time, and nothing said is lost that the disk
//! takes later.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use stall_agent::failure::code;
use stall_tests::spawned::{state, wait_until};
use stall_tests::staged::FileSystem;

use super::output::{Kept, MS, disk};
use crate::harness::agent::Agent;
use crate::harness::skip::Need;
use crate::harness::test::Test;
use crate::harness::{between, document, note};

const EXT4: &[Need] = &[Need::FileSystem(FileSystem::Ext4)];

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_disk_that_stands_still_below_stderr", alone).needs(EXT4),
    Test::new("everything_on_a_disk_that_stands_still", everything).needs(EXT4),
];

const SOON: Duration = Duration::from_secs(10);
const WITHIN: Duration = Duration::from_secs(60);

/// Check that the agent ends, and its report is where it was to go, while what it says waits for a disk; and that it is said when
/// the disk answers.
fn alone() -> Result<()> {
    let disk = disk()?;
    let path = disk.mount().join("stderr");
    // Each write waits for the disk; of another file the kernel would keep what is written.
    let stderr = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .custom_flags(libc::O_SYNC)
        .open(&path)?;
    let (mut report, stdout) = std::io::pipe()?;
    let agent = Agent::everywhere().spawn_saying(Stdio::from(stdout), stderr)?;
    let mut tracing = agent.started()?;
    let writers = tracing.writers();
    let frozen = disk.control().freeze();
    tracing.signal(Signal::SIGINT)?;
    let begin = Instant::now();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut report, &mut text)?;
    let ended = tracing.wait_within(WITHIN);
    let (took, hangs) = (begin.elapsed(), in_d(&writers));
    drop(frozen);
    let status = ended?;
    ensure!(hangs == 1, "no trap was set: {hangs} hang");
    ensure!(status.success(), "{status}");
    document::one(&text)?;
    between(
        "until its end, ns",
        took.as_nanos() as u64,
        &(4_000 * MS..20_000 * MS),
    )?;
    all_gone(&writers)?;
    let said = fs::read_to_string(path)?;
    ensure!(said.contains("VERDICT"), "it says {said:?}");
    Ok(())
}

/// Check that the second output is not waited for as long as the first, when both and stderr are on the same disk; that the capture
/// and the report are kept; and that the disk, when it answers, is told where.
fn everything() -> Result<()> {
    let disk = disk()?;
    let agent = Agent::everywhere().spawn_below(disk.mount())?;
    let mut tracing = agent.started()?;
    let writers = tracing.writers();
    let frozen = disk.control().freeze();
    tracing.signal(Signal::SIGINT)?;
    let begin = Instant::now();
    let ended = tracing.wait_within(WITHIN);
    let (took, hangs) = (begin.elapsed(), in_d(&writers));
    drop(frozen);
    let status = ended?;
    let told = wait_until(SOON, || places(&tracing.said()).len() == 2);
    let said = tracing.said();
    note!("{said}");
    let kept: Vec<Kept> = places(&said).into_iter().map(Kept).collect();
    ensure!(told, "it says {said:?}");
    ensure!(
        hangs > 0,
        "no trap was set: none of {} hangs",
        writers.len()
    );
    ensure!(
        status.code() == Some(code::OUTPUT_LOST.into()),
        "{status}: {said}"
    );
    between(
        "until its end, ns",
        took.as_nanos() as u64,
        &(29_000 * MS..50_000 * MS),
    )?;
    all_gone(&writers)?;
    for place in kept {
        serde_json::from_slice::<serde_json::Value>(&fs::read(&place.0)?)?;
    }
    Ok(())
}

/// Where documents are kept.
fn places(said: &str) -> Vec<PathBuf> {
    let places = said.split("it is kept in ").skip(1);
    let places = places.filter_map(|rest| rest.split_whitespace().next());
    places.map(PathBuf::from).collect()
}

fn in_d(processes: &[Pid]) -> usize {
    let hang = processes.iter().filter(|pid| state(**pid) == Some('D'));
    hang.count()
}

fn all_gone(writers: &[Pid]) -> Result<()> {
    let gone = wait_until(SOON, || writers.iter().all(|pid| state(*pid).is_none()));
    ensure!(gone, "a process that writes is left");
    Ok(())
}
