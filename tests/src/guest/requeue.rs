//! Requests that drivers send back: in parts (`scsi_debug`), and again and again for ever (`null_blk`).

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::ftrace::Traced;
use super::outcome::Outcome;
use super::rules::{equals_kernel, traced};
use super::system::{disk_of, load_with, mount_at};
use super::trace::Tracing;
use crate::block_io::load::Load;
use crate::spawned::{wait_for_d_state, wait_until};

const READS: u64 = 60;
const THERE_WITHIN: Duration = Duration::from_secs(60);
const IN_D_WITHIN: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(2);

/// `opts` of `scsi_debug`: each `every_nth` read transfers half of what was asked for; the rest is requeued.
const SHORT_TRANSFERS: &str = "dev_size_mb=64 opts=0x100 every_nth=3";

/// Reads that the driver ends in parts are counted once each, with all their bytes.
///
/// # Errors
///
/// When a count differs.
pub fn in_parts() -> Result<Outcome> {
    if !load_with("scsi_debug", SHORT_TRANSFERS)? {
        return Ok(Outcome::Skipped("this kernel has no scsi_debug".to_owned()));
    }
    let mut disk = None;
    wait_until(THERE_WITHIN, || {
        disk = disk_of("model", "scsi_debug");
        disk.as_ref()
            .is_some_and(|disk| Path::new("/dev").join(disk).exists())
    });
    let disk = disk.context("scsi_debug made no disk")?;
    let node = Path::new("/dev").join(&disk);
    let step = format!("read:0:8192:{READS}:65536");
    let act = || Load::run("exact", &node, &[&step]).map(drop);
    let (report, counted) = traced("in-parts", &disk, act)?;
    equals_kernel(&report, &disk, &counted)?;
    ensure!(counted.reads.ios == READS, "{counted}, not {READS} reads");
    let event = |name: &str| report.count(&disk, "read", &format!("/events/{name}"));
    let (parts, requeues) = (event("partial_completions")?, event("requeues")?);
    ensure!(
        parts >= READS / 6,
        "{parts} partial completions of {READS} reads"
    );
    ensure!(
        requeues >= parts,
        "{parts} partial completions, and {requeues} requeues of what is left"
    );
    Ok(Outcome::Passed(format!(
        "{counted}, {parts} in parts, {requeues} requeued"
    )))
}

/// A discard beyond the bandwidth of a `null_blk` is sent back for ever: it is unfinished, with as many requeues as the
/// kernel traces.
///
/// # Errors
///
/// When the report does not say so.
pub fn for_ever() -> Result<Outcome> {
    if !load_with("null_blk", "nr_devices=0")? {
        return Ok(Outcome::Skipped("this kernel has no null_blk".to_owned()));
    }
    let disk = null_disk()?;
    let number = fs::read_to_string(format!("/sys/block/{disk}/dev"))?;
    let number = number.trim().replace(':', ",");
    let tracing = Tracing::start("for-ever", &[&disk])?;
    let requeued = Traced::start("block/block_rq_requeue")?;
    let node = Path::new("/dev").join(&disk);
    let trimmer = Load::start("trimmer", &node, &["discard:0:33554432"])?;
    wait_for_d_state(trimmer.pid(), IN_D_WITHIN)?;
    thread::sleep(WINDOW);
    let at_least = requeued.count(&number)?;
    let report = tracing.stop()?;
    let at_most = requeued.count(&number)?;
    drop(requeued);
    // It never ends; the reset of the machine does not wait for it.
    std::mem::forget(trimmer);
    let mut unfinished = report
        .rows("requests/unfinished")
        .filter(|one| one["op"] == "discard");
    let stuck = unfinished.next().context("no discard is unfinished")?;
    let age = Duration::from_nanos(stuck["age_ns"].as_u64().unwrap_or(0));
    ensure!(age >= WINDOW, "it is {age:?} old");
    let requeues = stuck["requeues"].as_u64().unwrap_or(0);
    ensure!(
        (at_least..=at_most).contains(&requeues),
        "it was requeued {requeues} times, as the kernel traces {at_least} to {at_most} times"
    );
    ensure!(requeues > 0, "the kernel did not requeue it");
    ensure!(report.count(&disk, "discard", "/ops")? == 0, "it ended");
    ensure!(
        report.in_d("trimmer") >= WINDOW,
        "in D {:?}",
        report.in_d("trimmer")
    );
    let issued = if stuck["issued_ns"].is_null() {
        "never issued"
    } else {
        "issued"
    };
    Ok(Outcome::Passed(format!(
        "{issued}, {requeues} requeues in {:.1} s: {}: {}",
        age.as_secs_f32(),
        report.verdict(),
        report.sentence()
    )))
}

/// With a bandwidth of 20 MB/s; of a kernel's parameters `discard` is not one everywhere, hence configfs.
fn null_disk() -> Result<String> {
    ensure!(load_with("configfs", "")?, "there is no configfs");
    let config = Path::new("/sys/kernel/config");
    mount_at("configfs", "configfs", config)?;
    let made: PathBuf = config.join("nullb/lab");
    fs::create_dir(&made).with_context(|| format!("making {}", made.display()))?;
    for (name, value) in [
        ("memory_backed", "1"),
        ("discard", "1"),
        ("mbps", "20"),
        ("size", "256"),
        ("power", "1"),
    ] {
        fs::write(made.join(name), value).with_context(|| format!("setting {name}"))?;
    }
    let index = fs::read_to_string(made.join("index"))?;
    let disks = [format!("nullb{}", index.trim()), "lab".to_owned()];
    let there = |disk: &String| Path::new("/dev").join(disk).exists();
    ensure!(
        wait_until(THERE_WITHIN, || disks.iter().any(there)),
        "null_blk made no disk"
    );
    disks.into_iter().find(there).context("the disk is gone")
}
