//! The same scene with other random numbers: which round is played.
//!
//! Contract: one test at a time sets it; what a round draws is the same each time it is played.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names the variable that says how many rounds are played.
const ROUNDS: &str = "STALL_ROUNDS";
const USUAL: u64 = 1;
/// Seeds of one round lie closer together.
const STEP: u64 = 1_000;

static ROUND: AtomicU64 = AtomicU64::new(0);

/// How many are wanted.
pub(crate) fn wanted() -> u64 {
    let asked = std::env::var(ROUNDS).ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(USUAL)
}

/// From here on, this one is played; the first is 0.
pub(crate) fn begin(round: u64) {
    ROUND.store(round, Ordering::Relaxed);
}

/// The seed of this round for what has a seed of its own.
pub(crate) fn seed(own: u64) -> u64 {
    ROUND.load(Ordering::Relaxed) * STEP + own
}
