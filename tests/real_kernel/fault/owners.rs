//! The map of control groups full: whose work has no row is counted, and the sums of all requests stay right.

use std::path::Path;

use anyhow::{Result, ensure};
use stall_agent::capture::Op as Seen;
use stall_common::loss::Loss;
use stall_tests::fio::{Job, Pattern};
use stall_tests::staged::{FileSystem, StagedDisk};

use super::maps::{told, traced};
use crate::harness::on_file::{OnFile, charged};
use crate::harness::skip::Need;
use crate::harness::test::Test;
use crate::harness::{note, same};

pub(crate) const TESTS: &[Test] = &[Test::new("a_full_map_of_control_groups_is_told", full)
    .needs(&[Need::FileSystem(FileSystem::Ext4)])];

const WRITES: u64 = 100;

/// Check that with room for one control group the writes of a loop device's worker for two of them are told or lost, none of
/// them twice, and that the disk's own sums are the kernel's.
fn full() -> Result<()> {
    let (one, another) = (charged("stall-one")?, charged("stall-another")?);
    let OnFile { disk, upper } = OnFile::stage()?;
    let act = |_: &StagedDisk| {
        for group in [&one, &another] {
            write(&upper.path()).start_in(Some(group))?.wait()?;
        }
        Ok(())
    };
    let (capture, counted) = traced(&disk, &[], &[("OWNERS", 1)], act)?;
    let lost = told(&capture, Loss::OwnersFull)?;
    let kept: u64 = capture.owners.iter().map(|row| row.ops).sum();
    note!("{kept} told, {lost} lost");
    ensure!(lost > 0, "no trap was set: every group has a row");
    ensure!(kept > 0, "none has a row");
    ensure!(
        kept + lost >= 2 * WRITES,
        "{kept} told and {lost} lost of {} writes for groups",
        2 * WRITES
    );
    let rows = capture.series.iter().filter(|row| row.op == Seen::Write);
    same("writes", rows.map(|row| row.ops).sum(), counted.writes.ios)
}

fn write(file: &Path) -> Job {
    Job::new(Pattern::RandWrite, file)
        .size(8 << 20)
        .requests(WRITES)
}
