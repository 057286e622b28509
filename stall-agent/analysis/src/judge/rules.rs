//! The judge's constants. Where each comes from, and what happens when it is a third larger or smaller, is in
//! `docs/principles.md`.

/// What a request takes to be slow when nobody asked for another limit (`--slow`).
pub(super) const SLOW_DEFAULT_NS: u64 = 10_000_000;
/// A disk with platters takes that long for a seek and a queue of a few requests; below it a request is not slow there.
pub(super) const SLOW_ROTATIONAL_NS: u64 = 50_000_000;
/// Nobody notices less: an episode costs some workload at least this part of the window, within these bounds.
pub(super) const TOLD_SHARE: f64 = 0.02;
pub(super) const TOLD_LEAST_NS: u64 = 150_000_000;
pub(super) const TOLD_MOST_NS: u64 = 500_000_000;
/// A cause accounts for at least this part of the waiting to be the cause.
pub(super) const CAUSE: f64 = 0.5;
/// A further culprit is named from this part on.
pub(super) const FURTHER: f64 = 0.25;
/// A program or unit is named in place of one of its processes when that has less than this part of its share.
pub(super) const OF_GROUP: f64 = 0.8;
/// Share for high confidence.
pub(super) const SURE: f64 = 0.7;
/// Slow requests, and separate tenths of a second with some, for high confidence.
pub(super) const MANY_REQUESTS: f64 = 10.0;
pub(super) const MANY_MOMENTS: usize = 3;
/// What of a window's length a task sleeps before it is asked why.
pub(super) const BLOCKED_SHARE: f64 = 0.2;
pub(super) const BLOCKED_NS: u64 = 1_000_000_000;
/// Requests account for a task's sleep when they took at least this part of it.
pub(super) const EXPLAINED: f64 = 0.5;
/// A request that has not ended for this long hangs, when nothing else ended meanwhile.
pub(super) const HANG_NS: u64 = 1_000_000_000;
/// A task falls asleep for a request this shortly before or after it is submitted.
pub(super) const ASLEEP_NS: u64 = 100_000_000;
/// Rates of waiting with discards in flight against without, inside the trim's run.
pub(super) const CONTRAST: f64 = 3.0;
/// Below this ratio discards did nothing.
pub(super) const NO_CONTRAST: f64 = 1.5;
/// Waiting outside of the trim's run, against inside, as rates: above this part something else is slow as well.
pub(super) const OUTSIDE: f64 = 0.5;
/// Of the waiting within the trim's run, the part that there must be something to compare with.
pub(super) const FREE_SHARE: f64 = 0.05;
/// Part of the requests that met a discard that are slow, when discards are what slows them.
pub(super) const CONSISTENT: f64 = 0.8;
/// Below this part they have nothing to do with it.
pub(super) const RARELY: f64 = 0.3;
/// Who accounts for less than this part of what was waited is told as innocent.
pub(super) const INNOCENT: f64 = 0.1;
/// A gap shorter than this does not end an episode.
pub(super) const GAP_NS: u64 = 2_000_000_000;
/// Without a CPU for this part of the time a virtual machine is slow.
pub(super) const CPU_SHARE: f64 = 0.2;
/// `no_stall` is sure when no workload spent more than this part of the window waiting for storage in a way that no
/// request shows.
pub(super) const CALM_SHARE: f64 = 0.05;
/// A window shorter than this is judged at low confidence.
pub(super) const SHORT_WINDOW_NS: u64 = 5_000_000_000;
/// Lost requests, records or sleeps from this part on lower the confidence by one level, and from the second to low.
pub(super) const SOME_LOSS: f64 = 0.01;
pub(super) const MUCH_LOSS: f64 = 0.10;
