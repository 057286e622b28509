//! Weighs who holds locks that others wait for: rule L.

use std::collections::BTreeMap;

use super::comparison::{Outcome, refuted, supported, undecided};
use super::evidence::{self, Scales};
use super::not_weighed;
use super::rules;
use super::stalls::Stalls;
use crate::reason::is_storage;
use crate::total::Total as _;
use crate::{Findings, ratio};
use stall_report::model::{
    BlockedTask, Chain, ChainLink, Confidence, Fact, Hypothesis, Kind, Reason, Standing,
};

/// One hypothesis for each of the processes at the end of chains, of those others waited for most.
pub(super) fn weigh_all(
    findings: &Findings,
    stalls: &Stalls,
    weighed: &[Hypothesis],
) -> Vec<Hypothesis> {
    let mut holders = BTreeMap::<u32, Vec<&Chain>>::new();
    for chain in &findings.chains {
        if let Some(holder) = holder(chain) {
            holders.entry(holder.pid).or_default().push(chain);
        }
    }
    let cases = holders.into_iter().map(|(pid, chains)| Case {
        findings,
        pid,
        chains,
    });
    let mut cases: Vec<Case<'_>> = cases.collect();
    cases.sort_by_key(|case| std::cmp::Reverse(case.caused_ns()));
    let most = cases.iter().take(rules::LOCK_HOLDERS);
    most.map(|case| case.weigh(stalls, weighed)).collect()
}

/// The process a chain of others ends at, unless it works for others.
pub(super) fn holder(chain: &Chain) -> Option<&ChainLink> {
    let (first, last) = (chain.links.first()?, chain.links.last()?);
    let is_one = chain.links.len() > 1 && first.pid != last.pid;
    (is_one && !last.kernel_thread && !first.kernel_thread).then_some(last)
}

/// Chains that end at the holder of a hypothesis, the most waited in first.
pub(super) fn chains_of<'a>(
    findings: &'a Findings,
    cause: &'a Hypothesis,
) -> impl Iterator<Item = &'a Chain> {
    let is_its = |chain: &&Chain| holder(chain).is_some_and(|one| Some(one.pid) == cause.pid);
    findings.chains.iter().filter(is_its)
}

struct Case<'a> {
    findings: &'a Findings,
    pid: u32,
    chains: Vec<&'a Chain>,
}

impl Case<'_> {
    fn weigh(&self, stalls: &Stalls, weighed: &[Hypothesis]) -> Hypothesis {
        let mut scales = Scales::default();
        let share = ratio(self.caused_ns(), self.blocked_ns()).map(|share| share.min(1.0));
        let outcome = self.decide(stalls, weighed, share, &mut scales);
        let last = self.chains.first().and_then(|chain| holder(chain));
        Hypothesis {
            device: self.device().map(str::to_owned),
            pid: Some(self.pid),
            actors: last.and_then(|link| link.actor).into_iter().collect(),
            standing: outcome.standing,
            confidence: outcome.confidence,
            score: match outcome.standing {
                Standing::Refuted => Some(0.0),
                Standing::Supported | Standing::Undecided | Standing::NotWeighed => share,
            },
            rule: Some(outcome.rule.to_owned()),
            evidence_for: scales.evidence_for,
            evidence_against: scales.evidence_against,
            ..not_weighed(Kind::LockHolder)
        }
    }

    fn decide(
        &self,
        stalls: &Stalls,
        weighed: &[Hypothesis],
        share: Option<f64>,
        scales: &mut Scales,
    ) -> Outcome {
        let sleeps = self.chains.iter().map(|chain| chain.sleeps).total();
        let text = "waited for locks it held, by the tasks it let go on";
        let caused = evidence::of_time(Fact::LockTime, self.caused_ns(), None, text);
        let of_window = ratio(self.caused_ns(), self.findings.window.length_ns);
        let counts = of_window.is_some_and(|part| part >= rules::HURT_WINDOW_SHARE)
            && sleeps >= rules::LOCK_SLEEPS
            && stalls.any();
        scales.put(counts, caused);
        let Some(share) = share.filter(|_| counts) else {
            return refuted("L1");
        };
        if let Some(other) = self.explained_by(weighed) {
            let text = "explained by what is wrong with the disk it waits for itself";
            let explained = other.score.unwrap_or(1.0);
            scales.put(
                false,
                evidence::of_share(Fact::DiskExplained, explained, None, text),
            );
            return undecided("L2");
        }
        let text = "of the time other processes were in D for storage ends at it";
        let bound = rules::LOCK.medium;
        scales.put(
            share >= bound,
            evidence::of_share(Fact::LockShare, share, Some(bound), text),
        );
        level(share, sleeps)
    }

    fn caused_ns(&self) -> u64 {
        let times = self.chains.iter().map(|chain| chain.waited_ns);
        times.fold(0, u64::saturating_add)
    }

    /// Of other processes, for storage.
    fn blocked_ns(&self) -> u64 {
        let tasks = self.findings.blocked.iter();
        let others =
            tasks.filter(|task| task.process.pid != self.pid && !task.process.kernel_thread);
        others.fold(0, |sum, task| sum.saturating_add(storage_ns(task)))
    }

    /// The one it waits for the longest, if for any.
    fn device(&self) -> Option<&str> {
        let mut by_device = BTreeMap::<&str, u64>::new();
        for chain in &self.chains {
            let device = holder(chain).and_then(|link| link.device.as_deref());
            if let Some(device) = device {
                let sum = by_device.entry(device).or_default();
                *sum = sum.saturating_add(chain.waited_ns);
            }
        }
        let longest = by_device.into_iter().max_by_key(|(_, ns)| *ns);
        longest.map(|(device, _)| device)
    }

    /// Rule L2.
    fn explained_by<'a>(&self, weighed: &'a [Hypothesis]) -> Option<&'a Hypothesis> {
        let device = self.device()?;
        weighed.iter().find(|one| {
            one.standing == Standing::Supported
                && one.device.as_deref() == Some(device)
                && one.confidence >= Some(Confidence::Medium)
        })
    }
}

/// Rule L3.
fn level(share: f64, sleeps: u64) -> Outcome {
    let bounds = rules::LOCK;
    if share >= bounds.high && sleeps >= rules::MANY_LOCK_SLEEPS {
        supported("L3", Confidence::High)
    } else if share >= bounds.medium {
        supported("L3", Confidence::Medium)
    } else if share >= bounds.low {
        supported("L3", Confidence::Low)
    } else {
        refuted("L3")
    }
}

/// Time of a task in D in the window for reasons that have to do with storage; short sleeps count as such.
pub(super) fn storage_ns(task: &BlockedTask) -> u64 {
    task.short_ns.saturating_add(sleeping_ns(task, is_storage))
}

/// Time of a task in D in the window for some reasons, short sleeps left out.
pub(super) fn sleeping_ns(task: &BlockedTask, is_meant: impl Fn(Reason) -> bool) -> u64 {
    let ended = task.stacks.iter().filter(|row| is_meant(row.reason));
    let unfinished = task.unfinished.iter();
    let unfinished = unfinished.filter(|sleep| is_meant(sleep.reason));
    let times = ended.map(|row| row.blocked_ns);
    let times = times.chain(unfinished.map(|sleep| sleep.in_window_ns));
    times.fold(0, u64::saturating_add)
}
