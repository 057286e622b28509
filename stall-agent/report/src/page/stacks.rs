//! Kernel stacks, shown when asked for.

use maud::{Markup, Render, html};

use super::foreign;
use crate::model::{BlockedTask, Reason};
use crate::text::word;
use crate::{Report, duration, thousands};

/// Of one thread.
const SHOWN: usize = 4;
const SLEEPS: usize = 5;
const FRAMES: usize = 24;

/// What there is to know of one thread's sleeps.
pub(super) struct Stacks<'a> {
    report: &'a Report,
    task: &'a BlockedTask,
}

impl<'a> Stacks<'a> {
    pub(super) const fn of(report: &'a Report, task: &'a BlockedTask) -> Self {
        Self { report, task }
    }

    fn longest(&self) -> Markup {
        let start_ns = self.report.window.start_ns;
        let when = |ns: u64| match ns.checked_sub(start_ns) {
            Some(since) => format!("at {}", duration(since)),
            None => format!("since {} before the trace", duration(start_ns - ns)),
        };
        let sleeps = self.task.long_sleeps.iter().take(SLEEPS);
        html! {
            @if !self.task.long_sleeps.is_empty() {
                p.muted {
                    "Longest: "
                    (foreign::joined(sleeps.map(|sleep| format!(
                        "{} {} for {}", when(sleep.start_ns), duration(sleep.length_ns), word(&sleep.reason)
                    )).collect()))
                }
            }
        }
    }
}

impl Render for Stacks<'_> {
    fn render(&self) -> Markup {
        let unfinished = self.task.unfinished.as_ref();
        html! {
            (self.longest())
            @if let Some(sleep) = unfinished {
                (one(self.report, sleep.stack, &reason(sleep.reason, sleep.decided_by.as_deref()),
                     &format!("asleep for {} and not yet woken", duration(sleep.age_ns))))
            }
            @for row in self.task.stacks.iter().take(SHOWN) {
                (one(self.report, row.stack, &reason(row.reason, row.decided_by.as_deref()),
                     &format!("{} sleeps, {}", thousands(row.sleeps), duration(row.blocked_ns))))
            }
            @if self.task.stacks.len() > SHOWN {
                p.muted { (self.task.stacks.len() - SHOWN) " more stacks are in the report." }
            }
        }
    }
}

fn reason(reason: Reason, decided_by: Option<&str>) -> String {
    let by = decided_by.map(|by| format!(" ({})", foreign::text(by)));
    format!("for {}{}", word(&reason), by.unwrap_or_default())
}

/// One stack with what is said of it.
pub(super) fn one(report: &Report, index: Option<usize>, what: &str, how_much: &str) -> Markup {
    let stack = index.and_then(|index| report.stacks.get(index));
    html! {
        p.stack { strong { (what) } " " span.muted { (how_much) } }
        @if let Some(stack) = stack {
            ol.frames {
                @for frame in stack.frames.iter().take(FRAMES) {
                    li { (foreign::code(frame.as_deref().unwrap_or("?"), 90)) }
                }
            }
        } @else {
            p.muted { "No stack was taken." }
        }
    }
}
