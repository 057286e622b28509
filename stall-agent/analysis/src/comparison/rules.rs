//! The numbers of section K of `docs/principles.md`.

/// K2: the suspect is gone when its use is at most this part of what it was; so is anybody else (K4).
pub(super) const GONE: f64 = 0.10;

/// K4: the shortest window, and the fewest intervals.
pub(super) const SHORT_WINDOW_NS: u64 = 5_000_000_000;
pub(super) const LEAST_INTERVALS: usize = 5;
/// K4: requests lost, as a share of all.
pub(super) const LOSS: f64 = 0.01;
/// K4: slow requests of the others before, all of them after, and the part of the slow ones in flows there are after.
pub(super) const LEAST_SLOW: u64 = 5;
pub(super) const LEAST_OPS: u64 = 20;
pub(super) const COVERED: f64 = 0.5;
/// K4: part of the load that must still be there.
pub(super) const LEAST_LOAD: f64 = 0.5;
/// K4: how many times larger requests may be on average; smaller, the inverse.
pub(super) const LARGER: f64 = 2.0;
/// K4: part of the others' load from which one of them counts by itself.
pub(super) const LARGE_USER: f64 = 0.20;

/// K5: both intervals of the relative risk must end here or below.
pub(super) const RISK: f64 = 0.5;

/// K3: the most batches.
pub(super) const MOST_BATCHES: usize = 20;
