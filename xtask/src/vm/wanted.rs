//! What is wanted of machines.

use std::time::Duration;

/// What is wanted of each machine.
pub(crate) struct Wanted {
    /// `all`, `short`, or parts of checks' names, with `-` for blanks and `,` between two.
    pub(crate) checks: String,
    /// For its checks; those that do not get their turn are skipped.
    pub(crate) within: Duration,
}

/// All checks, and time for a machine whose host is busy.
pub(crate) const ALL: &str = "all";
