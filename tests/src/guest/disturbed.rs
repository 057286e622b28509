//! What happens to a machine in the window: its wall clock is stepped, a CPU is taken out, a disk is renamed.
//!
//! Contract: each counts requests before and after, which are to be the kernel's; each fails when the thing did not happen, and
//! leaves the machine as it was.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};
use nix::unistd::Pid;
use serde_json::Value;

use super::hang::OneCpu;
use super::outcome::Outcome;
use super::rules::{equals_kernel, traced};
use super::stack::Mapping;
use super::system::load_with;
use super::trace::Report;
use crate::block_io::load::Load;
use crate::clock::monotonic_ns;
use crate::spawned::{running_on, wait_until};

pub(super) const DISK: &str = "vda";
pub(super) const NODE: &str = "/dev/vda";
const DAY: i64 = 24 * 3600;
/// Of each part of a window.
pub(super) const READS: u64 = 40;
const STEP: &str = "read:0:4096:40:65536";
/// An emulated machine on a busy host.
const SLACK: Duration = Duration::from_secs(20);
const WITHIN: Duration = Duration::from_secs(30);
const SECOND_CPU: &str = "/sys/devices/system/cpu/cpu1/online";

/// A part of a window.
pub(super) fn read_some(path: &Path) -> Result<()> {
    Load::run("exact", path, &[STEP]).map(drop)
}

/// The window is as long as the monotonic clock says, and begins when the wall clock said so, although that is a day ahead in the
/// middle of it and a day behind later.
///
/// # Errors
///
/// When the report says otherwise.
pub fn clock_stepped() -> Result<Outcome> {
    let node = Path::new(NODE);
    let (from, wall) = (monotonic_ns(), SystemTime::now());
    let act = || {
        read_some(node)?;
        step_clock(DAY)?;
        read_some(node)?;
        step_clock(-2 * DAY)?;
        read_some(node)?;
        step_clock(DAY)
    };
    let (report, counted) = traced("clock", DISK, act)?;
    let most = monotonic_ns() - from;
    equals_kernel(&report, DISK, &counted)?;
    ensure!(counted.reads.ios == 3 * READS, "{counted}");
    let length = window(&report, "length_ns")?;
    ensure!((1..most).contains(&length), "{length} ns of {most}");
    let whole: u64 = report.rows("intervals").map(lasted_ns).sum();
    ensure!((1..=length).contains(&whole), "{whole} ns of {length}");
    let start = report.0["window"]["start"].as_str().unwrap_or_default();
    let at = humantime::parse_rfc3339(start).context("the start of the window")?;
    let (early, late) = (wall - SLACK, wall + Duration::from_nanos(most) + SLACK);
    ensure!((early..late).contains(&at), "it began at {start}");
    let slowest = report.count(DISK, "read", "/total/max_ns")?;
    ensure!(slowest < most, "a read took {slowest} ns");
    Ok(Outcome::Passed(format!(
        "{} reads in {:.1?} from {start}",
        counted.reads.ios,
        Duration::from_nanos(length)
    )))
}

/// By seconds; fails when the clock does not say so afterwards.
fn step_clock(seconds: i64) -> Result<()> {
    let before = ClockId::CLOCK_REALTIME.now()?;
    let to = TimeSpec::new(before.tv_sec() + seconds, before.tv_nsec());
    clock_settime(ClockId::CLOCK_REALTIME, to).context("stepping the clock")?;
    let by = ClockId::CLOCK_REALTIME.now()?.tv_sec() - before.tv_sec();
    let off = by.abs_diff(seconds);
    ensure!(off < SLACK.as_secs(), "no trap was set: by {by} s");
    Ok(())
}

/// A number of the report's window.
pub(super) fn window(report: &Report, name: &str) -> Result<u64> {
    let value = report.0["window"][name].as_u64();
    value.with_context(|| format!("the window has no {name}"))
}

fn lasted_ns(interval: &Value) -> u64 {
    let at = |name: &str| interval[name].as_u64().unwrap_or_default();
    at("end_ns").saturating_sub(at("start_ns"))
}

/// What a reader on a CPU did until that was taken out is counted, and what it did afterwards on another one.
///
/// # Errors
///
/// When the report says otherwise.
pub fn cpu_taken_out() -> Result<Outcome> {
    let Ok(_second) = SecondCpu::start() else {
        return Ok(Outcome::Skipped("this machine has one CPU only".to_owned()));
    };
    let act = || {
        let load = on_second_cpu()?;
        let there = wait_until(WITHIN, || running_on(load.pid()) == Some(1));
        ensure!(there, "no trap was set: it does not run on the CPU");
        let before = crate::staged::KernelCounters::read(DISK)?.reads.ios;
        let more = || reads_since(before) > 10;
        ensure!(wait_until(WITHIN, more), "it does not read");
        fs::write(SECOND_CPU, "0").context("taking the CPU out")?;
        let before = crate::staged::KernelCounters::read(DISK)?.reads.ios;
        let more = || reads_since(before) > 10;
        ensure!(wait_until(WITHIN, more), "no trap was set: it has ended");
        ensure!(running_on(load.pid()) == Some(0), "it runs where no CPU is");
        load.wait().map(drop)
    };
    let (report, counted) = traced("cpu", DISK, act)?;
    equals_kernel(&report, DISK, &counted)?;
    Ok(Outcome::Passed(format!("{counted}")))
}

fn reads_since(before: u64) -> u64 {
    let now = crate::staged::KernelCounters::read(DISK);
    now.map_or(0, |now| now.reads.ios.saturating_sub(before))
}

/// Reads for some seconds; where it may run is what its parent may when it starts.
fn on_second_cpu() -> Result<Load> {
    let _whole = OneCpu::new()?;
    let mut second = CpuSet::new();
    second.set(1)?;
    sched_setaffinity(Pid::from_raw(0), &second).context("binding to the second CPU")?;
    let time = Duration::from_secs(4);
    Load::start_for("exact", Path::new(NODE), &[STEP], time)
}

/// A machine has one CPU in use and another one that is out; it is in until dropped.
struct SecondCpu;

impl SecondCpu {
    fn start() -> Result<Self> {
        fs::write(SECOND_CPU, "1")?;
        Ok(Self)
    }
}

impl Drop for SecondCpu {
    fn drop(&mut self) {
        // It is out already after a check that passed.
        let _ = fs::write(SECOND_CPU, "0");
    }
}

/// A disk that gets another name in the window is one disk, with all its requests.
///
/// # Errors
///
/// When the report says otherwise.
pub fn disk_renamed() -> Result<Outcome> {
    if !load_with("dm_mod", "")? {
        return Ok(Outcome::Skipped("this kernel has no dm_mod".to_owned()));
    }
    let table = format!("0 {} linear {NODE} 2048", 1 << 19);
    let mut mapping = Mapping::new("first", "LVM-renamed", &table)?;
    let disk = mapping.disk()?;
    let act = || {
        read_some(Path::new("/dev/mapper/first"))?;
        mapping.rename("second")?;
        let gone = !Path::new("/dev/mapper/first").exists();
        ensure!(gone, "no trap was set: it has its old name");
        read_some(Path::new("/dev/mapper/second"))
    };
    let (report, counted) = traced("renamed", DISK, act)?;
    equals_kernel(&report, DISK, &counted)?;
    ensure!(counted.reads.ios == 2 * READS, "{counted}");
    let named: Vec<_> = report.rows("devices").collect();
    let named: Vec<_> = named
        .iter()
        .filter_map(|row| row["name"].as_str())
        .collect();
    ensure!(
        named.iter().filter(|name| **name == DISK).count() == 1,
        "{named:?}"
    );
    Ok(Outcome::Passed(format!(
        "{counted}, {disk} renamed, devices {named:?}"
    )))
}
