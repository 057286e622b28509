//! What lowers confidence: losses, a missing hook, a short window.

use super::rules;
use crate::findings::Findings;
use stall_report::model::{Confidence, Hook, HookState, Lowered, LoweredBy};
use stall_report::{duration, share};

/// A level, less what was not seen.
pub(super) fn lowered(findings: &Findings, level: Confidence) -> (Confidence, Vec<Lowered>) {
    let mut level = Level::new(level);
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
