//! How often is judged: when the last judgement is done, and for a small part of one CPU's time at most.

use std::time::{Duration, Instant};

/// One part in so many of the time.
const PART: u32 = 20;

/// When the next one may begin.
#[derive(Debug, Default)]
pub(super) struct Pace {
    busy: bool,
    not_before: Option<Instant>,
}

impl Pace {
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        !self.busy && self.not_before.is_none_or(|time| time <= now)
    }

    pub(super) fn begin(&mut self) {
        self.busy = true;
    }

    /// It took so long in all.
    pub(super) fn done(&mut self, now: Instant, took: Duration) {
        self.busy = false;
        self.not_before = Some(now + took * (PART - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_comes_less_often() {
        let mut pace = Pace::default();
        let now = Instant::now();
        assert!(pace.is_ready(now));
        pace.begin();
        assert!(!pace.is_ready(now + Duration::from_secs(100)));
        pace.done(now, Duration::from_millis(100));
        assert!(!pace.is_ready(now + Duration::from_millis(1_899)));
        assert!(pace.is_ready(now + Duration::from_millis(1_900)));
    }
}
