//! A machine that is suspended in the window, and wakes by the alarm of its clock.
//!
//! Contract: requests before and after are counted, which are to be the kernel's; fails when the machine was not suspended.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::time::ClockId;

use super::disturbed::{DISK, NODE, READS, read_some, window};
use super::outcome::Outcome;
use super::rules::{equals_kernel, traced};
use crate::clock::monotonic_ns;

/// What the machine can do, and which way it does it (Documentation/admin-guide/pm/sleep-states.rst).
const STATE: &str = "/sys/power/state";
const WAY: &str = "/sys/power/mem_sleep";
const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";
const SECONDS: u64 = 4;

/// The window is as long as the machine was awake, and so is each interval; no request took the time it was not.
///
/// # Errors
///
/// When the report says otherwise.
pub fn suspended() -> Result<Outcome> {
    if let Some(why) = cannot() {
        return Ok(Outcome::Skipped(why));
    }
    let from = monotonic_ns();
    let before = asleep()?;
    let node = Path::new(NODE);
    let act = || {
        read_some(node)?;
        suspend()?;
        read_some(node)
    };
    let (report, counted) = traced("suspended", DISK, act)?;
    let (awake, slept) = (monotonic_ns() - from, asleep()?.saturating_sub(before));
    ensure!(slept > Duration::from_secs(1), "no trap was set: {slept:?}");
    equals_kernel(&report, DISK, &counted)?;
    ensure!(counted.reads.ios == 2 * READS, "{counted}");
    let length = window(&report, "length_ns")?;
    ensure!((1..awake).contains(&length), "{length} ns of {awake}");
    let slowest = report.count(DISK, "read", "/total/max_ns")?;
    ensure!(slowest < awake, "a read took {slowest} ns");
    Ok(Outcome::Passed(format!(
        "{counted}, awake {:.1?}, suspended {slept:.1?}",
        Duration::from_nanos(length)
    )))
}

/// Why this machine cannot be suspended and woken.
fn cannot() -> Option<String> {
    let has =
        |file: &str, word: &str| fs::read_to_string(file).is_ok_and(|text| text.contains(word));
    if !has(STATE, "mem") || !has(WAY, "deep") {
        return Some("this machine cannot be suspended to memory".to_owned());
    }
    let alarm = Path::new(ALARM).exists();
    (!alarm).then(|| "this machine's clock has no alarm".to_owned())
}

/// Returns when it is awake again.
fn suspend() -> Result<()> {
    fs::write(WAY, "deep").context("choosing how to suspend")?;
    fs::write(ALARM, format!("+{SECONDS}")).context("setting the alarm")?;
    fs::write(STATE, "mem").context("suspending")
}

/// Since boot.
fn asleep() -> Result<Duration> {
    let since = Duration::from(ClockId::CLOCK_BOOTTIME.now()?);
    Ok(since.saturating_sub(Duration::from_nanos(monotonic_ns())))
}
