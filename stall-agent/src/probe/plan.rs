//! From facts to the programs to load; pure.

use super::catalog::{CATALOG, Kind, Need, Row};
use crate::capture::{Hook, HookState};
use crate::kernel::support::Facts;

/// What to do with one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub row: Row,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Load,
    /// Another program of its group serves.
    NotNeeded,
    /// The kernel lacks the hook, or it passes something else; why, in words.
    Missing(String),
}

/// Decides for every program of the catalog, in its order.
#[must_use]
pub fn plan(facts: &Facts) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for row in CATALOG {
        let served = steps
            .iter()
            .any(|step| step.row.group == row.group && step.verdict == Verdict::Load);
        let verdict = match fits(row, facts) {
            Ok(()) if served => Verdict::NotNeeded,
            Ok(()) => Verdict::Load,
            Err(_) if served => Verdict::NotNeeded,
            Err(why) => Verdict::Missing(why),
        };
        steps.push(Step { row: *row, verdict });
    }
    steps
}

/// The first required group no program serves: its hook, and why.
#[must_use]
pub fn lacking(steps: &[Step]) -> Option<(&'static str, String)> {
    steps.iter().find_map(|step| {
        let served = steps
            .iter()
            .any(|other| other.row.group == step.row.group && other.verdict == Verdict::Load);
        match &step.verdict {
            Verdict::Missing(why) if step.row.need == Need::Required && !served => {
                Some((step.row.hook, why.clone()))
            }
            Verdict::Missing(_) | Verdict::Load | Verdict::NotNeeded => None,
        }
    })
}

impl Step {
    /// The row of the capture for a program that is not loaded, or that is.
    #[must_use]
    pub fn hook(&self) -> Hook {
        let (state, reason) = match &self.verdict {
            Verdict::Load => (HookState::Attached, None),
            Verdict::NotNeeded => (HookState::NotNeeded, None),
            Verdict::Missing(why) => (HookState::Missing, Some(self.lack(why))),
        };
        Hook {
            program: self.row.program.to_owned(),
            hook: self.row.hook.to_owned(),
            state,
            reason,
        }
    }

    fn lack(&self, why: &str) -> String {
        match self.row.need {
            Need::Required => why.to_owned(),
            Need::Optional(lack) => format!("{why}: {lack}"),
        }
    }
}

fn fits(row: &Row, facts: &Facts) -> Result<(), String> {
    if row.kind == Kind::Iterator {
        return if facts.iterators.contains(&row.hook) {
            Ok(())
        } else {
            Err(format!("the kernel has no {} iterator", row.hook))
        };
    }
    match facts.tracepoints.get(row.hook) {
        None => Err(format!("the kernel has no tracepoint {}", row.hook)),
        Some(args) if (row.args.0..=row.args.1).contains(args) => Ok(()),
        Some(args) => Err(format!("tracepoint {} passes {args} arguments", row.hook)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stall_common::layout::Layout;

    fn facts(tracepoints: &[(&'static str, usize)]) -> Facts {
        Facts {
            tracepoints: tracepoints.iter().copied().collect(),
            iterators: vec!["task"],
            layout: Layout::UNRESOLVED,
        }
    }

    const RECENT: &[(&str, usize)] = &[
        ("block_io_start", 1),
        ("block_rq_complete", 3),
        ("block_rq_insert", 1),
        ("block_rq_issue", 1),
        ("block_rq_merge", 1),
        ("block_rq_requeue", 1),
        ("sched_process_exit", 2),
        ("sched_switch", 4),
        ("sched_waking", 1),
    ];

    fn loaded(steps: &[Step]) -> Vec<&'static str> {
        steps
            .iter()
            .filter(|step| step.verdict == Verdict::Load)
            .map(|step| step.row.program)
            .collect()
    }

    #[test]
    fn a_recent_kernel_needs_no_stand_in() {
        let steps = plan(&facts(RECENT));
        assert_eq!(lacking(&steps), None);
        let loaded = loaded(&steps);
        assert!(loaded.contains(&"block_io_start") && loaded.contains(&"sched_switch"));
        assert!(!loaded.contains(&"block_rq_insert") && !loaded.contains(&"sched_switch_three"));
    }

    #[test]
    fn an_older_kernel_gets_the_stand_ins() {
        let mut older: Vec<_> = RECENT.to_vec();
        older.retain(|(hook, _)| *hook != "block_io_start" && *hook != "sched_switch");
        older.push(("sched_switch", 3));
        let steps = plan(&facts(&older));
        assert_eq!(lacking(&steps), None);
        let loaded = loaded(&steps);
        assert!(loaded.contains(&"block_rq_insert") && loaded.contains(&"sched_switch_three"));
    }

    #[test]
    fn a_missing_required_hook_is_named() {
        let mut without: Vec<_> = RECENT.to_vec();
        without.retain(|(hook, _)| *hook != "block_rq_issue");
        let (hook, why) = lacking(&plan(&facts(&without))).unwrap();
        assert_eq!(hook, "block_rq_issue");
        assert!(why.contains("no tracepoint"));
    }

    #[test]
    fn an_optional_hook_says_what_the_report_lacks() {
        let mut without: Vec<_> = RECENT.to_vec();
        without.retain(|(hook, _)| *hook != "block_rq_requeue");
        let steps = plan(&facts(&without));
        assert_eq!(lacking(&steps), None);
        let step = steps
            .iter()
            .find(|step| step.row.hook == "block_rq_requeue")
            .unwrap();
        assert!(
            step.hook()
                .reason
                .unwrap()
                .contains("requeues are not counted")
        );
    }
}
