//! What tests say they measured, to whoever asked for it.

use std::sync::atomic::{AtomicBool, Ordering};

static NOTES: AtomicBool = AtomicBool::new(false);

/// From here on, tests say what they measured.
pub(crate) fn want_notes() {
    NOTES.store(true, Ordering::Relaxed);
}

/// Whether tests say what they measured.
pub(crate) fn notes_are_wanted() -> bool {
    NOTES.load(Ordering::Relaxed)
}

/// Says something to whoever asked for it with `--nocapture`.
macro_rules! note {
    ($($text:tt)+) => {
        if $crate::harness::notes::notes_are_wanted() {
            eprintln!("    {}", format_args!($($text)+));
        }
    };
}
pub(crate) use note;
