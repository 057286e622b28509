//! Scenarios staged for real, each with the verdict it must get, and witnesses from the disk's own log.
//!
//! A verdict this version says it does not weigh cannot be given: then `inconclusive` will do, and the test
//! is ignored with that reason. A wrong verdict is a failure all the same.

mod bystander;
mod cast;
mod discards;
mod guest;
mod locks;
mod neighbours;
mod quiet;
mod scene;
mod trims;

use crate::harness::test::Test;

/// Names the variable without which they are skipped: they take three minutes, and each verdict is also tested on a
/// capture that was kept (`stall-agent/tests/captures.rs`).
pub(crate) const WANTED: &str = "STALL_SCENARIOS";

/// All of them.
pub(crate) const TESTS: &[&[Test]] = &[
    trims::TESTS,
    bystander::TESTS,
    discards::TESTS,
    guest::TESTS,
    neighbours::TESTS,
    locks::TESTS,
    quiet::TESTS,
];
