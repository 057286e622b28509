//! How often is judged: when the last judgement is done, and for a small part of one CPU's time at most.

use std::time::{Duration, Instant};

/// When the next one may begin.
#[derive(Debug)]
pub(crate) struct Pace {
    /// One part in so many of the time.
    part: u32,
    /// And at least as often as this, whatever that takes.
    most: Duration,
    busy: bool,
    not_before: Option<Instant>,
}

impl Pace {
    pub(crate) const fn of(part: u32, most: Duration) -> Self {
        Self {
            part,
            most,
            busy: false,
            not_before: None,
        }
    }

    pub(crate) fn is_ready(&self, now: Instant) -> bool {
        !self.busy && self.not_before.is_none_or(|time| time <= now)
    }

    pub(crate) fn begin(&mut self) {
        self.busy = true;
    }

    /// It took so long in all.
    pub(crate) fn done(&mut self, now: Instant, took: Duration) {
        self.busy = false;
        self.not_before = Some(now + (took * (self.part - 1)).min(self.most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_comes_less_often() {
        let mut pace = Pace::of(20, Duration::from_secs(60));
        let now = Instant::now();
        assert!(pace.is_ready(now));
        pace.begin();
        assert!(!pace.is_ready(now + Duration::from_secs(100)));
        pace.done(now, Duration::from_millis(100));
        assert!(!pace.is_ready(now + Duration::from_millis(1_899)));
        assert!(pace.is_ready(now + Duration::from_millis(1_900)));
        pace.done(now, Duration::from_secs(10));
        assert!(pace.is_ready(now + Duration::from_secs(60)));
    }
}
