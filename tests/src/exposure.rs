//! Was it the discard? What requests took with and without another kind of operation in flight.
//!
//! Contract: pure. A request is exposed when it overlaps the culprit's time at all. The excess is
//! what would not have been waited: exposed count times the difference of the means.

use std::ops::Range;

use crate::intervals::{covered, length, percentile};

/// The requests of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    latencies_ns: Vec<u64>,
}

impl Side {
    /// How many.
    pub fn count(&self) -> usize {
        self.latencies_ns.len()
    }

    /// How many took at least so long.
    pub fn slow(&self, bound_ns: u64) -> usize {
        self.latencies_ns
            .iter()
            .filter(|ns| **ns >= bound_ns)
            .count()
    }

    /// Their time together.
    pub fn total_ns(&self) -> u64 {
        self.latencies_ns.iter().sum()
    }

    /// Their mean; `None` of nothing.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.total_ns() as f64 / self.count() as f64)
    }

    /// A percentile, 0 to 100; `None` of nothing.
    pub fn percentile_ns(&self, percent: f64) -> Option<u64> {
        percentile(&self.latencies_ns, percent)
    }
}

/// Both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    pub exposed: Side,
    pub unexposed: Side,
}

impl Exposure {
    /// Sorts a victim's requests by whether the culprit (disjoint spans in order) was there.
    pub fn of(requests: impl IntoIterator<Item = Range<u64>>, culprit: &[Range<u64>]) -> Self {
        let mut exposure = Self::default();
        for request in requests {
            let side = match covered(&request, culprit) {
                0 => &mut exposure.unexposed,
                _ => &mut exposure.exposed,
            };
            side.latencies_ns.push(length(&request));
        }
        exposure
    }

    /// The time that would not have been waited; `None` without both sides.
    pub fn excess_ns(&self) -> Option<f64> {
        let difference = self.exposed.mean_ns()? - self.unexposed.mean_ns()?;
        Some(difference * self.exposed.count() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_and_excess() {
        let culprit = [100..200, 300..400];
        let requests = [0..10, 90..110, 150..200, 200..210, 395..425];
        let exposure = Exposure::of(requests, &culprit);
        assert_eq!(exposure.exposed.count(), 3);
        assert_eq!(exposure.unexposed.total_ns(), 20);
        assert_eq!(exposure.exposed.percentile_ns(50.0), Some(30));
        assert_eq!(exposure.exposed.slow(30), 2);
        assert_eq!(exposure.excess_ns(), Some(100.0 - 3.0 * 10.0));
    }

    #[test]
    fn one_side_alone_tells_no_excess() {
        let (requests, culprit) = ([5..6, 7..8], [0..2, 4..10]);
        assert_eq!(Exposure::of(requests.clone(), &culprit).excess_ns(), None);
        assert_eq!(Exposure::of(requests, &[]).excess_ns(), None);
    }
}
