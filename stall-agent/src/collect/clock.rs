//! The clocks of the window.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock of `bpf_ktime_get_ns`.
#[must_use]
pub fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC).unsigned_abs()
}

/// Nanoseconds of `CLOCK_BOOTTIME`, the clock of processes' starts.
#[must_use]
pub fn boottime_ns() -> u64 {
    read(ClockId::CLOCK_BOOTTIME).unsigned_abs()
}

/// Nanoseconds since the epoch.
#[must_use]
pub fn realtime_ns() -> i64 {
    read(ClockId::CLOCK_REALTIME)
}

/// These three clocks exist on every kernel this runs on (clock_gettime(2)), so there is no error
/// to tell; 0 stands for one all the same.
fn read(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |time| {
        time.tv_sec()
            .saturating_mul(1_000_000_000)
            .saturating_add(time.tv_nsec())
    })
}
