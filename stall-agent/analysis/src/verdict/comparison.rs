//! With a discard in flight against without: rule D4.

use super::evidence::{self, Scales};
use super::rules::{self, Level};
use crate::ratio;
use stall_report::model::{Confidence, Device, Exposure, Fact, Standing};
use stall_report::thousands;

/// What the explained share is of.
pub(super) const EXPLAINED: &str =
    "of the slow requests would not have been slow without discards in flight";

/// What a rule decided.
pub(super) struct Outcome {
    pub(super) rule: &'static str,
    pub(super) standing: Standing,
    pub(super) confidence: Option<Confidence>,
}

pub(super) const fn refuted(rule: &'static str) -> Outcome {
    Outcome {
        rule,
        standing: Standing::Refuted,
        confidence: None,
    }
}

pub(super) const fn undecided(rule: &'static str) -> Outcome {
    Outcome {
        rule,
        standing: Standing::Undecided,
        confidence: None,
    }
}

pub(super) const fn supported(rule: &'static str, confidence: Confidence) -> Outcome {
    Outcome {
        rule,
        standing: Standing::Supported,
        confidence: Some(confidence),
    }
}

/// Whether there is enough time, and enough requests, without a discard in flight.
pub(super) fn is_comparable(exposure: &Exposure, device: &Device, window_ns: u64) -> bool {
    let without_ns = window_ns.saturating_sub(device.discard_clock.busy_ns);
    exposure.unexposed.ops >= rules::COMPARED_OPS
        && without_ns >= rules::COMPARED_NS
        && ratio(without_ns, window_ns).is_some_and(|part| part >= rules::COMPARED_SHARE)
}

/// Rule D4.
pub(super) fn compare(exposure: &Exposure, scales: &mut Scales) -> Outcome {
    tell_comparison(exposure, scales);
    let (Some(risk), Some(wait_ratio)) = (exposure.relative_risk.as_ref(), exposure.wait_ratio)
    else {
        return undecided("D4");
    };
    let no_risk = risk.high < rules::NO_RISK && wait_ratio < rules::HIGH.wait_ratio;
    if wait_ratio < rules::NO_WAIT_RATIO || no_risk {
        return refuted("D4");
    }
    let explained = exposure.explained_share.unwrap_or(0.0);
    let reaches = |level: Level| {
        risk.low >= level.risk
            && wait_ratio >= level.wait_ratio
            && explained >= level.explained
            && exposure.exposed.slow_ops >= level.exposed_slow
    };
    let levels = [
        (rules::HIGH, Confidence::High),
        (rules::MEDIUM, Confidence::Medium),
        (rules::LOW, Confidence::Low),
    ];
    let reached = levels.into_iter().find(|(level, _)| reaches(*level));
    reached.map_or_else(
        || undecided("D4"),
        |(_, confidence)| supported("D4", confidence),
    )
}

fn tell_comparison(exposure: &Exposure, scales: &mut Scales) {
    let Level {
        risk: risk_bound,
        wait_ratio: wait_bound,
        explained: explained_bound,
        exposed_slow,
    } = rules::MEDIUM;
    if let Some(risk) = &exposure.relative_risk {
        scales.put(risk.low >= risk_bound, evidence::of_risk(risk, risk_bound));
    }
    if let Some(ratio) = exposure.wait_ratio {
        let text = "as long a wait with a discard in flight as the same requests have without";
        scales.put(
            ratio >= wait_bound,
            evidence::of_ratio(Fact::WaitRatio, ratio, wait_bound, text),
        );
    }
    if let Some(explained) = exposure.explained_share {
        let bound = Some(explained_bound);
        let item = evidence::of_share(Fact::ExplainedShare, explained, bound, EXPLAINED);
        scales.put(explained >= explained_bound, item);
    }
    let slow = exposure.exposed.slow_ops;
    let text = format!(
        "{} of {} requests with a discard in flight were slow, {} of {} without",
        thousands(slow),
        thousands(exposure.exposed.ops),
        thousands(exposure.unexposed.slow_ops),
        thousands(exposure.unexposed.ops)
    );
    scales.put(
        slow >= exposed_slow,
        evidence::of_count(Fact::ExposedSlow, slow, Some(exposed_slow), text),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use stall_report::model::{RelativeRisk, Side};

    /// Just enough for a level.
    fn exposure(level: Level) -> Exposure {
        Exposure {
            exposed: Side {
                ops: 1_000,
                slow_ops: level.exposed_slow,
                ..Side::default()
            },
            relative_risk: Some(RelativeRisk {
                ratio: 9.0,
                low: level.risk,
                high: 99.0,
                flows: 1,
                corrected: false,
            }),
            wait_ratio: Some(level.wait_ratio),
            explained_share: Some(level.explained),
            ..Exposure::default()
        }
    }

    fn confidence(exposure: &Exposure) -> Option<Confidence> {
        compare(exposure, &mut Scales::default()).confidence
    }

    /// With one of the four numbers a little too small.
    fn lacking(level: Level) -> [Exposure; 4] {
        [
            exposure(Level {
                risk: level.risk - 0.01,
                ..level
            }),
            exposure(Level {
                wait_ratio: level.wait_ratio - 0.01,
                ..level
            }),
            exposure(Level {
                explained: level.explained - 0.01,
                ..level
            }),
            exposure(Level {
                exposed_slow: level.exposed_slow - 1,
                ..level
            }),
        ]
    }

    #[test]
    fn each_number_of_a_level_counts() {
        let levels = [
            (
                rules::HIGH,
                Some(Confidence::High),
                Some(Confidence::Medium),
            ),
            (
                rules::MEDIUM,
                Some(Confidence::Medium),
                Some(Confidence::Low),
            ),
            (rules::LOW, Some(Confidence::Low), None),
        ];
        for (level, reached, missed) in levels {
            assert_eq!(confidence(&exposure(level)), reached);
            for exposure in lacking(level) {
                assert_eq!(confidence(&exposure), missed, "{exposure:?}");
            }
        }
    }

    #[test]
    fn a_wrong_slow_limit_leaves_it_undecided() {
        // Slow with and without, and ten times as long with.
        let mut seen = exposure(rules::HIGH);
        seen.relative_risk = Some(RelativeRisk {
            ratio: 1.0,
            low: 0.9,
            high: 1.1,
            flows: 1,
            corrected: false,
        });
        seen.wait_ratio = Some(10.0);
        assert_eq!(
            compare(&seen, &mut Scales::default()).standing,
            Standing::Undecided
        );
        seen.wait_ratio = Some(2.0);
        assert_eq!(
            compare(&seen, &mut Scales::default()).standing,
            Standing::Refuted
        );
    }
}
