//! Each map of the programs full, and the ring of records: what does not fit is counted, in the report too, and the rest
//! stays right.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::{Capture, Op as Seen};
use stall_agent::probe::sizes::Limits;
use stall_agent::{analysis, report};
use stall_common::loss::Loss;
use stall_tests::fio::{Engine, Job, Pattern};
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::staged::{KernelCounters, StagedDisk};

use super::trace_of;
use crate::harness::compare::rest;
use crate::harness::load::Load;
use crate::harness::test::Test;
use crate::harness::{document, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("each_map_that_is_full_is_told", maps),
    Test::new("a_full_ring_of_records_is_told", ring),
    Test::new("a_disk_without_room_is_named", no_room),
    Test::new("each_cause_of_a_full_map_is_tried", all_tried),
];

const READS: u64 = 64;

/// A map with few elements, and what needs more.
struct Case {
    limits: Limits,
    cause: Loss,
    act: fn(&StagedDisk) -> Result<()>,
}

/// All but `RECORDS`, which is a ring, and `OWNERS`, which takes control groups ([`super::owners`]).
const CASES: [Case; 10] = [
    case(&[("REQUESTS", 1)], Loss::RequestsFull, many_at_once),
    case(&[("REQUEST_NUMBERS", 1)], Loss::RequestsFull, many_at_once),
    case(&[("ACTORS", 1)], Loss::ActorsFull, two_at_once),
    case(&[("USES", 1)], Loss::UsesFull, two_readers),
    case(&[("DISKS", 1)], Loss::DisksFull, another_disk_first),
    // One, in as many copies as two CPUs have; where there are more CPUs, less than one.
    case(&[("SERIES", 2)], Loss::SeriesFull, read_and_write),
    case(&[("DISCARDS", 1)], Loss::DiscardsFull, two_trimmers),
    case(&[("SLEEPS", 1)], Loss::SleepsFull, many_at_once),
    case(&[("BLOCKED", 1)], Loss::BlockedFull, two_readers),
    case(&[("STACKS", 1)], Loss::StacksFull, read_and_write),
];

const fn case(limits: Limits, cause: Loss, act: fn(&StagedDisk) -> Result<()>) -> Case {
    Case { limits, cause, act }
}

/// Check for each map that its cause of loss is counted and in the report, which is still valid; and that no more reads are
/// missing from the disk's sums than are said to be lost.
fn maps() -> Result<()> {
    let disk = disk()?;
    for case in &CASES {
        full(&disk, case).with_context(|| format!("{:?}", case.limits))?;
    }
    Ok(())
}

fn full(disk: &StagedDisk, case: &Case) -> Result<()> {
    let (capture, counted) = traced(disk, &[], case.limits, case.act)?;
    let lost = told(&capture, case.cause)?;
    note!("{:?}: {} lost {lost}", case.limits, case.cause.name());
    ensure!(lost > 0, "no trap was set: {} is 0", case.cause.name());
    let index = capture.disks.iter().find(|it| it.name == disk.name());
    let index = index.and_then(|it| it.index);
    let rows = capture.series.iter();
    let rows = rows.filter(|row| Some(row.disk) == index && row.op == Seen::Read);
    let seen: u64 = rows.map(|row| row.ops).sum();
    let missing = counted.reads.ios.saturating_sub(seen);
    ensure!(
        seen <= counted.reads.ios && missing <= lost,
        "{seen} of {} reads are told, and {lost} of {} are lost",
        counted.reads.ios,
        case.cause.name()
    );
    Ok(())
}

/// Check that each request of a disk for which there is no room counts as lost, and that the disk is named.
fn no_room() -> Result<()> {
    let disks = [disk()?, disk()?];
    let capture = trace_of(&[], &[("DISK_STATES", 1)], || {
        disks.iter().try_for_each(two_readers)
    })?;
    let lost = told(&capture, Loss::DisksFull)?;
    let gap = capture.gaps.iter().find(|gap| gap.part == "disks");
    let named = gap.map_or("", |gap| gap.missing.as_str()).split(", ");
    let has_room = |disk: &&StagedDisk| capture.disks.iter().any(|it| it.name == disk.name());
    let without: Vec<_> = disks.iter().filter(|disk| !has_room(disk)).collect();
    note!("{lost} lost, of {without:?}");
    for disk in &without {
        ensure!(
            named.clone().any(|name| name == disk.name()),
            "{} is not named",
            disk.name()
        );
    }
    let reads = 2 * READS * without.len() as u64;
    ensure!(reads > 0, "no trap was set: both disks have room");
    ensure!(lost >= reads, "{lost} of {reads} requests count as lost");
    Ok(())
}

/// Check that records that do not fit are counted, and that what they would have told of single requests is missing while
/// the sums of all requests are not.
fn ring() -> Result<()> {
    let disk = disk()?;
    let limits = &[("RECORDS", 4096)];
    let act = |disk: &StagedDisk| {
        two_readers(disk)?;
        two_readers(disk)
    };
    let (capture, counted) = traced(&disk, &["--slow", "1us"], limits, act)?;
    let lost = told(&capture, Loss::RingFull)?;
    let index = capture.series.iter().find(|row| row.op == Seen::Read);
    let read = index.context("no read was seen")?;
    same("reads", read.ops, counted.reads.ios)?;
    let kept = capture.slow_requests.len() as u64;
    note!("{kept} told, {lost} lost");
    ensure!(lost > 0, "no trap was set: every record fits");
    ensure!(
        kept + lost >= read.ops,
        "{kept} slow reads told and {lost} records lost of {} reads",
        read.ops
    );
    Ok(())
}

/// Check that no way of a map to be full is left out here.
fn all_tried() -> Result<()> {
    let here = |cause: &Loss| CASES.iter().any(|case| case.cause == *cause);
    let full = Loss::ALL
        .iter()
        .filter(|cause| cause.name().ends_with("_full"));
    let missing: Vec<_> = full
        .filter(|cause| !here(cause))
        .map(|cause| cause.name())
        .collect();
    let elsewhere = [Loss::OwnersFull.name(), Loss::RingFull.name()];
    ensure!(missing == elsewhere, "{missing:?} are not tried");
    Ok(())
}

fn disk() -> Result<StagedDisk> {
    StagedDisk::builder()
        .size(256 << 20)
        .delay(Op::Read, Delay::constant(2_000))
        .delay(Op::Write, Delay::constant(2_000))
        .start()
}

pub(super) fn traced(
    disk: &StagedDisk,
    options: &[&str],
    limits: Limits,
    act: impl FnOnce(&StagedDisk) -> Result<()>,
) -> Result<(Capture, KernelCounters)> {
    let mut counted = None;
    let options: Vec<_> = ["--device", disk.name()]
        .iter()
        .chain(options)
        .copied()
        .collect();
    let capture = trace_of(&options, limits, || {
        rest(disk)?;
        let before = disk.counters()?;
        act(disk)?;
        rest(disk)?;
        counted = Some(disk.counters()?.since(&before));
        Ok(())
    })?;
    Ok((capture, counted.context("nothing was counted")?))
}

/// How often it happened, in the capture and, the same, in a valid report.
pub(super) fn told(capture: &Capture, cause: Loss) -> Result<u64> {
    let count = |rows: &mut dyn Iterator<Item = (&String, u64)>| {
        let of_cause = rows.filter(|(name, _)| *name == cause.name());
        of_cause.map(|(_, count)| count).sum::<u64>()
    };
    let lost = count(&mut capture.loss.iter().map(|it| (&it.cause, it.count)));
    let report = analysis::analyze(capture);
    document::one(&serde_json::to_string(&report)?)?;
    let losses = &report.losses;
    let told = count(&mut losses.causes.iter().map(|it| (&it.cause, it.count)));
    same("lost, in the report", told, lost)?;
    let shares = losses.request_share + losses.record_share + losses.sleep_share;
    ensure!(lost == 0 || shares > 0.0, "all shares of losses are 0");
    // From one in a hundred on a person is told, too.
    let largest = losses.request_share.max(losses.record_share);
    let summary = report::summary(&report, None);
    ensure!(
        largest < 0.01 || summary.contains("\nLOST "),
        "the summary does not say what is lost: {summary}"
    );
    Ok(lost)
}

fn many_at_once(disk: &StagedDisk) -> Result<()> {
    let job = Job::new(Pattern::RandRead, &disk.device())
        .engine(Engine::Libaio)
        .depth(16)
        .jobs(4)
        .size(64 << 20)
        .requests(READS);
    job.run().map(drop)
}

fn two_readers(disk: &StagedDisk) -> Result<()> {
    let read = format!("read:0:4096:{READS}");
    for name in ["reader", "another"] {
        Load::run(name, &disk.device(), &[&read])?;
    }
    Ok(())
}

/// The element of a process is free again when it ends.
fn two_at_once(disk: &StagedDisk) -> Result<()> {
    let (name, long) = ("reader", Duration::from_secs(1));
    let first = Load::start_for(name, &disk.device(), &["read:0:4096:8"], long)?;
    Load::run("another", &disk.device(), &["read:0:4096:8"])?;
    first.wait().map(drop)
}

fn two_trimmers(disk: &StagedDisk) -> Result<()> {
    for name in ["trimmer", "another"] {
        Load::run(name, &disk.device(), &["discard:1048576:65536:4"])?;
    }
    Ok(())
}

fn read_and_write(disk: &StagedDisk) -> Result<()> {
    let steps = ["write:0:4096:16", "read:0:4096:16", "sync"];
    Load::run("worker", &disk.device(), &steps).map(drop)
}

/// It takes the one element there is.
fn another_disk_first(disk: &StagedDisk) -> Result<()> {
    let other = StagedDisk::builder().size(64 << 20).start()?;
    two_readers(&other)?;
    two_readers(disk)
}
