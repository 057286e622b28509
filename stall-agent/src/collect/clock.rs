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

/// Whether `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` are here what they are to the kernel: in a time namespace they may be ahead
/// or behind, and `/proc` with them, while the programs' stamps are not.
#[must_use]
pub fn matches_kernel() -> bool {
    // Kernels without such namespaces have no such file.
    let offsets = std::fs::read_to_string("/proc/self/timens_offsets");
    offsets.map_or(true, |text| are_none(&text))
}

/// `monotonic  86400  0`, in seconds and nanoseconds.
fn are_none(offsets: &str) -> bool {
    let mut lines = offsets.lines();
    lines.all(|line| line.split_whitespace().skip(1).all(|it| it == "0"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_of_any_clock_is_one() {
        assert!(are_none(
            "monotonic           0         0\nboottime            0         0\n"
        ));
        assert!(!are_none(
            "monotonic           0         0\nboottime        86400         0\n"
        ));
        assert!(!are_none(
            "monotonic           0        -5\nboottime            0         0\n"
        ));
        assert!(are_none(""));
    }
}
