//! CLOCK_MONOTONIC, the one clock of every log here and of the kernel's block layer.
//!
//! Contract: times are nanoseconds since boot (without suspend), `sleep_until` never returns early.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

const NS_PER_S: u64 = 1_000_000_000;

/// The longest spin at the end of a sleep.
const MOST_LATE_NS: u64 = 100_000;

/// Now, in nanoseconds of CLOCK_MONOTONIC.
pub fn monotonic_ns() -> u64 {
    let now = ClockId::CLOCK_MONOTONIC
        .now()
        .expect("CLOCK_MONOTONIC exists on every Linux");
    Duration::from(now).as_nanos() as u64
}

/// Sleeps to an absolute moment; as exact as the thread's timer slack.
pub fn sleep_until(deadline_ns: u64) {
    let deadline = Duration::new(
        deadline_ns / NS_PER_S,
        (deadline_ns % NS_PER_S) as u32, // below 1e9
    )
    .into();
    while monotonic_ns() < deadline_ns {
        // An error is an interrupted sleep: the loop looks at the clock again.
        let _ = clock_nanosleep(
            ClockId::CLOCK_MONOTONIC,
            ClockNanosleepFlags::TIMER_ABSTIME,
            &deadline,
        );
    }
}

/// Sleeps that end on time in the middle, not at the best: it learns how late the machine wakes
/// it, asks for that much less, and spins what is left.
#[derive(Debug, Default)]
pub struct Sleeper {
    /// Running mean of how late a wake-up is.
    late_ns: AtomicU64,
}

impl Sleeper {
    /// Sleeps to an absolute moment, never returns early.
    pub fn until(&self, deadline_ns: u64) {
        let late = self.late_ns.load(Ordering::Relaxed);
        let asked = deadline_ns.saturating_sub(late);
        if monotonic_ns() < asked {
            sleep_until(asked);
            self.learn(late, monotonic_ns() - asked);
        }
        while monotonic_ns() < deadline_ns {
            std::hint::spin_loop();
        }
    }

    fn learn(&self, mean: u64, seen: u64) {
        let next = (mean * 15 + seen.min(MOST_LATE_NS)) / 16;
        // A sample lost to another thread's does not matter.
        self.late_ns.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_is_never_early_and_learns_within_bounds() {
        let sleeper = Sleeper::default();
        for _ in 0..20 {
            let deadline = monotonic_ns() + 300_000;
            sleeper.until(deadline);
            assert!(monotonic_ns() >= deadline);
        }
        assert!(sleeper.late_ns.load(Ordering::Relaxed) <= MOST_LATE_NS);
    }

    #[test]
    fn sleep_until_is_never_early() {
        let deadline = monotonic_ns() + 2_000_000;
        sleep_until(deadline);
        assert!(monotonic_ns() >= deadline);
    }

    #[test]
    fn a_moment_in_the_past_does_not_sleep() {
        let start = monotonic_ns();
        sleep_until(start.saturating_sub(NS_PER_S));
        assert!(monotonic_ns() - start < NS_PER_S);
    }
}
