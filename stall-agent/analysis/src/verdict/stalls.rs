//! Whether anything was slow at all: rules S1 to S3.

use super::evidence::{self, Scales};
use super::{not_weighed, rules};
use crate::Findings;
use crate::reason::is_storage;
use stall_capture::is_discard;
use stall_report::model::{BlockedTask, DiscardGroup, Fact, Hypothesis, Kind, Reason, Standing};
use stall_report::thousands;

/// What was slow.
pub(super) struct Stalls {
    /// Ids of stalled devices, the most waiting first.
    pub(super) devices: Vec<String>,
    /// Rows in `blocked` of tasks that were in D for long.
    pub(super) tasks: Vec<usize>,
    /// Requests on all traced devices that count, and those of them that were slow.
    pub(super) ops: u64,
    pub(super) slow_ops: u64,
    /// Unfinished requests that count, of at least [`rules::SEVERE_NS`].
    stuck: u64,
}

impl Stalls {
    pub(super) fn new(findings: &Findings) -> Self {
        let seen = || {
            findings
                .devices
                .iter()
                .filter_map(|device| Some((device, device.stall.as_ref()?)))
        };
        let mut stalled: Vec<_> = seen().filter(|(_, stall)| stall.stalled).collect();
        stalled.sort_by_key(|(_, stall)| std::cmp::Reverse(stall.waited_ns));
        let severe = |ns: Option<u64>| ns.is_some_and(|ns| ns >= rules::SEVERE_NS);
        Self {
            devices: stalled
                .into_iter()
                .map(|(device, _)| device.id.clone())
                .collect(),
            tasks: long_blocked(findings),
            ops: seen().fold(0, |sum, (_, stall)| sum.saturating_add(stall.ops)),
            slow_ops: seen().fold(0, |sum, (_, stall)| sum.saturating_add(stall.slow_ops)),
            stuck: seen()
                .filter(|(_, stall)| severe(stall.oldest_unfinished_ns))
                .count() as u64,
        }
    }

    pub(super) const fn any(&self) -> bool {
        !self.devices.is_empty() || !self.tasks.is_empty()
    }

    /// "Nothing was slow", with what speaks for it and against.
    pub(super) fn hypothesis(&self) -> Hypothesis {
        let mut scales = Scales::default();
        let slow = format!(
            "{} of {} requests were slow",
            thousands(self.slow_ops),
            thousands(self.ops)
        );
        scales.put(
            self.devices.is_empty(),
            evidence::of_count(Fact::SlowRequests, self.slow_ops, None, slow),
        );
        let tasks = self.tasks.len() as u64;
        let text = format!(
            "{} tasks were in D for a second or longer",
            thousands(tasks)
        );
        scales.put(
            tasks == 0,
            evidence::of_count(Fact::BlockedTasks, tasks, None, text),
        );
        if self.stuck > 0 {
            let text = format!("{} devices have requests a second old or older", self.stuck);
            scales.put(
                false,
                evidence::of_count(Fact::StuckRequests, self.stuck, None, text),
            );
        }
        let standing = if self.any() {
            Standing::Refuted
        } else {
            Standing::Supported
        };
        Hypothesis {
            standing,
            rule: Some("S1, S2, S3".to_owned()),
            evidence_for: scales.evidence_for,
            evidence_against: scales.evidence_against,
            ..not_weighed(Kind::NoStall)
        }
    }
}

/// Rule S3.
fn long_blocked(findings: &Findings) -> Vec<usize> {
    let tasks = findings.blocked.iter().enumerate();
    tasks
        .filter(|(_, task)| is_long(task) && !is_submitter(&findings.discards, task))
        .map(|(row, _)| row)
        .collect()
}

fn is_long(task: &BlockedTask) -> bool {
    let ended = task
        .stacks
        .iter()
        .any(|row| row.longest_ns >= rules::SEVERE_NS && counts(task, row.reason));
    let unfinished = task.unfinished.as_ref();
    ended
        || unfinished
            .is_some_and(|sleep| sleep.age_ns >= rules::SEVERE_NS && counts(task, sleep.reason))
}

/// A kernel thread whose stack has no names may be any driver's; a process's is taken for storage.
fn counts(task: &BlockedTask, reason: Reason) -> bool {
    is_storage(reason) && !(reason == Reason::Unknown && task.process.kernel_thread)
}

fn is_submitter(discards: &[DiscardGroup], task: &BlockedTask) -> bool {
    let submits = |actor| {
        discards
            .iter()
            .any(|group| is_discard(group.op) && group.actor == actor)
    };
    task.trim_function.is_some() || task.actor.is_some_and(submits)
}
