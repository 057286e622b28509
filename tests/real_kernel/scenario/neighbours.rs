//! Others that fill a disk: by requests, by a queue, by flushes.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::Op as Seen;
use stall_agent::report::model::Kind;
use stall_tests::fio::{Job, Pattern, Running};
use stall_tests::slow_disk::blame::waits;
use stall_tests::slow_disk::{Delay, LockMode, Op, OpRecord};
use stall_tests::staged::StagedDisk;

use super::cast::{MS, PART, job, light, log_of, staged};
use super::scene::{Must, Played, Scene};
use crate::harness::skip::Need;
use crate::harness::test::Test;
use crate::harness::{close, note};

pub(super) const TESTS: &[Test] = &[
    Test::new("of_two_neighbours_the_larger_is_named_first", two),
    Test::new("a_neighbour_in_the_queue_is_named", queue).needs(&[Need::Scheduler("mq-deadline")]),
    Test::new("a_flush_storm_is_named_with_who_called", flushes),
];

fn serial() -> Result<StagedDisk> {
    staged(1)
        .lock(LockMode::Serial)
        .delay(Op::Read, Delay::uniform(200, 400))
        .delay(Op::Write, Delay::uniform(14_000, 18_000))
        .start()
}

/// So many writes a second; not so many that the disk is never free, or nobody could tell what a read takes by itself.
fn bulk(name: &str, disk: &StagedDisk, part: u64, rate: u32) -> Result<Running> {
    let job = job(Pattern::RandWrite, name, disk, part);
    job.depth(4).rate_iops(rate).start()
}

/// Who an operation in the log is of.
fn part(record: &OpRecord) -> u64 {
    record.offset / PART
}

/// Which share of what the victim (part 2) waited for the first two is for the first, in thousandths.
fn first_share(played: &Played, disk: &StagedDisk) -> Result<u64> {
    let waited = waits(&log_of(played, disk)?, part);
    let on = |culprit| waited.get(&(2, Some(culprit))).copied().unwrap_or(0);
    let both = on(0) + on(1);
    ensure!(both > 500 * MS, "{both} ns were waited: no trap was set");
    Ok(on(0) * 1_000 / both)
}

/// The same of the service time that the agent has seen.
fn first_share_seen(
    played: &Played,
    disk: &StagedDisk,
    pids: [nix::unistd::Pid; 2],
) -> Result<u64> {
    let of = |pid| {
        let row = played.trace.use_of(disk, pid, Seen::Write);
        row.map(|row| row.service_ns)
    };
    let (first, second) = (of(pids[0])?, of(pids[1])?);
    Ok(first * 1_000 / (first + second).max(1))
}

/// The same of what the victim is said to have waited for the two.
fn first_share_blamed(played: &Played) -> Result<u64> {
    let mut victims = played
        .trace
        .report
        .blame
        .iter()
        .flat_map(|one| &one.victims);
    let victim = victims.find(|one| one.label.starts_with("postgres"));
    let victim = victim.context("the victim has no row")?;
    let of = |name: &str| {
        let cells = victim.by.iter().filter(|cell| cell.label.starts_with(name));
        cells.map(|cell| cell.waited_ns).sum::<u64>()
    };
    let (first, second) = (of("bulk"), of("copy"));
    Ok(first * 1_000 / (first + second).max(1))
}

/// Check that of two that fill a disk 70 to 30 both are named, in that order, with their shares.
fn two() -> Result<()> {
    let disk = serial()?;
    let first = bulk("bulk", &disk, 0, 35)?;
    let second = bulk("copy", &disk, 1, 15)?;
    let _light = light("postgres", &disk, 2)?;
    let (played, ()) = Scene::on("two_neighbours", &disk).play(|| Ok(()))?;
    let truth = first_share(&played, &disk)?;
    ensure!(
        (620..780).contains(&truth),
        "{truth} of 1000 were the first's: no trap was set"
    );
    let seen = first_share_seen(&played, &disk, [first.pid(), second.pid()])?;
    close(
        "share of the first, in thousandths (disk)",
        seen,
        truth,
        0.0,
        100,
    )?;
    let blamed = first_share_blamed(&played)?;
    close(
        "share attributed to the first, in thousandths (disk)",
        blamed,
        truth,
        0.0,
        100,
    )?;
    let culprits = &played.trace.report.verdict.culprits;
    let names: Vec<_> = culprits.iter().map(|one| one.party.name.as_str()).collect();
    played.must(&Must::be(Kind::NoisyNeighbor).on(&disk).by(&names))?;
    // The second has about a quarter, from which on it is named.
    ensure!(
        names == ["bulk"] || names == ["bulk", "copy"],
        "{names:?} are named"
    );
    Ok(())
}

/// Check that a neighbour is named whose requests wait with the victim's in the scheduler, while the device is
/// as fast as ever.
fn queue() -> Result<()> {
    let disk = staged(11)
        .queue("nr_requests", "4")
        .queue("scheduler", "mq-deadline")
        .queue("nr_requests", "256")
        .lock(LockMode::Serial)
        .delay(Op::Read, Delay::uniform(600, 1_000))
        .start()?;
    let _bulk = job(Pattern::RandRead, "bulk", &disk, 0).depth(96).start()?;
    let light = light("postgres", &disk, 1)?;
    let (played, ()) = Scene::on("queue", &disk).play(|| Ok(()))?;
    let read = played.trace.use_of(&disk, light.pid(), Seen::Read)?;
    note!(
        "{} reads, {} ns in the queue, {} at the device",
        read.ops,
        read.queue_ns,
        read.device_ns
    );
    ensure!(
        read.queue_ns > 4 * read.device_ns && read.device_ns < 10 * MS * read.ops,
        "its pain is not all queue: no trap was set ({read:?})"
    );
    played.must(&Must::be(Kind::NoisyNeighbor).on(&disk).by(&["bulk"]))
}

fn syncing(name: &str, disk: &StagedDisk, part: u64) -> Result<Running> {
    Job::new(Pattern::RandWrite, &disk.device())
        .called(name)
        .option("offset", &(part * PART).to_string())
        .size(PART)
        .jobs(6)
        .fsync(1)
        .runtime(Duration::from_secs(600))
        .start()
}

/// Check that where many flush, it is the flushes, and who called for them.
fn flushes() -> Result<()> {
    let disk = staged(12)
        .lock(LockMode::Serial)
        .delay(Op::Fsync, Delay::uniform(25_000, 40_000))
        .delay(Op::Read, Delay::uniform(200, 400))
        .delay(Op::Write, Delay::uniform(200, 400))
        .start()?;
    let _storm = [syncing("mysql", &disk, 0)?, syncing("mongo", &disk, 1)?];
    let _light = light("postgres", &disk, 2)?;
    let (played, ()) = Scene::on("flush_storm", &disk).play(|| Ok(()))?;
    let waited = waits(&log_of(&played, &disk)?, |record| record.op.index());
    let on_flushes = waited.get(&(Op::Read.index(), Some(Op::Fsync.index())));
    note!("reads waited {on_flushes:?} ns for flushes");
    let verdict = &played.trace.report.verdict;
    // Both ask alike: which of them asked once more is chance.
    let mut called = verdict.culprits.iter();
    let first = called
        .next()
        .is_some_and(|one| one.label.starts_with("mysql"));
    let names: &[&str] = if first {
        &["mysql", "mongo"]
    } else {
        &["mongo", "mysql"]
    };
    played.must(&Must::be(Kind::Flushes).on(&disk).by(names))
}
