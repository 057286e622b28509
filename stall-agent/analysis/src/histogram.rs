//! Bucket counts as a distribution: percentiles, and the standard `HdrHistogram` V2 encoding.
//!
//! The middle of a bucket stands for all in it, so a percentile is at most 3.2 % off from 1 us up.

use base64::Engine as _;
use hdrhistogram::serialization::{Serializer as _, V2Serializer};
use stall_common::histogram::{BUCKETS, bounds, middle};

use stall_capture::Histogram;
use stall_report::model::Distribution;

/// Significant digits of the encoding: finer than the buckets are.
const DIGITS: u8 = 2;
/// Longest value of the encoding, 2 hours: beyond the middle of the last bucket.
const LONGEST_NS: u64 = 7_200_000_000_000;

/// Counts by bucket, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Buckets(Vec<u64>);

impl Buckets {
    pub(super) fn new(histogram: &Histogram) -> Self {
        let mut counts = vec![0u64; BUCKETS];
        for (bucket, count) in &histogram.0 {
            let index = usize::from(*bucket).min(BUCKETS - 1);
            counts[index] = counts[index].saturating_add(*count);
        }
        Self(counts)
    }

    /// What is left without the others; a bucket that has fewer is left empty.
    pub(super) fn minus(&self, others: &Self) -> Self {
        let pairs = self.0.iter().zip(&others.0);
        Self(pairs.map(|(all, some)| all.saturating_sub(*some)).collect())
    }

    pub(super) fn count(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Sum with the middle of each bucket for all in it.
    pub(super) fn sum_of_middles(&self) -> u64 {
        self.sum_from(0)
    }

    /// The same of the buckets that begin at or above a limit.
    pub(super) fn sum_from(&self, limit_ns: u64) -> u64 {
        self.filled()
            .filter(|(index, _)| bounds(*index).0 >= limit_ns)
            .fold(0u64, |sum, (index, count)| {
                sum.saturating_add(middle(index).saturating_mul(count))
            })
    }

    /// The exact sum and maximum are used where they are known.
    pub(super) fn distribution(&self, sum_ns: Option<u64>, max_ns: Option<u64>) -> Distribution {
        let count = self.count();
        let sum_ns = sum_ns.unwrap_or_else(|| self.sum_of_middles());
        let max_ns = self
            .highest()
            .map(|highest| max_ns.map_or(highest, |max| max.min(highest)));
        let quantile = |per_mille| {
            self.quantile(per_mille)
                .map(|ns| max_ns.map_or(ns, |max| ns.min(max)))
        };
        Distribution {
            count,
            sum_ns,
            mean_ns: sum_ns.checked_div(count),
            p50_ns: quantile(500),
            p90_ns: quantile(900),
            p99_ns: quantile(990),
            p999_ns: quantile(999),
            max_ns,
            hdr_v2: self.encode(),
        }
    }

    /// The middle of the first bucket with at least that many thousandths of all at or below it.
    pub(super) fn quantile(&self, per_mille: u64) -> Option<u64> {
        let wanted = (u128::from(self.count()) * u128::from(per_mille)).div_ceil(1_000);
        let mut seen = 0u128;
        self.filled()
            .find(|(_, count)| {
                seen += u128::from(*count);
                seen >= wanted
            })
            .map(|(index, _)| middle(index))
    }

    /// Upper bound of the last bucket that is not empty.
    fn highest(&self) -> Option<u64> {
        self.filled().last().map(|(index, _)| bounds(index).1 - 1)
    }

    /// `None` when empty.
    fn encode(&self) -> Option<String> {
        let mut histogram =
            hdrhistogram::Histogram::<u64>::new_with_bounds(1, LONGEST_NS, DIGITS).ok()?;
        for (index, count) in self.filled() {
            histogram.saturating_record_n(middle(index), count);
        }
        if histogram.is_empty() {
            return None;
        }
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&histogram, &mut bytes).ok()?;
        Some(base64::engine::general_purpose::STANDARD.encode(bytes))
    }

    fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use proptest::prelude::*;
    use stall_common::histogram::bucket;

    fn buckets(values: &[u64]) -> Buckets {
        Buckets::new(&Histogram(
            values.iter().map(|ns| (bucket(*ns) as u16, 1)).collect(),
        ))
    }

    fn exact(values: &[u64], per_mille: usize) -> u64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted[(sorted.len() * per_mille).div_ceil(1_000) - 1]
    }

    fn decode(text: &str) -> hdrhistogram::Histogram<u64> {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap();
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .unwrap()
    }

    #[test]
    fn an_empty_one_has_no_numbers() {
        let empty = buckets(&[]).distribution(Some(0), Some(0));
        assert_eq!(empty, Distribution::default());
    }

    #[test]
    fn a_bucket_that_does_not_exist_counts_as_the_last() {
        let hostile = Buckets::new(&Histogram(vec![(u16::MAX, u64::MAX), (3, 1)]));
        assert_eq!(hostile.count(), u64::MAX);
        assert!(hostile.distribution(None, None).p50_ns.unwrap() > 3_600_000_000_000);
    }

    proptest! {
        #[test]
        fn percentiles_are_within_the_error_of_exact_ones(
            values in prop::collection::vec(1_000u64..4_000_000_000_000, 1..400)
        ) {
            let shown = buckets(&values).distribution(None, values.iter().max().copied());
            let pairs = [(500, shown.p50_ns), (900, shown.p90_ns), (990, shown.p99_ns), (999, shown.p999_ns)];
            for (per_mille, ns) in pairs {
                let truth = exact(&values, per_mille);
                prop_assert!(ns.unwrap().abs_diff(truth) as f64 <= truth as f64 * 0.0325);
            }
            let sum: u64 = values.iter().sum();
            prop_assert!(shown.sum_ns.abs_diff(sum) as f64 <= sum as f64 * 0.0325);
            prop_assert_eq!(shown.max_ns, values.iter().max().copied());
        }

        #[test]
        fn the_encoding_gives_the_counts_back(
            values in prop::collection::vec(0u64..4_000_000_000_000, 1..400)
        ) {
            let all = buckets(&values);
            let decoded = decode(&all.encode().unwrap());
            prop_assert_eq!(decoded.len(), values.len() as u64);
            for (index, count) in all.filled() {
                prop_assert!(decoded.count_at(middle(index)) >= count);
            }
            let median = all.quantile(500).unwrap();
            let theirs = decoded.value_at_quantile(0.5);
            prop_assert!(theirs.abs_diff(median) as f64 <= median as f64 * 0.01 + 1.0);
        }

        #[test]
        fn parts_and_rest_add_up(
            all in prop::collection::vec(0u64..10_000_000_000, 1..200), exposed in 0usize..200
        ) {
            let part = buckets(&all[..exposed.min(all.len())]);
            let rest = buckets(&all).minus(&part);
            prop_assert_eq!(rest.count() + part.count(), all.len() as u64);
            prop_assert_eq!(rest.sum_of_middles() + part.sum_of_middles(), buckets(&all).sum_of_middles());
        }
    }
}
