//! Numbers of the agent held against the truth.

use std::ops::Range;

use anyhow::{Result, ensure};

use super::notes::note;

/// Two numbers that were to be near each other are not. It takes a busy machine to bring the like about as well as a fault: a witness
/// that waits for a CPU tells another time. So such a test is repeated; a fault is there again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Apart(String);

/// An error that names both numbers, unless they are the same.
pub(crate) fn same(what: &str, seen: u64, truth: u64) -> Result<()> {
    note!("{what}: {seen} (truth {truth})");
    ensure!(
        seen == truth,
        "{what}: the agent says {seen}, the truth is {truth}"
    );
    Ok(())
}

/// An error that names all numbers, unless the first is within `share` of the truth, or `slack`.
pub(crate) fn close(what: &str, seen: u64, truth: u64, share: f64, slack: u64) -> Result<()> {
    let allowed = (truth as f64 * share) as u64 + slack;
    note!("{what}: {seen} (truth {truth} +- {allowed})");
    ensure!(
        seen.abs_diff(truth) <= allowed,
        Apart(format!(
            "{what}: the agent says {seen}, the truth is {truth} +- {allowed}"
        ))
    );
    Ok(())
}

/// An error that names all numbers, unless the first is within the bounds.
pub(crate) fn between(what: &str, seen: u64, bounds: &Range<u64>) -> Result<()> {
    note!("{what}: {seen} (within {bounds:?})");
    ensure!(
        bounds.contains(&seen),
        Apart(format!(
            "{what}: the agent says {seen}, which is not within {bounds:?}"
        ))
    );
    Ok(())
}
