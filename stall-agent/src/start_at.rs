//! When a trace begins: at once, or at a moment that several nodes know without talking to each other.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::failure::Failure;

const OPTION: &str = "--start-at";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The clock may be set meanwhile: it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// As `--start-at` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// `/10s`: the next time at which the seconds since 1970 are a multiple.
    Every(Duration),
    /// `2026-11-30T20:00:00Z`
    Moment(SystemTime),
}

impl StartAt {
    /// Reads what was typed; `now` is the wall clock.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`]: it is neither, or that moment is not within the next day.
    pub fn new(text: &str, now: SystemTime) -> Result<Self, Failure> {
        let usage = |problem: &str| Failure::Usage(format!("{OPTION} {text} {problem}"));
        if let Some(every) = text.strip_prefix('/') {
            let Ok(every) = humantime::parse_duration(every) else {
                return Err(usage("is not a time: write it as /10s or /1m"));
            };
            if every.is_zero() || every > HOUR || every.subsec_nanos() > 0 {
                return Err(usage("has to be whole seconds, from /1s to /1h"));
            }
            return Ok(Self::Every(every));
        }
        let Ok(moment) = humantime::parse_rfc3339(text) else {
            return Err(usage("is neither like /10s nor like 2026-11-30T20:00:00Z"));
        };
        match moment.duration_since(now) {
            Err(_) => Err(usage("has passed")),
            Ok(left) if left > DAY => Err(usage("is more than a day from now")),
            Ok(_) => Ok(Self::Moment(moment)),
        }
    }

    /// The moment, as seen from now.
    #[must_use]
    pub fn moment(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Moment(moment) => moment,
            Self::Every(every) => {
                let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
                let every = every.as_secs().max(1);
                let next = (since.as_secs() / every + 1) * every;
                UNIX_EPOCH + Duration::from_secs(next)
            }
        }
    }
}

/// Sleeps until the wall clock shows this. A signal ends the process: nothing is attached yet.
pub fn wait_until(moment: SystemTime) {
    while let Ok(left) = moment.duration_since(SystemTime::now()) {
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK_AGAIN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn nodes_that_start_within_the_same_stretch_begin_together() {
        let now = at(1_796_000_003);
        let every = StartAt::new("/10s", now).unwrap();
        for seconds in [1_796_000_000, 1_796_000_003, 1_796_000_009] {
            assert_eq!(every.moment(at(seconds)), at(1_796_000_010));
        }
        let minute = StartAt::new("/1m", now).unwrap().moment(now);
        assert_eq!(minute.duration_since(now).unwrap().as_secs(), 37);
    }

    #[test]
    fn what_makes_no_sense_has_its_own_sentence() {
        let now = humantime::parse_rfc3339("2026-11-30T20:00:00Z").unwrap();
        let said = |text| StartAt::new(text, now).unwrap_err().to_string();
        assert!(said("/0s").contains("whole seconds"), "{}", said("/0s"));
        assert!(said("/100ms").contains("whole seconds"));
        assert!(said("/soon").contains("write it as /10s"));
        assert!(said("10s").contains("neither like /10s nor"));
        assert!(said("2026-11-30T19:59:59Z").contains("has passed"));
        assert!(said("2026-12-05T00:00:00Z").contains("more than a day"));
        let later = "2026-11-30T20:00:01Z";
        let moment = StartAt::new(later, now).unwrap().moment(now);
        assert_eq!(moment, humantime::parse_rfc3339(later).unwrap());
    }
}
