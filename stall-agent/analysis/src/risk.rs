//! Relative risk with its 95 % interval, pooled by Mantel and Haenszel.
//!
//! Variance: Greenland and Robins, Biometrics 41 (1985) 55-68. With one flow both reduce to the ratio of two
//! proportions and its usual logarithmic interval (Katz 1978).

use crate::number::significant;
use stall_report::model::RelativeRisk;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The four counts of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cells {
    pub(crate) exposed_slow: f64,
    pub(crate) exposed: f64,
    pub(crate) unexposed_slow: f64,
    pub(crate) unexposed: f64,
}

/// `None` when no flow has both sides, no request on either side was slow, or the numbers are beyond sense.
pub(crate) fn relative_risk(flows: impl Iterator<Item = Cells>) -> Option<RelativeRisk> {
    let flows: Vec<Cells> = flows.filter(Cells::has_both_sides).collect();
    let sum = Cells::sum(&flows);
    if sum.exposed_slow + sum.unexposed_slow == 0.0 {
        return None;
    }
    let corrected = sum.exposed_slow == 0.0 || sum.unexposed_slow == 0.0;
    let (ratio, deviation) = if corrected {
        pooled(&[sum.corrected()])
    } else {
        pooled(&flows)
    };
    let (low, high) = (-Z * deviation, Z * deviation);
    let risk = RelativeRisk {
        ratio: significant(ratio),
        low: significant(ratio * low.exp()),
        high: significant(ratio * high.exp()),
        flows: u32::try_from(flows.len()).unwrap_or(u32::MAX),
        corrected,
    };
    (risk.ratio.is_finite() && risk.high.is_finite()).then_some(risk)
}

/// The ratio, and the standard deviation of its logarithm.
fn pooled(flows: &[Cells]) -> (f64, f64) {
    let (mut above, mut below, mut spread) = (0.0, 0.0, 0.0);
    for cells in flows {
        let Cells {
            exposed_slow,
            exposed,
            unexposed_slow,
            unexposed,
        } = *cells;
        let all = exposed + unexposed;
        above += exposed_slow * unexposed / all;
        below += unexposed_slow * exposed / all;
        spread += ((exposed_slow + unexposed_slow) * exposed * unexposed
            - exposed_slow * unexposed_slow * all)
            / (all * all);
    }
    (above / below, (spread / (above * below)).max(0.0).sqrt())
}

impl Cells {
    fn has_both_sides(&self) -> bool {
        self.exposed > 0.0 && self.unexposed > 0.0
    }

    fn sum(flows: &[Self]) -> Self {
        flows.iter().fold(Self::default(), |sum, cells| Self {
            exposed_slow: sum.exposed_slow + cells.exposed_slow,
            exposed: sum.exposed + cells.exposed,
            unexposed_slow: sum.unexposed_slow + cells.unexposed_slow,
            unexposed: sum.unexposed + cells.unexposed,
        })
    }

    /// Haldane and Anscombe: one half to each count of slow and fast.
    fn corrected(self) -> Self {
        Self {
            exposed_slow: self.exposed_slow + 0.5,
            exposed: self.exposed + 1.0,
            unexposed_slow: self.unexposed_slow + 0.5,
            unexposed: self.unexposed + 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(exposed_slow: u32, exposed: u32, unexposed_slow: u32, unexposed: u32) -> Cells {
        Cells {
            exposed_slow: exposed_slow.into(),
            exposed: exposed.into(),
            unexposed_slow: unexposed_slow.into(),
            unexposed: unexposed.into(),
        }
    }

    fn risk(flows: &[Cells]) -> Option<RelativeRisk> {
        relative_risk(flows.iter().copied())
    }

    #[test]
    fn it_agrees_with_the_worked_example() {
        let risk = risk(&[cells(450, 500, 40, 80_000)]).unwrap();
        assert!((risk.ratio - 1_800.0).abs() < 1e-6);
        assert_eq!((risk.low.round(), risk.high.round()), (1_319.0, 2_457.0));
        assert!(!risk.corrected);
    }

    #[test]
    fn a_zero_is_corrected_and_said_to_be() {
        let risk = risk(&[cells(50, 150, 0, 900)]).unwrap();
        assert!(risk.corrected);
        assert_eq!(risk.ratio.round(), 603.0);
        assert!(risk.low > 37.0 && risk.low < 38.0);
    }

    #[test]
    fn another_mix_of_work_is_no_effect() {
        // Flushes are slow and reads fast, each alike on both sides; only there are more flushes while a
        // discard is in flight. Added up, the exposed are slow five times as often.
        let risk = risk(&[cells(90, 100, 90, 100), cells(1, 100, 9, 900)]).unwrap();
        assert!((risk.ratio - 1.0).abs() < 1e-9);
        assert!(risk.low < 1.0 && risk.high > 1.0);
    }

    #[test]
    fn one_side_alone_says_nothing() {
        assert_eq!(risk(&[cells(5, 10, 0, 0), cells(0, 0, 5, 10)]), None);
        assert_eq!(risk(&[cells(0, 10, 0, 10)]), None);
        assert_eq!(risk(&[]), None);
    }

    fn any_cells() -> impl Strategy<Value = Cells> {
        (0u32..2_000, 0u32..2_000, 0u32..2_000, 0u32..2_000)
            .prop_map(|(a, fast, c, more)| cells(a, a + fast, c, c + more))
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_estimate(flows in prop::collection::vec(any_cells(), 1..8)) {
            if let Some(risk) = risk(&flows) {
                prop_assert!(risk.ratio.is_finite() && risk.high.is_finite());
                prop_assert!(risk.low > 0.0 && risk.low <= risk.ratio && risk.ratio <= risk.high);
            }
        }

        #[test]
        fn more_of_the_same_narrows_it(flow in any_cells(), times in 2u32..20) {
            let more = |x: f64| x * f64::from(times);
            let many = Cells {
                exposed_slow: more(flow.exposed_slow), exposed: more(flow.exposed),
                unexposed_slow: more(flow.unexposed_slow), unexposed: more(flow.unexposed),
            };
            if let (Some(few), Some(many)) = (risk(&[flow]), risk(&[many]))
                && !few.corrected
            {
                prop_assert!(many.high / many.low <= few.high / few.low * (1.0 + 1e-4));
            }
        }

        #[test]
        fn swapping_the_sides_inverts_it(a in 1u32..500, b in 0u32..500, c in 1u32..500, d in 0u32..500) {
            let one = risk(&[cells(a, a + b, c, c + d)]).unwrap();
            let other = risk(&[cells(c, c + d, a, a + b)]).unwrap();
            prop_assert!((one.ratio * other.ratio - 1.0).abs() < 1e-4);
            prop_assert!((one.low * other.high - 1.0).abs() < 1e-4);
        }
    }
}
