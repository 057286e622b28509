//! A few random mixes; `cargo xtask mixes` plays hundreds.

use anyhow::{Result, ensure};
use stall_tests::mix::{self, Options};
use stall_tests::staged::FileSystem;

use crate::harness::agent;
use crate::harness::note;
use crate::harness::skip::Need;
use crate::harness::test::Test;

pub(crate) const TESTS: &[Test] =
    &[Test::new("a_few_random_mixes", few).needs(&[Need::FileSystem(FileSystem::Ext4)])];

/// Of each kind.
const FEW: usize = 6;

/// Check that a trim is found where it is to blame, and not accused where it is not.
fn few() -> Result<()> {
    let options = Options {
        count: FEW,
        ..Options::new(agent::program()?)
    };
    let table = mix::run(&options)?;
    note!("{table}");
    let played = (table.innocent.len(), table.guilty.len());
    ensure!(played == (FEW, FEW), "only {played:?} were played: {table}");
    ensure!(table.is_within_bounds(), "{table}");
    Ok(())
}
