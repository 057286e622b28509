//! Scenarios staged for real, each with the verdict it must get, and witnesses from the disk's own log.

mod bystander;
mod cast;
mod discards;
mod guest;
mod locks;
mod neighbours;
mod proof;
mod quiet;
mod scene;
mod trims;

use crate::harness::test::Test;

/// All of them.
pub(crate) const TESTS: &[&[Test]] = &[
    trims::TESTS,
    proof::TESTS,
    bystander::TESTS,
    discards::TESTS,
    guest::TESTS,
    neighbours::TESTS,
    locks::TESTS,
    quiet::TESTS,
];
