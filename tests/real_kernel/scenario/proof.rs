//! The proof by stopping: a trace with the trim, one after, and what `compare` makes of the two.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use stall_agent::comparison::model::{Comparison, Finding, OutcomeKind};
use stall_agent::comparison::{compare, text};
use stall_tests::cgroup::IoGroup;
use stall_tests::slow_disk::{Delay, LockMode, Op};
use stall_tests::staged::trim::{Trim, Trimming};
use stall_tests::staged::{FileSystem, StagedDisk};

use super::cast::{EXT4, apart, healthy, staged, table};
use super::scene::{Played, Scene, WINDOW};
use crate::harness::load::Load;
use crate::harness::note;
use crate::harness::test::Test;

pub(super) const TESTS: &[Test] = &[
    Test::new("a_trim_that_is_stopped_is_confirmed", stopped).needs(EXT4),
    Test::new("a_trim_that_goes_on_is_not_confirmed", going_on).needs(EXT4),
    Test::new(
        "a_trim_whose_end_changes_nothing_is_not_confirmed",
        no_better,
    )
    .needs(EXT4),
];

const LEAD: Duration = Duration::from_millis(500);
/// Of the users: both windows, and what lies between and around them.
const LASTING: Duration = Duration::from_secs(18);
/// So large that the trim lasts longer than both windows.
const SIZE: u64 = 24 << 30;

/// A disk with users and a trim that holds them up. The fields drop in this order: nobody may use a disk that goes.
struct Incident {
    _users: [Load; 2],
    trimming: Option<Trimming>,
    disk: StagedDisk,
    group: Option<IoGroup>,
}

impl Incident {
    fn start(seed: u64) -> Result<Self> {
        let disk = staged(seed)
            .file_system(FileSystem::Ext4)
            .size(SIZE)
            .lock(LockMode::DiscardExclusive)
            .delay(Op::Discard, Delay::uniform(35_000, 65_000))
            .start()?;
        let files = [table(&disk, "a")?, table(&disk, "b")?];
        healthy(&disk)?;
        let users = [
            user("postgres", &files[0], "read:0:4096:8:65536")?,
            user("kafka", &files[1], "write:0:4096:4:65536")?,
        ];
        Ok(Self {
            _users: users,
            trimming: None,
            disk,
            group: apart()?,
        })
    }

    /// Traces while a trim begins.
    fn before(&mut self, name: &'static str) -> Result<Played> {
        let Self { disk, group, .. } = self;
        let trim = group
            .as_ref()
            .map_or_else(Trim::new, |own| Trim::new().group(own));
        let (played, trimming) = Scene::on(name, disk).lasting(WINDOW).play(|| {
            thread::sleep(LEAD);
            trim.start(disk)
        })?;
        self.trimming = Some(trimming);
        Ok(played)
    }

    /// Ends the trim, as `systemctl stop` does.
    fn stop(&mut self) -> Result<()> {
        let mut trimming = self.trimming.take().context("there is a trim to stop")?;
        trimming.process().signal(Signal::SIGTERM)?;
        let status = trimming.wait_within(Duration::from_secs(5))?;
        ensure!(
            !status.success(),
            "the trim had ended before it was stopped"
        );
        Ok(())
    }

    fn after(&self, name: &'static str) -> Result<Played> {
        let (played, ()) = Scene::on(name, &self.disk).play(|| Ok(()))?;
        Ok(played)
    }
}

/// One that does something now and then, in both windows.
fn user(name: &str, path: &Path, step: &str) -> Result<Load> {
    Load::start_for(name, path, &[step, "sleep:5"], LASTING)
}

fn compared(before: &Played, after: &Played) -> Comparison {
    let found = compare(&before.trace.capture, &after.trace.capture);
    note!("{}", text(&found));
    found
}

/// Check that a trim that held up others, and is stopped, is confirmed as the cause; and that the same two runs in the
/// other order prove nothing.
fn stopped() -> Result<()> {
    let mut incident = Incident::start(1)?;
    let before = incident.before("proof_before")?;
    incident.stop()?;
    let after = incident.after("proof_after_stop")?;
    let found = compared(&before, &after);
    ensure!(
        found.verdict.kind == OutcomeKind::Confirmed,
        "{:?}: {}",
        found.verdict.kind,
        found.verdict.sentence
    );
    let suspect = found.suspect.context("there is no suspect")?;
    ensure!(suspect.gone == Some(true), "{suspect:?}");
    let back = compare(&after.trace.capture, &before.trace.capture);
    ensure!(
        back.verdict.kind == OutcomeKind::NotComparable,
        "backwards it is {:?}",
        back.verdict.kind
    );
    Ok(())
}

/// Check that nothing is confirmed when the trim was not stopped.
fn going_on() -> Result<()> {
    let mut incident = Incident::start(2)?;
    let before = incident.before("proof_before_nothing")?;
    let after = incident.after("proof_trim_goes_on")?;
    let found = compared(&before, &after);
    ensure!(
        found.verdict.finding == Some(Finding::CauseStillThere),
        "{:?}: {}",
        found.verdict.kind,
        found.verdict.sentence
    );
    incident.stop()
}

/// Check that a trim is not confirmed when it is stopped and the disk is as slow without it.
fn no_better() -> Result<()> {
    let mut incident = Incident::start(3)?;
    let before = incident.before("proof_before_no_better")?;
    incident.stop()?;
    for op in [Op::Read, Op::Write] {
        let slow = Delay::uniform(25_000, 45_000);
        incident.disk.control().set_delay(op, slow)?;
    }
    let after = incident.after("proof_no_better")?;
    let found = compared(&before, &after);
    ensure!(
        found.verdict.finding == Some(Finding::LatencyNotBetter),
        "{:?}: {}",
        found.verdict.kind,
        found.verdict.sentence
    );
    Ok(())
}
