//! What lowers confidence: rules C1 to C5, and the limits of D6 and D7.

use super::rules;
use crate::Findings;
use stall_report::model::{Confidence, Fact, Hook, HookState, Hypothesis, Lowered, LoweredBy};
use stall_report::{duration, share};

/// Of a supported hypothesis.
pub(super) fn of_cause(findings: &Findings, cause: &Hypothesis) -> (Confidence, Vec<Lowered>) {
    let mut level = Level::new(cause.confidence.unwrap_or(Confidence::Low));
    let share_of_origin = cause
        .evidence_for
        .iter()
        .find(|evidence| evidence.fact == Fact::OriginShare);
    if let Some(evidence) = share_of_origin {
        level.at_most(
            Confidence::Medium,
            LoweredBy::MixedOrigins,
            evidence.text.clone(),
        );
    }
    if inferred(findings, cause) == Some(false) {
        let text = "the discard is older than the trace; its origin is inferred".to_owned();
        level.at_most(Confidence::Medium, LoweredBy::InferredOrigin, text);
        let lost = findings.losses.sleep_share;
        level.for_loss(
            lost,
            LoweredBy::LostSleeps,
            "of the sleeps or stacks were lost",
        );
    }
    level.for_observation(findings);
    (level.now, level.lowered)
}

/// Of "nothing was slow".
pub(super) fn of_no_stall(findings: &Findings) -> (Confidence, Vec<Lowered>) {
    let mut level = Level::new(Confidence::High);
    level.for_observation(findings);
    (level.now, level.lowered)
}

/// Whether so much was seen that seeing nothing slow means something.
pub(super) fn sees_enough(findings: &Findings) -> bool {
    findings.losses.request_share < rules::MUCH_LOSS && missing(&findings.hooks).next().is_none()
}

/// Hooks that were needed and are not there.
pub(super) fn missing(hooks: &[Hook]) -> impl Iterator<Item = &Hook> {
    hooks.iter().filter(|hook| match hook.state {
        HookState::Missing | HookState::Failed => true,
        HookState::Attached | HookState::NotNeeded => false,
    })
}

/// Of a cause whose discards are all inferred: whether their submitter fell asleep when they were submitted (D7).
fn inferred(findings: &Findings, cause: &Hypothesis) -> Option<bool> {
    let ours = findings.discards.iter().filter(|group| {
        Some(&group.device) == cause.device.as_ref() && Some(group.origin) == cause.origin
    });
    let mut ours = ours.peekable();
    ours.peek()?;
    let mut is_waiting = true;
    for group in ours {
        let gap_ns = group.inferred_gap_ns;
        is_waiting &= gap_ns.is_some_and(|ns| ns <= rules::SAME_SLEEP_NS);
        if !group.inferred {
            return None;
        }
    }
    Some(is_waiting)
}

struct Level {
    now: Confidence,
    lowered: Vec<Lowered>,
}

impl Level {
    const fn new(now: Confidence) -> Self {
        Self {
            now,
            lowered: Vec::new(),
        }
    }

    fn for_observation(&mut self, findings: &Findings) {
        let losses = &findings.losses;
        self.for_loss(
            losses.request_share,
            LoweredBy::LostRequests,
            "of the requests were lost",
        );
        if losses.record_share >= rules::SOME_LOSS {
            let text = format!("{} of the records were lost", share(losses.record_share));
            self.one_less(LoweredBy::LostRecords, text);
        }
        if let Some(hook) = missing(&findings.hooks).next() {
            self.one_less(
                LoweredBy::MissingHook,
                format!("the hook {} was not there", hook.hook),
            );
        }
        let length_ns = findings.window.length_ns;
        if length_ns < rules::SHORT_WINDOW_NS {
            let text = format!("the window was {} only", duration(length_ns));
            self.at_most(Confidence::Low, LoweredBy::ShortWindow, text);
        }
    }

    fn for_loss(&mut self, lost: f64, by: LoweredBy, of_what: &str) {
        let text = format!("{} {of_what}", share(lost));
        if lost >= rules::MUCH_LOSS {
            self.at_most(Confidence::Low, by, text);
        } else if lost >= rules::SOME_LOSS {
            self.one_less(by, text);
        }
    }

    fn one_less(&mut self, by: LoweredBy, text: String) {
        let to = match self.now {
            Confidence::High => Confidence::Medium,
            Confidence::Medium | Confidence::Low => Confidence::Low,
        };
        self.at_most(to, by, text);
    }

    fn at_most(&mut self, to: Confidence, by: LoweredBy, text: String) {
        if to < self.now {
            self.lowered.push(Lowered {
                by,
                from: self.now,
                to,
                text,
            });
            self.now = to;
        }
    }
}
