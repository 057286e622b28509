//! The short form of `cargo xtask soak`.

use std::time::Duration;

use anyhow::{Result, ensure};
use stall_tests::soak::{self, Options};

use crate::harness::agent;
use crate::harness::note;
use crate::harness::test::Test;

pub(crate) const TESTS: &[Test] = &[Test::new("what_it_takes_stays_the_same_under_load", short)];

/// Check that memory, threads and descriptors do not grow, and nothing is lost, while programs start and end, and disks come
/// and go, as fast as this machine allows.
fn short() -> Result<()> {
    let outcome = soak::run(&Options {
        duration: Duration::from_secs(15),
        ..Options::new(agent::program()?)
    })?;
    note!("{outcome}");
    ensure!(
        outcome.done.programs > 500 && outcome.done.disks > 3,
        "no trap was set: {:?}",
        outcome.done
    );
    outcome.judge()
}
