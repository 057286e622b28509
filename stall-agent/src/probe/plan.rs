//! From facts to the programs to load; pure.

use crate::kernel::catalog::{CATALOG, Kind, Need, Row};
use crate::kernel::support::Facts;
use stall_capture::{Hook, HookState};

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
        let other = row
            .instead_of
            .is_some_and(|hook| facts.tracepoints.contains_key(hook));
        let served = steps
            .iter()
            .any(|step| step.row.group == row.group && step.verdict == Verdict::Load);
        let served = served || other;
        let verdict = match fits(row, facts) {
            Ok(()) if served => Verdict::NotNeeded,
            Ok(()) => Verdict::Load,
            Err(_) if served => Verdict::NotNeeded,
            Err(why) => Verdict::Missing(why),
        };
        steps.push(Step { row: *row, verdict });
    }
    spare(&mut steps);
    tell_once(&mut steps);
    steps
}

/// What is missing and has a stand-in is not needed.
fn spare(steps: &mut [Step]) {
    let serve = steps.iter().filter(|step| step.verdict == Verdict::Load);
    let served: Vec<&str> = serve.map(|step| step.row.group).collect();
    for step in steps {
        if served.contains(&step.row.group) && step.verdict != Verdict::Load {
            step.verdict = Verdict::NotNeeded;
        }
    }
}

/// Of several of an optional group that are missing, the first says what a report lacks.
fn tell_once(steps: &mut [Step]) {
    let mut told = Vec::new();
    for step in steps {
        let optional = step.row.need != Need::Required && step.missing_because().is_some();
        if optional && told.contains(&step.row.group) {
            step.verdict = Verdict::NotNeeded;
        } else if optional {
            told.push(step.row.group);
        }
    }
}

/// The first required group no program serves: its hooks, and why not.
#[must_use]
pub fn lacking(steps: &[Step]) -> Option<(String, String)> {
    let is_lacking =
        |step: &&Step| step.row.need == Need::Required && step.missing_because().is_some();
    // A group that is served has nothing missing.
    let group = steps.iter().find(is_lacking)?.row.group;
    let of_group = steps.iter().filter(|step| step.row.group == group);
    let mut hooks: Vec<_> = of_group.clone().map(|step| step.row.hook).collect();
    hooks.dedup();
    let mut reasons: Vec<_> = of_group.filter_map(Step::missing_because).collect();
    reasons.dedup();
    Some((hooks.join(" or "), reasons.join(", ")))
}

/// Whether a program is loaded.
#[must_use]
pub fn loads(steps: &[Step], program: &str) -> bool {
    let mut steps = steps.iter();
    steps.any(|step| step.row.program == program && step.verdict == Verdict::Load)
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
            lack: self.missed(),
        }
    }

    fn missing_because(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Missing(why) => Some(why),
            Verdict::Load | Verdict::NotNeeded => None,
        }
    }

    /// What the report lacks, as things stand.
    fn missed(&self) -> Option<String> {
        match (&self.verdict, self.row.need) {
            (Verdict::Missing(_), Need::Optional(lack)) => Some(lack.to_owned()),
            _ => None,
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
            typed_current: true,
        }
    }

    const RECENT: &[(&str, usize)] = &[
        ("block_getrq", 1),
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
        assert!(!loaded.contains(&"block_getrq"));
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
        assert!(loaded.contains(&"block_getrq"));
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
