//! Percentiles of a histogram with distribution-free intervals.
//!
//! The number of requests at or below the true quantile is binomial, so that two order statistics enclose it with a
//! probability that needs no distribution (Conover, Practical Nonparametric Statistics, 3rd ed. 1999, section 3.2; David and
//! Nagaraja, Order Statistics, 3rd ed. 2003, section 7.1). Of an order statistic the bucket is known: the interval reaches
//! from the lower bound of the lower one's to the upper bound of the upper one's.

use stall_common::histogram::{BUCKETS, bounds, middle};

use super::model::{Quantile, QuantileEstimate};
use crate::number::significant;
use stall_capture::Histogram;

/// Two-sided, of one side.
const LEVEL: f64 = 0.95;
/// Of each side when both must hold: the sides are independent, and 0.974679 squared is 0.95.
const LEVEL_OF_BOTH: f64 = 0.974_679_434_480_896_3;
/// The normal distribution's, of both levels.
const Z: f64 = 1.959_963_984_540_054;
const Z_OF_BOTH: f64 = 2.236_476_644_557_789_5;
/// Weights below this part of the largest are left out of a binomial distribution.
const NEGLIGIBLE: f64 = 1e-18;

/// A percentile before and after.
pub(super) fn quantile(per_mille: u32, before: &Histogram, after: &Histogram) -> Quantile {
    let sides = [before, after].map(Counts::new);
    let [before, after] = sides.each_ref().map(|side| side.estimate(per_mille, LEVEL));
    let [one, other] = sides
        .each_ref()
        .map(|side| side.estimate(per_mille, LEVEL_OF_BOTH));
    Quantile {
        per_mille,
        ratio: ratio(after.value_ns, before.value_ns),
        low: ratio(other.low_ns, one.high_ns),
        high: ratio(other.high_ns, one.low_ns),
        before,
        after,
    }
}

fn ratio(above: Option<u64>, below: Option<u64>) -> Option<f64> {
    let below = below.filter(|ns| *ns > 0)?;
    Some(significant(above? as f64 / below as f64))
}

/// From so many requests on the normal approximation is exact enough: it is off by less than one rank in ten thousand.
const MANY: u64 = 10_000_000;

/// Filled buckets in order.
struct Counts {
    buckets: Vec<(usize, u64)>,
    total: u64,
}

impl Counts {
    fn new(histogram: &Histogram) -> Self {
        let mut all = vec![0u64; BUCKETS];
        for (bucket, count) in &histogram.0 {
            let index = usize::from(*bucket).min(BUCKETS - 1);
            all[index] = all[index].saturating_add(*count);
        }
        let filled = all.into_iter().enumerate().filter(|(_, count)| *count > 0);
        let buckets: Vec<(usize, u64)> = filled.collect();
        let total = buckets
            .iter()
            .fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
        Self { buckets, total }
    }

    fn estimate(&self, per_mille: u32, level: f64) -> QuantileEstimate {
        let wanted = (u128::from(self.total) * u128::from(per_mille)).div_ceil(1_000);
        let (lower, upper) = ranks(self.total, f64::from(per_mille) / 1_000.0, level);
        let bucket = |rank: Option<u64>| rank.and_then(|rank| self.bucket_of(rank));
        QuantileEstimate {
            ops: self.total,
            value_ns: self
                .bucket_of(u64::try_from(wanted).unwrap_or(self.total))
                .map(middle),
            low_ns: if self.total == 0 {
                None
            } else {
                Some(bucket(lower).map_or(0, |index| bounds(index).0))
            },
            high_ns: bucket(upper).map(|index| bounds(index).1),
        }
    }

    /// The bucket with the request of this rank, from 1.
    fn bucket_of(&self, rank: u64) -> Option<usize> {
        let mut seen = 0u64;
        let found = self.buckets.iter().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen >= rank
        });
        found.map(|(index, _)| *index)
    }
}

/// Ranks of the order statistics that enclose the quantile `share` of `count` at this level; `None` where there is no
/// such request. At most half of what the level leaves lies beyond either.
fn ranks(count: u64, share: f64, level: f64) -> (Option<u64>, Option<u64>) {
    let tail = (1.0 - level) / 2.0;
    if count >= MANY {
        return ranks_of_many(count as f64, share, level);
    }
    let (first, weights) = binomial(count, share);
    let mut below = 0.0;
    // The quantile lies below the request of rank r when fewer than r are at or below it: P(K < r) = P(K <= r - 1).
    let mut lower = first;
    let mut upper = None;
    for (offset, weight) in weights.iter().enumerate() {
        let k = first + offset as u64;
        below += weight;
        if below <= tail {
            lower = k + 1;
        }
        if upper.is_none() && below >= 1.0 - tail {
            upper = Some(k + 1);
        }
    }
    let upper = upper.filter(|rank| *rank <= count);
    ((lower > 0).then_some(lower), upper)
}

/// The same by the normal approximation, one rank wider on each side.
fn ranks_of_many(count: f64, share: f64, level: f64) -> (Option<u64>, Option<u64>) {
    let z = if level > LEVEL { Z_OF_BOTH } else { Z };
    let half = z * (count * share * (1.0 - share)).sqrt() + 1.0;
    let lower = (count * share - half).floor() as u64;
    let upper = (count * share + half).ceil() as u64;
    (
        (lower > 0).then_some(lower),
        Some(upper).filter(|rank| *rank as f64 <= count),
    )
}

/// Probabilities of a binomial distribution from a first count on, as far as they matter. Each follows from its neighbour,
/// and their sum is 1: no factorial is needed, and only about twenty standard deviations are computed.
fn binomial(count: u64, share: f64) -> (u64, Vec<f64>) {
    let odds = share / (1.0 - share);
    let mode = (((count + 1) as f64) * share).floor().min(count as f64) as u64;
    let mut down = vec![1.0];
    for k in (0..mode).rev() {
        let last = down[down.len() - 1];
        let weight = last * (k + 1) as f64 / ((count - k) as f64 * odds);
        if weight < NEGLIGIBLE {
            break;
        }
        down.push(weight);
    }
    let first = mode - (down.len() as u64 - 1);
    down.reverse();
    let mut weights = down;
    for k in mode..count {
        let last = weights[weights.len() - 1];
        let weight = last * (count - k) as f64 * odds / (k + 1) as f64;
        if weight < NEGLIGIBLE {
            break;
        }
        weights.push(weight);
    }
    let sum: f64 = weights.iter().sum();
    (first, weights.into_iter().map(|w| w / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stall_common::histogram::bucket;

    fn histogram(values: &[u64]) -> Histogram {
        Histogram(values.iter().map(|ns| (bucket(*ns) as u16, 1)).collect())
    }

    /// Conover 1999, example 3.2: of 16 the median's 95 % interval is from the 4th to the 13th.
    #[test]
    fn ranks_are_those_of_the_tables() {
        assert_eq!(ranks(16, 0.5, 0.95), (Some(4), Some(13)));
        // P(K = 0) + P(K = 1) of 10 is 0.0107, of 0.5 each: from the 2nd to the 9th.
        assert_eq!(ranks(10, 0.5, 0.95), (Some(2), Some(9)));
        assert_eq!(ranks(5, 0.5, 0.95), (None, None));
        // 0.99 to the 368th is below 0.025: from there on the 99th percentile has an upper bound.
        assert_eq!(ranks(367, 0.99, 0.95).1, None);
        assert!(ranks(368, 0.99, 0.95).1.is_some());
        assert_eq!(ranks(0, 0.5, 0.95), (None, None));
    }

    #[test]
    fn large_counts_agree_with_the_normal_approximation() {
        for (share, level) in [
            (0.5, LEVEL),
            (0.9, LEVEL),
            (0.5, LEVEL_OF_BOTH),
            (0.99, LEVEL_OF_BOTH),
        ] {
            let exact = ranks(MANY - 1, share, level);
            let normal = ranks_of_many((MANY - 1) as f64, share, level);
            assert!(
                exact.0.unwrap().abs_diff(normal.0.unwrap()) <= 4,
                "{exact:?} {normal:?}"
            );
            assert!(
                exact.1.unwrap().abs_diff(normal.1.unwrap()) <= 4,
                "{exact:?} {normal:?}"
            );
        }
        assert!(ranks(u64::MAX, 0.99, LEVEL).1.is_some());
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_percentile(
            values in prop::collection::vec(0u64..4_000_000_000_000, 1..600), per_mille in 1u32..1_000
        ) {
            let estimate = Counts::new(&histogram(&values)).estimate(per_mille, LEVEL);
            let value = estimate.value_ns.unwrap();
            prop_assert!(estimate.low_ns.unwrap() <= value);
            prop_assert!(estimate.high_ns.is_none_or(|high| value <= high));
        }

        #[test]
        fn swapping_the_sides_inverts_the_ratio(
            one in prop::collection::vec(64u64..4_000_000_000, 1..400),
            other in prop::collection::vec(64u64..4_000_000_000, 1..400),
            per_mille in prop::sample::select(vec![500u32, 900, 990])
        ) {
            let there = quantile(per_mille, &histogram(&one), &histogram(&other));
            let back = quantile(per_mille, &histogram(&other), &histogram(&one));
            prop_assert!((there.ratio.unwrap() * back.ratio.unwrap() - 1.0).abs() < 1e-4);
            if let (Some(low), Some(high)) = (there.low, back.high) {
                prop_assert!((low * high - 1.0).abs() < 1e-4);
                prop_assert!(low <= there.ratio.unwrap());
            }
            prop_assert_eq!(there.before, back.after);
        }

        /// The promise itself: drawn from a known distribution, the quantile is enclosed as often as promised.
        #[test]
        fn tails_hold_no_more_than_they_may(count in 1u64..3_000, per_mille in 1u32..1_000) {
            let share = f64::from(per_mille) / 1_000.0;
            let (first, weights) = binomial(count, share);
            let (lower, upper) = ranks(count, share, LEVEL);
            // X(lower) > q when K < lower; X(upper) <= q when K >= upper.
            let beyond = weights.iter().enumerate().filter(|(offset, _)| {
                let k = first + *offset as u64;
                lower.is_some_and(|rank| k < rank) || upper.is_some_and(|rank| k >= rank)
            });
            let missed: f64 = beyond.map(|(_, weight)| weight).sum();
            prop_assert!(missed <= 1.0 - LEVEL + 1e-9, "{missed}");
        }
    }
}
