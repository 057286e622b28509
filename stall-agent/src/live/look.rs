//! What a view is given of a run: a capture so far, and when it began and will end.

use std::time::{Duration, Instant};

use stall_capture::Capture;

/// What there is so far.
pub struct Look {
    /// Without names for stacks and control groups, which take long to look up.
    pub capture: Capture,
    /// Addresses of its stacks.
    pub stacks: Vec<Vec<u64>>,
}

/// When the window was opened, and when it closes by itself.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub began: Instant,
    pub end: Option<Instant>,
}

/// The same, told at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) elapsed: Duration,
    /// `None` is until somebody ends it.
    pub(super) left: Option<Duration>,
}

impl Times {
    pub(super) fn at(&self, now: Instant) -> Told {
        let left = self.end.map(|end| end.saturating_duration_since(now));
        Told {
            elapsed: now.saturating_duration_since(self.began),
            // What is left is told in whole seconds: it is over when none is.
            left: left.map(|left| Duration::from_secs(left.as_secs_f64().ceil() as u64)),
        }
    }
}

impl Told {
    /// Part of the window that is over.
    pub(super) fn part(&self) -> Option<f64> {
        let whole = self.elapsed + self.left?;
        Some(self.elapsed.as_secs_f64() / whole.as_secs_f64().max(1e-9))
    }

    /// Until a clock that shows whole seconds shows another one.
    pub(super) fn until_next_second(&self) -> Duration {
        Duration::from_secs(1) - Duration::from_nanos(self.elapsed.subsec_nanos().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_seconds() {
        let began = Instant::now();
        let times = Times {
            began,
            end: Some(began + Duration::from_secs(60)),
        };
        let told = times.at(began + Duration::from_millis(14_250));
        assert_eq!(told.left, Some(Duration::from_secs(46)));
        assert_eq!(told.until_next_second(), Duration::from_millis(750));
        assert!((told.part().unwrap() - 0.2375).abs() < 0.01);
        let over = times.at(began + Duration::from_secs(99));
        assert_eq!((over.left, over.part()), (Some(Duration::ZERO), Some(1.0)));
        let endless = Times { end: None, ..times };
        assert_eq!(endless.at(began).part(), None);
    }
}
