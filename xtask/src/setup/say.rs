//! What set-up says.

use crate::process;

/// Begins each line about what set-up does.
pub(crate) const MARK: &str = "setup: ";

/// One line about what set-up does.
pub(crate) fn say(message: &str) {
    process::say(&format!("{MARK}{message}"));
}
