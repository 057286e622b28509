//! Requests as the kernel counts them: by operation, through a filesystem with its journal's flushes, and merged in the scheduler.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::host::Hanging;
use super::incident::Scene;
use super::outcome::Outcome;
use super::trace::{Report, Tracing};
use crate::block_io::load::Load;
use crate::spawned::{wait_for_d_state, wait_until};
use crate::staged::{InFlight, KernelCounters};

const QUIET_WITHIN: Duration = Duration::from_secs(60);
/// Nothing comes for so long.
const QUIET: Duration = Duration::from_millis(300);
const IN_D_WITHIN: Duration = Duration::from_secs(30);
/// What `stat` counts as reads, and as writes (`op_stat_group()` in include/linux/blk_types.h).
const READS: &[&str] = &["read", "read_ahead"];
const WRITES: &[&str] = &[
    "write",
    "async_write",
    "preflush",
    "write_zeroes",
    "secure_erase",
];

/// Traces a disk while something is done to it, which begins and ends with the disk at rest; the report, and what the kernel counted.
///
/// # Errors
///
/// When a step fails, or the disk does not come to rest.
pub fn traced(
    name: &str,
    disk: &str,
    act: impl FnOnce() -> Result<()>,
) -> Result<(Report, KernelCounters)> {
    let tracing = Tracing::start(name, &[disk])?;
    let before = at_rest(disk)?;
    act()?;
    let counted = at_rest(disk)?.since(&before);
    Ok((tracing.stop()?, counted))
}

/// Its counters, when nothing is in flight and nothing comes.
fn at_rest(disk: &str) -> Result<KernelCounters> {
    let mut last = counters(disk)?;
    let quiet = wait_until(QUIET_WITHIN, || {
        thread::sleep(QUIET);
        let Ok(now) = counters(disk) else {
            return false;
        };
        let quiet = now == last && InFlight::read(disk).is_ok_and(|there| there.total() == 0);
        last = now;
        quiet
    });
    ensure!(quiet, "{disk} does not come to rest");
    let table = fs::read_to_string("/proc/diskstats")?;
    let mut rows = table.lines().map(|line| line.split_whitespace().skip(2));
    let row = rows.find_map(|mut row| (row.next() == Some(disk)).then(|| row.collect::<Vec<_>>()));
    let row = KernelCounters::parse(&row.context("it is not in /proc/diskstats")?.join(" "))?;
    ensure!(
        row == last,
        "/proc/diskstats and stat differ: {row:?}, {last:?}"
    );
    Ok(last)
}

fn counters(disk: &str) -> Result<KernelCounters> {
    KernelCounters::read(disk)
}

/// Operations and bytes of each kind equal the kernel's. What it does not count there was not: requests of drivers and of
/// sysfs (for a serial number, say).
///
/// # Errors
///
/// When they do not.
pub fn equals_kernel(report: &Report, disk: &str, counted: &KernelCounters) -> Result<()> {
    let sum = |ops: &[&str], path: &str| -> Result<u64> {
        let each = ops.iter().map(|op| report.count(disk, op, path));
        Ok(each.collect::<Result<Vec<_>>>()?.iter().sum())
    };
    for (what, ops, ios, bytes) in [
        (
            "reads",
            READS,
            counted.reads.ios,
            Some(counted.reads.bytes()),
        ),
        (
            "writes",
            WRITES,
            counted.writes.ios,
            Some(counted.writes.bytes()),
        ),
        (
            "discards",
            &["discard"],
            counted.discards.ios,
            Some(counted.discards.bytes()),
        ),
        ("flushes", &["flush"], counted.flushes, None),
        ("other requests", &["other"], 0, Some(0)),
    ] {
        let seen = sum(ops, "/ops")?;
        ensure!(
            seen == ios,
            "{seen} {what}, the kernel counted {ios} ({counted})"
        );
        let seen = sum(ops, "/bytes")?;
        let as_many = bytes.is_none_or(|bytes| bytes == seen);
        ensure!(
            as_many,
            "{seen} bytes of {what}, the kernel counted {bytes:?}"
        );
    }
    Ok(())
}

/// Of a filesystem with everything at once: buffered and direct writes, flushes, reads, deleted files that are discarded.
///
/// # Errors
///
/// When a count differs.
pub fn filesystem(disk: &'static str) -> Result<Outcome> {
    let scene = Scene::set(disk, "ext4")?;
    let act = || {
        let mut file = File::create(scene.mount().join("log"))?;
        for turn in 0..12_u8 {
            file.write_all(&vec![turn; 96 << 10])?;
            file.sync_data()?;
        }
        fs::write(scene.mount().join("bulk"), vec![1; 12 << 20])?;
        nix::unistd::sync();
        let steps = ["read:0:4096:60:65536", "write:0:8192:20:131072", "sync"];
        Load::run("exact", &scene.file(), &steps)?;
        nix::unistd::sync();
        Ok(())
    };
    let (report, counted) = traced("filesystem", disk, act)?;
    equals_kernel(&report, disk, &counted)?;
    let done = [counted.reads.ios, counted.writes.ios, counted.flushes];
    ensure!(
        done.iter().all(|ops| *ops > 0),
        "nothing was done: {counted}"
    );
    let sequenced = report.count(disk, "write", "/events/sequenced_completions")?;
    ensure!(sequenced > 0, "no write was part of a flush sequence");
    Ok(Outcome::Passed(format!(
        "{counted}, {sequenced} in a flush sequence"
    )))
}

/// Reads, discards and flushes of a device, one by one; the disk is not mounted.
///
/// # Errors
///
/// When a count differs.
pub fn operations(disk: &'static str) -> Result<Outcome> {
    let node = Path::new("/dev").join(disk);
    // Where nothing of the filesystem is that is not written anew with it.
    let steps = [
        "read:0:4096:40:65536",
        "read:1048576:1048576:3",
        "discard:402653184:1048576:2",
        "read:0:512:5:65536",
        "sync:2",
    ];
    let act = || Load::run("exact", &node, &steps).map(drop);
    let (report, counted) = traced("operations", disk, act)?;
    equals_kernel(&report, disk, &counted)?;
    ensure!(counted.discards.ios >= 2, "{counted}: no discards");
    let waits = report.count(disk, "preflush", "/ops")?;
    ensure!(waits == 2, "{waits} waits for a flush, not 2: {counted}");
    Ok(Outcome::Passed(format!("{counted}")))
}

/// Requests merged in the scheduler end as one: with one request at the device, three neighbours are queued.
///
/// # Errors
///
/// When a count differs.
pub fn merged(disk: &'static str) -> Result<Outcome> {
    let queue = Path::new("/sys/block").join(disk);
    write_to(&queue.join("queue/scheduler"), "mq-deadline")?;
    write_to(&queue.join("device/queue_depth"), "1")?;
    let node = Path::new("/dev").join(disk);
    let act = || {
        let hanging = Hanging::start(disk)?;
        let mut readers = Vec::new();
        // The first is at the device; the last closes the gap between the two before it.
        for block in [1000, 2000, 2002, 2001] {
            let step = format!("read:{}:4096", block * 4096);
            let reader = Load::start("neighbour", &node, &[&step])?;
            wait_for_d_state(reader.pid(), IN_D_WITHIN)?;
            readers.push(reader);
        }
        hanging.end()?;
        readers
            .into_iter()
            .try_for_each(|reader| reader.wait().map(drop))
    };
    let (report, counted) = traced("merged", disk, act)?;
    write_to(&queue.join("device/queue_depth"), "32")?;
    equals_kernel(&report, disk, &counted)?;
    ensure!(
        counted.reads.merges > 0,
        "the kernel merged nothing: {counted}"
    );
    let merges = report.count(disk, "read", "/events/merges")?;
    ensure!(
        merges == 1,
        "{merges} requests are said to be merged into others, not 1"
    );
    ensure!(counted.reads.ios == 2, "{counted}, not 2 reads");
    Ok(Outcome::Passed(format!(
        "4 reads became {}, {merges} of them merged as a request",
        counted.reads.ios
    )))
}

fn write_to(path: &Path, text: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("writing {text} to {}", path.display()))
}
