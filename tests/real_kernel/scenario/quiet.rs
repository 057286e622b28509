//! Nothing is wrong.

use anyhow::Result;
use stall_agent::report::model::{Confidence, Kind};
use stall_tests::fio::Pattern;
use stall_tests::slow_disk::{Delay, LockMode, Op};

use super::cast::{job, light, staged};
use super::scene::{Must, Scene};
use crate::harness::test::Test;

pub(super) const TESTS: &[Test] = &[
    Test::new("an_idle_disk_has_no_stall", idle),
    Test::new("a_busy_disk_that_is_well_has_no_stall", busy),
];

/// Check that nothing is made of a disk that nobody uses.
fn idle() -> Result<()> {
    let disk = staged(11).start()?;
    let (played, ()) = Scene::on("idle", &disk).play(|| Ok(()))?;
    played.must(&Must::be(Kind::NoStall).at_least(Confidence::High))
}

/// Check that nothing is made of a disk that is busy and serves all in time.
fn busy() -> Result<()> {
    let disk = staged(12)
        .lock(LockMode::DiscardExclusive)
        .delay(Op::Read, Delay::heavy_tailed(150, 3_000))
        .delay(Op::Write, Delay::heavy_tailed(200, 4_000))
        .start()?;
    let _users = [
        light("postgres", &disk, 0)?,
        job(Pattern::RandRead, "scan", &disk, 1)
            .rate_iops(1_500)
            .depth(2)
            .start()?,
        job(Pattern::RandWrite, "copy", &disk, 2)
            .rate_iops(800)
            .depth(2)
            .start()?,
    ];
    let (played, ()) = Scene::on("busy_and_well", &disk).play(|| Ok(()))?;
    played.must(&Must::be(Kind::NoStall).at_least(Confidence::High))
}
