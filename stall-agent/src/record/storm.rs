//! The same again: how often an incident of one kind is kept whole. Pure.
//!
//! Contract: of incidents with one fingerprint one is kept whole, and those within the back-off after it are counted; the back-off
//! doubles with each, and is halved by each hour of quiet.

use std::collections::{BTreeMap, VecDeque};

const MINUTE_NS: u64 = 60_000_000_000;
const HOUR_NS: u64 = 60 * MINUTE_NS;
/// The first back-off, and the longest.
const LEAST_NS: u64 = 10 * MINUTE_NS;
const MOST_NS: u64 = 3 * HOUR_NS;
/// Kept whole in a day.
const MOST_A_DAY: usize = 20;
/// Fingerprints known, those seen last.
const MOST_KNOWN: usize = 256;

/// What becomes of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// With its capture.
    Whole,
    /// As a line.
    Line,
}

#[derive(Clone, Debug)]
struct Known {
    whole_ns: u64,
    last_ns: u64,
    back_off_ns: u64,
    count: u64,
}

impl Known {
    const fn back_off_at(&self, now_ns: u64) -> u64 {
        let quiet_hours = now_ns.saturating_sub(self.last_ns) / HOUR_NS;
        if quiet_hours < 64 {
            self.back_off_ns >> quiet_hours
        } else {
            0
        }
    }

    const fn is_soon(&self, now_ns: u64) -> bool {
        self.count > 0
            && now_ns.saturating_sub(self.last_ns) < self.back_off_at(now_ns)
            && now_ns.saturating_sub(self.whole_ns) < MOST_NS
    }
}

/// What was kept so far.
#[derive(Debug, Default)]
pub struct Storms {
    known: BTreeMap<String, Known>,
    whole: VecDeque<u64>,
}

impl Storms {
    /// Decides on one that ended at `now_ns`. The second is how many of its fingerprint there have been since the last that was kept
    /// whole, with it.
    pub fn decide(&mut self, fingerprint: &str, now_ns: u64) -> (Keep, u64) {
        while let Some(first) = self.whole.front()
            && now_ns.saturating_sub(*first) >= 24 * HOUR_NS
        {
            self.whole.pop_front();
        }
        let is_full = self.whole.len() >= MOST_A_DAY;
        let known = self.known.entry(fingerprint.to_owned()).or_insert(Known {
            whole_ns: 0,
            last_ns: 0,
            back_off_ns: 0,
            count: 0,
        });
        let is_soon = known.is_soon(now_ns);
        known.back_off_ns = known.back_off_at(now_ns);
        known.last_ns = now_ns;
        known.back_off_ns = (2 * known.back_off_ns).clamp(LEAST_NS, MOST_NS);
        let keep = if is_soon || is_full {
            known.count += 1;
            Keep::Line
        } else {
            (known.whole_ns, known.count) = (now_ns, 1);
            self.whole.push_back(now_ns);
            Keep::Whole
        };
        let count = known.count;
        self.forget();
        (keep, count)
    }

    /// Whether one that ended now would be counted only, for it was there just before.
    #[must_use]
    pub fn is_known(&self, fingerprint: &str, now_ns: u64) -> bool {
        let known = self.known.get(fingerprint);
        known.is_some_and(|known| known.is_soon(now_ns))
    }

    fn forget(&mut self) {
        while self.known.len() > MOST_KNOWN {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.last_ns);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes at which one comes, and those at which it is kept whole.
    fn whole(minutes: impl IntoIterator<Item = u64>, name: impl Fn(u64) -> String) -> Vec<u64> {
        let mut storms = Storms::default();
        let minutes = minutes.into_iter().map(|minute| minute + 1_000);
        let kept = minutes
            .filter(|minute| storms.decide(&name(*minute), minute * MINUTE_NS).0 == Keep::Whole);
        kept.map(|minute| minute - 1_000).collect()
    }

    fn same(_: u64) -> String {
        "same".to_owned()
    }

    #[test]
    fn ten_equal_ones_in_an_hour_are_one_and_nine_counted() {
        let mut storms = Storms::default();
        let all: Vec<_> = (0..10)
            .map(|index| storms.decide("same", HOUR_NS + index * 6 * MINUTE_NS))
            .collect();
        assert_eq!(all[0], (Keep::Whole, 1));
        for (index, one) in all.iter().enumerate().skip(1) {
            assert_eq!(*one, (Keep::Line, index as u64 + 1));
        }
    }

    #[test]
    fn one_that_comes_each_week_day_or_hour_is_kept_each_time() {
        let week = 7 * 24 * 60;
        assert_eq!(whole([0, week, 2 * week], same).len(), 3);
        assert_eq!(whole((0..5).map(|day| day * 24 * 60), same).len(), 5);
        assert_eq!(whole((0..5).map(|hour| hour * 61), same).len(), 5);
    }

    #[test]
    fn one_that_does_not_stop_is_kept_every_three_hours() {
        let all = whole((0..24 * 60).step_by(8), same);
        assert!(all.len() <= 9 && all.len() >= 7, "{all:?}");
        assert!(
            all.windows(2).all(|pair| pair[1] - pair[0] >= 180),
            "{all:?}"
        );
    }

    #[test]
    fn no_more_than_twenty_a_day_however_different() {
        let all = whole((0..2 * 24 * 60).step_by(7), |minute| minute.to_string());
        let first = all.iter().filter(|minute| **minute < 24 * 60).count();
        assert_eq!((first, all.len()), (MOST_A_DAY, 2 * MOST_A_DAY));
    }
}
