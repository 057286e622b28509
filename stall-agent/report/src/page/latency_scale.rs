//! A logarithmic scale of latencies, for the wide buckets of the intervals' counts.

use stall_common::histogram::{WIDE, wide_bounds};

/// Below this nothing is distinguished.
const LEAST_NS: f64 = 512.0;

/// From the lower end of one bucket to the upper end of another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LatencyScale {
    low_ns: f64,
    high_ns: f64,
}

impl LatencyScale {
    /// One on which all of these have room, with some around them; of none, 1 ms to 100 ms.
    pub(super) fn around(latencies: impl Iterator<Item = u64>) -> Self {
        let (mut low_ns, mut high_ns) = (f64::MAX, 0.0f64);
        for ns in latencies {
            low_ns = low_ns.min(ns as f64);
            high_ns = high_ns.max(ns as f64);
        }
        if high_ns == 0.0 {
            (low_ns, high_ns) = (1e6, 1e8);
        }
        Self {
            low_ns: (low_ns / 1.5).max(LEAST_NS),
            high_ns: (high_ns * 1.5).max(LEAST_NS * 4.0),
        }
    }

    /// 0 at the lower end, 1 at the upper.
    pub(super) fn place(self, ns: f64) -> f64 {
        let part = (ns.max(1.0) / self.low_ns).ln() / (self.high_ns / self.low_ns).ln();
        part.clamp(0.0, 1.0)
    }

    /// Powers of ten on it.
    pub(super) fn decades(self) -> impl Iterator<Item = u64> {
        let decades = (3..13).map(|exponent| 10u64.pow(exponent));
        decades.filter(move |ns| (self.low_ns..self.high_ns).contains(&(*ns as f64)))
    }
}

/// Bounds of a bucket, also of one that there is not.
pub(super) fn bounds(bucket: u8) -> (u64, u64) {
    wide_bounds(usize::from(bucket).min(WIDE - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_factor_has_the_same_room() {
        let scale = LatencyScale::around([10_000, 10_000_000].into_iter());
        let (low, middle, high) = (scale.place(1e4), scale.place(316_227.766), scale.place(1e7));
        assert!((middle - f64::midpoint(low, high)).abs() < 1e-6);
        assert!(low > 0.0 && high < 1.0);
        assert_eq!(
            scale.decades().collect::<Vec<_>>(),
            [10_000, 100_000, 1_000_000, 10_000_000]
        );
    }

    #[test]
    fn ends_are_ends() {
        let scale = LatencyScale::around(std::iter::empty());
        assert_eq!((scale.place(0.0), scale.place(1e18)), (0.0, 1.0));
        assert_eq!(bounds(255), bounds(65));
    }
}
