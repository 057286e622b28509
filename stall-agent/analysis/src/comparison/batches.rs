//! Ratios of two runs with intervals that do not take requests for independent: rule K3 of `docs/principles.md`.
//!
//! A run is cut into batches of successive intervals. Requests held up together fall into few of them, so that how much
//! the result changes when a batch is left out (jackknife; Efron 1982, chapter 3) tells how far it can be trusted.

use super::rules::{LEAST_INTERVALS, MOST_BATCHES};
use crate::number::significant;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Of one flow in some time: what is summed, and of how many (requests, or seconds).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cell {
    pub(super) sum: f64,
    pub(super) count: f64,
}

/// A run: cells of each flow, of the whole and of each batch. The flows are the same on both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) whole: Vec<Cell>,
    pub(super) batches: Vec<Vec<Cell>>,
}

/// A ratio after / before, and the interval of 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) ratio: f64,
    pub(super) interval: Option<(f64, f64)>,
}

/// The ratio pooled over the flows that both sides have; `None` when it is not a positive number. With `correct`, the
/// sums are counts: when one side has none, or none but for one batch, the flows are added up, one half is added to each count
/// and one to those they are of.
pub(super) fn ratio(before: &Run, after: &Run, correct: bool) -> Option<Ratio> {
    let corrected =
        correct && (has_none(&before.whole, &after.whole) || may_have_none(before, after));
    let estimate = |before: &[Cell], after: &[Cell]| log_ratio(before, after, corrected);
    let log = estimate(&before.whole, &after.whole)?;
    Some(Ratio {
        ratio: significant(log.exp()),
        interval: half_width(before, after, estimate).and_then(|half| around(log, half)),
    })
}

/// Into how many batches so many intervals are joined.
pub(super) fn number(intervals: usize) -> usize {
    intervals.min(MOST_BATCHES)
}

/// The batch of an interval: each has as many successive ones as the others, or one more.
pub(super) fn batch_of(interval: usize, intervals: usize) -> usize {
    interval * number(intervals) / intervals
}

/// Both ends, unless the numbers are beyond sense.
pub(super) fn around(log: f64, half: f64) -> Option<(f64, f64)> {
    let (low, high) = ((log - half).exp(), (log + half).exp());
    (low > 0.0 && high.is_finite()).then(|| (significant(low), significant(high)))
}

/// Half the interval of a logarithm whose variance is known: that of sums of independent parts.
pub(super) fn normal_half_width(variance: f64) -> f64 {
    Z * variance.sqrt()
}

fn half_width(
    before: &Run,
    after: &Run,
    estimate: impl Fn(&[Cell], &[Cell]) -> Option<f64>,
) -> Option<f64> {
    let one = before.jackknife(|rest| estimate(rest, &after.whole))?;
    let other = after.jackknife(|rest| estimate(&before.whole, rest))?;
    let variance = one.variance + other.variance;
    if variance <= 0.0 {
        return Some(0.0);
    }
    let freedom = variance.powi(2)
        / (one.variance.powi(2) / one.freedom + other.variance.powi(2) / other.freedom);
    Some(student(freedom) * variance.sqrt())
}

/// The logarithm of the ratio of Mantel and Haenszel. With one flow it is that of the two quotients.
fn log_ratio(before: &[Cell], after: &[Cell], corrected: bool) -> Option<f64> {
    let has_both = |(before, after): &(&Cell, &Cell)| before.count > 0.0 && after.count > 0.0;
    let pairs = before.iter().zip(after).filter(has_both);
    let (mut above, mut below) = (0.0, 0.0);
    if corrected {
        let mut sums = [HALF; 2];
        for (before, after) in pairs {
            sums[0].add(before);
            sums[1].add(after);
        }
        above = sums[1].sum * sums[0].count;
        below = sums[0].sum * sums[1].count;
    } else {
        for (before, after) in pairs {
            let all = before.count + after.count;
            above += after.sum * before.count / all;
            below += before.sum * after.count / all;
        }
    }
    let log = (above / below).ln();
    log.is_finite().then_some(log)
}

/// Haldane and Anscombe's correction.
const HALF: Cell = Cell {
    sum: 0.5,
    count: 1.0,
};

fn has_none(before: &[Cell], after: &[Cell]) -> bool {
    let pairs = before.iter().zip(after);
    let both = pairs.filter(|(one, other)| one.count > 0.0 && other.count > 0.0);
    let sums = both.fold((0.0, 0.0), |(one, other), pair| {
        (one + pair.0.sum, other + pair.1.sum)
    });
    sums.0 <= 0.0 || sums.1 <= 0.0
}

/// Whether a batch has all there are on its side. One slow request is no worse a sign than none, nor than two in different batches.
fn may_have_none(before: &Run, after: &Run) -> bool {
    let mut one = before.batches.iter();
    let mut other = after.batches.iter();
    one.any(|batch| has_none(&without(&before.whole, batch), &after.whole))
        || other.any(|batch| has_none(&before.whole, &without(&after.whole, batch)))
}

impl Cell {
    pub(super) fn add(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
    }
}

/// What is left of sums without a part of them.
fn without(whole: &[Cell], part: &[Cell]) -> Vec<Cell> {
    let pairs = whole.iter().zip(part);
    pairs
        .map(|(whole, part)| Cell {
            sum: (whole.sum - part.sum).max(0.0),
            count: (whole.count - part.count).max(0.0),
        })
        .collect()
}

struct Spread {
    variance: f64,
    freedom: f64,
}

impl Run {
    /// How far the result depends on single batches; `None` when there are too few, or one of them is all there is.
    fn jackknife(&self, estimate: impl Fn(&[Cell]) -> Option<f64>) -> Option<Spread> {
        if self.batches.len() < LEAST_INTERVALS {
            return None;
        }
        let rests = self.batches.iter().map(|batch| without(&self.whole, batch));
        let left_out: Option<Vec<f64>> = rests.map(|rest| estimate(&rest)).collect();
        let left_out = left_out?;
        let number = left_out.len() as f64;
        let mean = left_out.iter().sum::<f64>() / number;
        let squares: f64 = left_out.iter().map(|one| (one - mean).powi(2)).sum();
        Some(Spread {
            variance: (number - 1.0) / number * squares,
            freedom: number - 1.0,
        })
    }
}

/// Student's t, two-sided 95 %: the expansion of Abramowitz and Stegun 26.7.5, within 0.001 from 4 degrees of freedom on.
fn student(freedom: f64) -> f64 {
    let z = Z;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1_482.0 * z.powi(5)
            - 1_920.0 * z.powi(3)
            - 945.0 * z)
            / 92_160.0,
    ];
    let powers = (1..).map(|power| freedom.powi(power));
    z + terms
        .iter()
        .zip(powers)
        .map(|(term, power)| term / power)
        .sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run_of(batches: Vec<Vec<Cell>>) -> Run {
        let mut whole = vec![Cell::default(); batches[0].len()];
        for batch in &batches {
            for (to, from) in whole.iter_mut().zip(batch) {
                to.add(from);
            }
        }
        Run { whole, batches }
    }

    fn one_flow(rows: &[(u32, u32)]) -> Run {
        let cell = |(sum, count): &(u32, u32)| Cell {
            sum: f64::from(*sum),
            count: f64::from(*count),
        };
        run_of(rows.iter().map(|row| vec![cell(row)]).collect())
    }

    #[test]
    fn t_is_that_of_the_tables() {
        for (freedom, t) in [(4.0, 2.776), (5.0, 2.571), (10.0, 2.228), (38.0, 2.024)] {
            assert!((student(freedom) - t).abs() < 0.001, "{freedom}");
        }
    }

    #[test]
    fn it_agrees_with_the_worked_example() {
        let before = one_flow(&[
            (0, 4_500),
            (100, 1_000),
            (120, 1_000),
            (110, 1_000),
            (120, 1_000),
            (0, 3_500),
        ]);
        let after = one_flow(&[
            (0, 5_000),
            (1, 5_000),
            (0, 5_000),
            (0, 5_000),
            (1, 5_000),
            (0, 5_000),
        ]);
        let found = ratio(&before, &after, true).unwrap();
        assert_eq!(found.ratio, 0.001_777_78);
        assert_eq!(found.interval, Some((0.000_200_948, 0.015_727_9)));
    }

    #[test]
    fn nothing_slow_after_is_corrected() {
        let before = one_flow(&[(10, 100); 6]);
        let after = one_flow(&[(0, 100); 6]);
        let found = ratio(&before, &after, true).unwrap();
        assert!((found.ratio - (0.5 / 601.0) / (60.5 / 601.0)).abs() < 1e-6);
        assert_eq!(ratio(&before, &after, false), None);
    }

    /// Of a run with one slow request after no less than of those with none and with two.
    #[test]
    fn one_slow_request_after_proves_as_much_as_none() {
        let before = one_flow(&[(0, 4_500), (150, 2_500), (150, 2_500), (150, 2_500)].repeat(2));
        let high = |slow: [u32; 2]| {
            let mut rows = [(0, 5_000); 6];
            (rows[1].0, rows[4].0) = (slow[0], slow[1]);
            ratio(&before, &one_flow(&rows), true)?
                .interval
                .map(|(_, high)| high)
        };
        for slow in [[0, 0], [1, 0], [1, 1]] {
            assert!(
                high(slow).is_some_and(|high| high < 0.5),
                "{slow:?}: {:?}",
                high(slow)
            );
        }
    }

    /// A single burst before may have been chance.
    #[test]
    fn one_burst_before_proves_nothing() {
        let mut rows = [(0, 5_000); 6];
        rows[2].0 = 450;
        let found = ratio(&one_flow(&rows), &one_flow(&[(0, 5_000); 6]), true).unwrap();
        assert!(
            found.interval.is_none_or(|(_, high)| high > 0.5),
            "{found:?}"
        );
    }

    #[test]
    fn too_few_intervals_give_no_interval() {
        let few = one_flow(&[(10, 100); LEAST_INTERVALS - 1]);
        assert_eq!(ratio(&few, &few, true).unwrap().interval, None);
    }

    #[test]
    fn requests_held_up_together_count_for_less() {
        let even = one_flow(&[(20, 1_000); 6]);
        let burst = one_flow(&[
            (120, 1_000),
            (0, 1_000),
            (0, 1_000),
            (0, 1_000),
            (0, 1_000),
            (0, 1_000),
        ]);
        let width = |before| {
            let (low, high) = ratio(before, &even, true)
                .unwrap()
                .interval
                .unwrap_or((0.0, f64::INFINITY));
            high / low
        };
        assert!(width(&burst) > 2.0 * width(&even));
    }

    /// A run of seconds, half of them with a burst: few requests, a third of them slow.
    fn bursty(chance: &mut impl FnMut() -> f64) -> Run {
        let mut second = || {
            let (count, share) = if chance() < 0.5 {
                (100, 0.3)
            } else {
                (1_000, 0.002)
            };
            let slow = (0..count).filter(|_| chance() < share).count();
            (slow as u32, count)
        };
        let seconds: Vec<(u32, u32)> = (0..12).map(|_| second()).collect();
        one_flow(&seconds)
    }

    /// Of pairs between which nothing changes, nineteen in twenty intervals must have 1 inside.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_promise() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        // Steele, Lea and Flood's SplitMix64.
        let mut chance = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut held = 0;
        for _ in 0..300 {
            let (before, after) = (bursty(&mut chance), bursty(&mut chance));
            let found = ratio(&before, &after, true).unwrap();
            let (low, high) = found.interval.unwrap_or((0.0, f64::INFINITY));
            held += u32::from(low <= 1.0 && 1.0 <= high);
        }
        assert!(held >= 276, "{held} of 300");
    }

    fn run() -> impl Strategy<Value = Run> {
        let cell = (0u32..500, 1u32..2_000).prop_map(|(sum, more)| Cell {
            sum: f64::from(sum),
            count: f64::from(sum + more),
        });
        let row = prop::collection::vec(cell, 3);
        prop::collection::vec(row, 1..MOST_BATCHES).prop_map(run_of)
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_ratio(before in run(), after in run()) {
            let found = ratio(&before, &after, true).unwrap();
            if let Some((low, high)) = found.interval {
                prop_assert!(low <= found.ratio && found.ratio <= high);
            }
        }

        #[test]
        fn swapping_the_sides_inverts_it(before in run(), after in run()) {
            let there = ratio(&before, &after, true).unwrap();
            let back = ratio(&after, &before, true).unwrap();
            prop_assert!((there.ratio * back.ratio - 1.0).abs() < 1e-4);
            if let (Some(one), Some(other)) = (there.interval, back.interval) {
                prop_assert!((one.0 * other.1 - 1.0).abs() < 1e-4);
                prop_assert!((one.1 * other.0 - 1.0).abs() < 1e-4);
            }
        }

        #[test]
        fn a_run_is_as_slow_as_itself(run in run()) {
            prop_assert_eq!(ratio(&run, &run, true).unwrap().ratio, 1.0);
        }

        #[test]
        fn batches_are_successive_and_alike(intervals in 1usize..5_000) {
            let of: Vec<usize> = (0..intervals).map(|index| batch_of(index, intervals)).collect();
            prop_assert!(of.is_sorted());
            prop_assert_eq!(of[intervals - 1] + 1, number(intervals));
            let sizes = (0..number(intervals)).map(|batch| of.iter().filter(|one| **one == batch).count());
            let sizes: Vec<usize> = sizes.collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }
}
