//! What was not measured, by cause; causes that did not happen are there with 0.

use std::collections::BTreeMap;

use anyhow::Result;
use stall_common::loss::Loss as Cause;

use super::maps::Maps;
use stall_capture::Loss;

/// Losses that user space itself counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Records that made no sense.
    pub undecodable_records: u64,
    /// Recorded requests and sleeps beyond what a capture keeps; the longest are kept.
    pub records_not_kept: u64,
    /// Processes whose names could not be had.
    pub names_given_up: u64,
    /// Requests that seemed unfinished at the end of a disk with none in flight.
    pub missed_completions: u64,
    /// Sleeps at the end whose beginning turned out to be of an earlier one.
    pub missed_wakeups: u64,
    /// Stacks without names because the kernel hides its addresses.
    pub stacks_without_symbols: u64,
    /// Looks at the tasks in D that failed.
    pub task_iterations_failed: u64,
    /// Runs of our programs the kernel skipped.
    pub recursion_misses: u64,
    /// Parts of the run that panicked, whose findings are missing.
    pub internal_errors: u64,
}

/// What the programs counted, by cause.
pub type Kernels = BTreeMap<&'static str, u64>;

/// Reads what the programs counted.
///
/// # Errors
///
/// When the kernel refuses to read the map.
pub fn kernels(maps: &Maps) -> Result<Kernels> {
    let counts = Cause::ALL.iter().map(|cause| {
        let count = maps.losses.get(&(*cause as u32), 0)?;
        Ok((cause.name(), count))
    });
    counts.collect()
}

/// Every cause with its count.
#[must_use]
pub fn rows(kernels: &Kernels, own: &Own) -> Vec<Loss> {
    let mut rows = Vec::new();
    for cause in Cause::ALL {
        let extra = match cause {
            Cause::MissedWakeup => own.missed_wakeups,
            Cause::MissedCompletion => own.missed_completions,
            _ => 0,
        };
        let count = kernels.get(cause.name()).copied().unwrap_or(0) + extra;
        rows.push((cause.name(), count));
    }
    let Own {
        undecodable_records,
        records_not_kept,
        names_given_up,
        missed_completions: _,
        missed_wakeups: _,
        stacks_without_symbols,
        task_iterations_failed,
        recursion_misses,
        internal_errors,
    } = *own;
    rows.extend([
        ("program_recursion_misses", recursion_misses),
        ("undecodable_records", undecodable_records),
        ("records_not_kept", records_not_kept),
        ("names_given_up", names_given_up),
        ("stacks_without_symbols", stacks_without_symbols),
        ("task_iterations_failed", task_iterations_failed),
        ("internal_errors", internal_errors),
    ]);
    let rows = rows.into_iter().map(|(cause, count)| Loss {
        cause: cause.to_owned(),
        count,
    });
    rows.collect()
}
