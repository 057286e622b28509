//! A filesystem trim that holds up a disk, in its several guises.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stall_agent::analysis::analyze;
use stall_agent::capture::{Capture, Loss};
use stall_agent::report::model::{Confidence, Kind, LoweredBy};
use stall_tests::slow_disk::blame::waits;
use stall_tests::slow_disk::command::Command;
use stall_tests::slow_disk::{Delay, LockMode, Op};
use stall_tests::staged::trim::{Trim, Trimming};
use stall_tests::staged::{FileSystem, StagedDisk};

use super::cast::{EXT4, apart, excess_is_true, healthy, log_of, reader, staged, table, writer};
use super::scene::{Must, Played, Scene};
use crate::harness::load::Load;
use crate::harness::skip::Skip;
use crate::harness::test::Test;
use crate::harness::{close, note};

pub(super) const TESTS: &[Test] = &[
    Test::new("a_slow_trim_is_named", exclusive).needs(EXT4),
    Test::new("what_readers_lose_is_what_the_disk_says", readers).needs(EXT4),
    Test::new("a_trim_under_another_name_is_named", renamed).needs(EXT4),
    Test::new("a_trim_from_before_the_trace_is_named", before).needs(EXT4),
    Test::new("a_trim_stuck_all_the_time_is_named", stuck).needs(EXT4),
    Test::new("two_seconds_do_not_make_it_sure", short).needs(EXT4),
];

const LEAD: Duration = Duration::from_millis(1_000);
const HANGING_WITHIN: Duration = Duration::from_secs(5);

/// A disk whose discards exclude all else.
fn disk(seed: u64) -> Result<StagedDisk> {
    staged(seed)
        .file_system(FileSystem::Ext4)
        .lock(LockMode::DiscardExclusive)
        .delay(Op::Discard, Delay::uniform(35_000, 65_000))
        .start()
}

/// Starts a trim after a while; the disk's reads and writes are healthy.
fn trim_later(disk: &StagedDisk, trim: &Trim<'_>) -> Result<Trimming> {
    thread::sleep(LEAD);
    trim.start(disk)
}

/// Check that a trim whose discards exclude all else is named with `high`, that each victim's excess is what
/// its own account and the disk's say, and that with half of the records lost it is less sure.
fn exclusive() -> Result<()> {
    let disk = disk(1)?;
    let files = ["a", "b", "c"].map(|file| table(&disk, file));
    let [a, b, c] = files;
    healthy(&disk)?;
    let group = apart()?;
    let trim = group
        .as_ref()
        .map_or_else(Trim::new, |own| Trim::new().group(own));
    let readers = [reader("etcd", &a?)?, reader("postgres", &b?)?];
    let writer = writer("kafka", &c?)?;
    let (played, mut trimming) = Scene::on("trim", &disk).play(|| trim_later(&disk, &trim))?;
    ensure!(trimming.wait()?.success(), "fstrim failed");
    for user in readers.into_iter().chain([writer]) {
        excess_is_true(&played, &disk, &user.wait()?)?;
    }
    played.must(&named(&disk).by(&["fstrim"]).at_least(Confidence::High))?;
    half_the_records_make_it_less_sure(&played)
}

/// Check that what readers lose to a trim is what the disk's log says they waited for discards. The log knows it
/// all when nobody writes, and the trim has a worker of the loop driver of its own (`blame`).
fn readers() -> Result<()> {
    let disk = disk(3)?;
    let files = [table(&disk, "a")?, table(&disk, "b")?];
    healthy(&disk)?;
    let Some(group) = apart()? else {
        let reason = "there is no control group for I/O, so that the log does not know all waiting";
        return Err(Skip(reason.to_owned()).into());
    };
    let readers = [reader("etcd", &files[0])?, reader("postgres", &files[1])?];
    let trim = Trim::new().group(&group);
    let scene = Scene::on("trim_readers", &disk);
    let (played, _trimming) = scene.play(|| trim_later(&disk, &trim))?;
    let mut lost = 0;
    for reader in readers {
        lost += excess_is_true(&played, &disk, &reader.wait()?)?;
    }
    let waited = waits(&log_of(&played, &disk)?, |record| record.op.index());
    let truth = waited.get(&(Op::Read.index(), Some(Op::Discard.index())));
    let truth = *truth.context("no read waited for a discard: no trap was set")?;
    close("excess of readers (disk)", lost, truth, 0.15, 0)?;
    played.must(&named(&disk).by(&["fstrim"]).at_least(Confidence::High))
}

fn named(disk: &StagedDisk) -> Must<'_> {
    Must::be(Kind::HostTrim).on(disk)
}

/// Takes away every second record of the capture.
fn half_the_records_make_it_less_sure(played: &Played) -> Result<()> {
    let report = analyze(&halved(&played.trace.capture));
    let verdict = report.verdict;
    note!(
        "with half of the records: {:?} {:?}",
        verdict.kind,
        verdict.confidence
    );
    let mut lowered = verdict.lowered.iter();
    // Without half of the discards nobody stands behind them, which is low by itself.
    ensure!(
        verdict.confidence == Some(Confidence::Low)
            || lowered.any(|one| one.by == LoweredBy::LostRecords),
        "with half of the records nothing is lowered: {:?} {:?}",
        verdict.kind,
        verdict.confidence
    );
    Must::be(Kind::HostTrim)
        .by(&["fstrim"])
        .at_most(Confidence::Medium)
        .check(&verdict)
}

fn halved(capture: &Capture) -> Capture {
    let mut halved = capture.clone();
    let before = records(&halved);
    keep_every_second(&mut halved.slow_requests);
    keep_every_second(&mut halved.discard_requests);
    keep_every_second(&mut halved.long_sleeps);
    halved.loss.push(Loss {
        cause: "ring_buffer_full".to_owned(),
        count: before - records(&halved),
    });
    halved
}

fn records(capture: &Capture) -> u64 {
    let rows = capture.slow_requests.len() + capture.discard_requests.len();
    (rows + capture.long_sleeps.len()) as u64
}

fn keep_every_second<T>(rows: &mut Vec<T>) {
    let mut odd = false;
    rows.retain(|_| {
        odd = !odd;
        odd
    });
}

/// A disk with one reader on it.
fn with_reader(seed: u64) -> Result<(StagedDisk, Load)> {
    let disk = disk(seed)?;
    let file = table(&disk, "table")?;
    healthy(&disk)?;
    let reader = reader("postgres", &file)?;
    Ok((disk, reader))
}

/// Check that a trim is known by what it does.
fn renamed() -> Result<()> {
    let (disk, _reader) = with_reader(3)?;
    let trim = Trim::new().called("tidy-up");
    let scene = Scene::on("trim_renamed", &disk);
    let (played, _trimming) = scene.play(|| trim_later(&disk, &trim))?;
    played.must(&named(&disk).by(&["tidy-up"]).at_least(Confidence::High))
}

/// Check that a trim that was stuck since before the trace, and goes on in it, is named.
fn before() -> Result<()> {
    let (disk, _reader) = with_reader(4)?;
    disk.control().hang(Op::Discard, Some(1))?;
    let _trimming = Trim::new().start(&disk)?;
    disk.control().wait_for_hanging(1, HANGING_WITHIN)?;
    thread::sleep(Duration::from_secs(2));
    let scene = Scene::on("trim_before", &disk).lasting(Duration::from_secs(7));
    let (played, ()) = scene.play(|| {
        let release = Command::Release(Some(Op::Discard));
        disk.control().at(Duration::from_millis(500), release)
    })?;
    played.must(&named(&disk).by(&["fstrim"]).at_least(Confidence::High))?;
    let culprit = played.trace.report.verdict.culprits.first();
    let sleep = culprit.and_then(|one| one.sleep.as_ref());
    let before_ns = sleep.context("its time in D is not told")?.before_ns;
    ensure!(
        before_ns > 1_500_000_000,
        "only {before_ns} ns in D before the trace are told"
    );
    Ok(())
}

/// Check that a trim stuck in one discard for the whole window is named with lower bounds. There is nothing to
/// compare with but the time the trim had run when the disk stopped. Somebody comes in the window: of a disk to which
/// nothing is submitted, what is in flight is not known.
fn stuck() -> Result<()> {
    let (disk, _reader) = with_reader(5)?;
    disk.control().hang(Op::Discard, Some(1))?;
    let _trimming = Trim::new().start(&disk)?;
    disk.control().wait_for_hanging(1, HANGING_WITHIN)?;
    thread::sleep(Duration::from_secs(2));
    let path = disk.mount().join("table");
    let scene = Scene::on("trim_stuck", &disk);
    let (played, _late) = scene.play(|| reader("etcd", &path))?;
    disk.control().release(None)?;
    // No more: a disk that stops by itself while a trim runs has a discard in flight first, too.
    let sure = Confidence::Medium;
    played.must(&named(&disk).by(&["fstrim"]).at_least(sure).at_most(sure))?;
    let culprit = played.trace.report.verdict.culprits.first();
    let culprit = culprit.context("there is no culprit")?;
    ensure!(culprit.unfinished_ops > 0, "no discard is unfinished");
    let least = culprit.oldest_unfinished_ns.unwrap_or(0);
    ensure!(
        least > 7_000_000_000,
        "it is said to last {least} ns at least"
    );
    Ok(())
}

/// Check that the same trim in a window of two seconds is named with `low` at most.
fn short() -> Result<()> {
    let (disk, _reader) = with_reader(6)?;
    let scene = Scene::on("trim_two_seconds", &disk).lasting(Duration::from_secs(2));
    let (played, _trimming) = scene.play(|| trim_later(&disk, &Trim::new()))?;
    let verdict = &played.trace.report.verdict;
    ensure!(
        verdict
            .lowered
            .iter()
            .any(|one| one.by == LoweredBy::ShortWindow),
        "nothing was lowered: {:?}",
        verdict.sentence
    );
    played.must(&named(&disk).by(&["fstrim"]).at_most(Confidence::Low))
}
