//! From the waits on one disk to what caused them: shares, culprits, victims, and how sure that is.

use crate::total::Total as _;
use std::collections::BTreeMap;

use stall_report::model::{Confidence, Kind};

use super::disk::{Cause, Disk, Wait, Work, join};
use super::finding::{Culprits, Finding};
use super::rules;
use super::workload::{Base, Workloads, smallest_group};

/// What one disk's waits were for, one or several findings.
pub(super) fn findings(
    disk: &Disk,
    workloads: &Workloads<'_>,
    window: (u64, u64),
    told_ns: u64,
) -> Vec<Finding> {
    let all: Vec<&Wait> = disk
        .waits
        .iter()
        .filter(|wait| wait.to_ns > window.0)
        .collect();
    let Some(whole) = decide(disk, workloads, &all, window, told_ns) else {
        return Vec::new();
    };
    let parts = by_time(disk, workloads, &all, window, told_ns);
    if parts.len() > 1 {
        return parts;
    }
    vec![whole]
}

/// Stretches of time in which one cause prevails, when there are several such causes.
fn by_time(
    disk: &Disk,
    workloads: &Workloads<'_>,
    all: &[&Wait],
    window: (u64, u64),
    told_ns: u64,
) -> Vec<Finding> {
    let bin_ns = (window.1.saturating_sub(window.0) / 400).max(100_000_000);
    let mut bins: BTreeMap<u64, BTreeMap<Cause, f64>> = BTreeMap::new();
    for wait in all {
        let (first, last) = (wait.from_ns / bin_ns, wait.to_ns.saturating_sub(1) / bin_ns);
        for bin in first..=last {
            let span = (bin * bin_ns, (bin + 1).saturating_mul(bin_ns));
            let ns = wait
                .to_ns
                .min(span.1)
                .saturating_sub(wait.from_ns.max(span.0)) as f64;
            let sums = bins.entry(bin).or_default();
            for (cause, part) in &wait.parts {
                *sums.entry(head(workloads, *cause)).or_insert(0.0) += ns * wait.weight * part;
            }
        }
    }
    let prevailing = |sums: &BTreeMap<Cause, f64>| {
        let most = sums.iter().max_by(|one, other| one.1.total_cmp(other.1));
        most.map(|(cause, _)| *cause)
    };
    let mut runs: Vec<(Cause, u64, u64)> = Vec::new();
    for (bin, sums) in &bins {
        let Some(cause) = prevailing(sums) else {
            continue;
        };
        match runs.last_mut() {
            Some(last)
                if last.0 == cause
                    && (bin - last.2).saturating_mul(bin_ns) <= rules::GAP_NS.max(bin_ns) =>
            {
                last.2 = *bin;
            }
            _ => runs.push((cause, *bin, *bin)),
        }
    }
    // Short ones are noise of the borders.
    runs.retain(|(_, first, last)| {
        (last - first + 1).saturating_mul(bin_ns) >= told_ns.max(3 * bin_ns)
    });
    let mut causes: Vec<Cause> = runs.iter().map(|run| run.0).collect();
    causes.sort_unstable();
    causes.dedup();
    if causes.len() < 2 || runs.len() > 12 {
        return Vec::new();
    }
    let of_cause = |cause: &Cause| {
        let mine = runs.iter().filter(|run| run.0 == *cause);
        let spans: Vec<(u64, u64)> = mine
            .map(|run| (run.1 * bin_ns, (run.2 + 1).saturating_mul(bin_ns)))
            .collect();
        let is_in = |wait: &&&Wait| {
            let middle = wait.from_ns.midpoint(wait.to_ns);
            spans.iter().any(|span| span.0 <= middle && middle < span.1)
        };
        let waits: Vec<&Wait> = all.iter().filter(is_in).copied().collect();
        decide(disk, workloads, &waits, window, told_ns)
    };
    causes.iter().filter_map(of_cause).collect()
}

/// Workloads of one program are one cause.
fn head(workloads: &Workloads<'_>, cause: Cause) -> Cause {
    let Cause::By(base, work) = cause else {
        return cause;
    };
    // Which of the kernel's workers discards for a filesystem changes from one moment to the next.
    let worker = |base: Base| work == Work::Discard && workloads.get(base).is_kernel;
    let is_same = |one: &Base| {
        workloads.same_program(*one, base)
            || (worker(*one) && worker(base) && !workloads.get(*one).is_unknown)
    };
    let first = (0..base).find(is_same);
    Cause::By(first.unwrap_or(base), work)
}

/// What a set of waits was for.
struct Sums {
    /// Time lost by each victim: in how much of the time at least one of its requests was overdue.
    lost_ns: BTreeMap<Base, u64>,
    /// The same, by what it was for.
    by_victim: BTreeMap<Base, BTreeMap<Cause, f64>>,
    requests: f64,
    moments: usize,
    span: (u64, u64),
}

impl Sums {
    fn new(waits: &[&Wait]) -> Self {
        let mut spans = BTreeMap::<Base, Vec<(u64, u64)>>::new();
        let mut recorded_ns = BTreeMap::<Base, f64>::new();
        let mut by_victim = BTreeMap::<Base, BTreeMap<Cause, f64>>::new();
        let mut moments = Vec::new();
        let mut requests = 0.0;
        for wait in waits {
            spans
                .entry(wait.victim)
                .or_default()
                .push((wait.from_ns, wait.to_ns));
            let sums = by_victim.entry(wait.victim).or_default();
            let ns = wait.to_ns.saturating_sub(wait.from_ns) as f64;
            *recorded_ns.entry(wait.victim).or_default() += ns;
            for (cause, part) in &wait.parts {
                *sums.entry(*cause).or_insert(0.0) += ns * wait.weight * part;
            }
            requests += wait.weight;
            moments.push(wait.to_ns / 100_000_000);
        }
        moments.sort_unstable();
        moments.dedup();
        let mut lost_ns = BTreeMap::new();
        let from = waits.iter().map(|wait| wait.from_ns).min().unwrap_or(0);
        let to = waits.iter().map(|wait| wait.to_ns).max().unwrap_or(0);
        for (victim, mut spans) in spans {
            let sums = by_victim.entry(victim).or_default();
            let whole: f64 = sums.values().sum();
            spans.sort_unstable();
            let joined = join(spans, 0);
            let seen = joined.iter().map(|(from, to)| to - from).total() as f64;
            // Those that were recorded stand for others: in as much more time, but no more than there was.
            let recorded = recorded_ns.get(&victim).copied().unwrap_or(0.0);
            let lost = (seen * (whole / recorded.max(1.0)).max(1.0)).min((to - from) as f64);
            lost_ns.insert(victim, lost as u64);
            // A victim with many requests at once weighs by the time it lost.
            for part in sums.values_mut() {
                *part *= lost / whole.max(1.0);
            }
        }
        Self {
            lost_ns,
            by_victim,
            requests,
            moments: moments.len(),
            span: (from, to),
        }
    }

    /// Whether a workload holds others up by much, and is itself held up by nobody else.
    fn is_active(&self, base: Base, workloads: &Workloads<'_>) -> bool {
        let holds_up = |(victim, sums): (&Base, &BTreeMap<Cause, f64>)| {
            let by: f64 = sums
                .iter()
                .filter(|(cause, _)| matches!(cause, Cause::By(by, _) if *by == base))
                .map(|(_, part)| part)
                .sum();
            let by_program: f64 = sums
                .iter()
                .filter(|(cause, _)| {
                    matches!(cause, Cause::By(by, _) if *by == base || workloads.same_program(*by, base))
                })
                .map(|(_, part)| part)
                .sum();
            *victim != base
                && by > 0.0
                && !workloads.same_program(*victim, base)
                && by_program >= rules::FURTHER * self.lost(*victim)
        };
        let suffered = self.balance(base).1;
        self.by_victim.iter().any(holds_up) && suffered < rules::CAUSE * self.lost(base)
    }

    fn part(&self, victim: Base, cause: Cause) -> f64 {
        let sums = self.by_victim.get(&victim);
        sums.and_then(|sums| sums.get(&cause))
            .copied()
            .unwrap_or(0.0)
    }

    /// What a workload waited for itself.
    fn own(&self, victim: Base) -> f64 {
        self.part(victim, Cause::Own) + self.part(victim, Cause::OwnDiscards)
    }

    fn most_lost(&self, some: &[Base]) -> f64 {
        some.iter().map(|one| self.lost(*one)).fold(0.0, f64::max)
    }

    /// Whether one of them lost what is told.
    fn is_told(&self, some: &[Base], told_ns: u64) -> bool {
        self.most_lost(some) >= told_ns as f64
    }

    /// Lost by some of them but for those, at least a nanosecond.
    fn all_lost(&self, some: &[Base], without: &[Base]) -> f64 {
        let others = some.iter().filter(|one| !without.contains(one));
        others.map(|one| self.lost(*one)).sum::<f64>().max(1.0)
    }

    fn lost(&self, victim: Base) -> f64 {
        self.lost_ns.get(&victim).copied().unwrap_or(0) as f64
    }

    /// What others waited for one workload, and what it waited for others.
    fn balance(&self, base: Base) -> (f64, f64) {
        let mut caused = 0.0;
        let mut suffered = 0.0;
        for (victim, sums) in &self.by_victim {
            for (cause, part) in sums {
                match cause {
                    Cause::By(by, _) if *by == base && *victim != base => caused += part,
                    Cause::By(by, _) if *by != base && *victim == base => suffered += part,
                    _ => {}
                }
            }
        }
        (caused, suffered)
    }
}

fn decide(
    disk: &Disk,
    workloads: &Workloads<'_>,
    waits: &[&Wait],
    window: (u64, u64),
    told_ns: u64,
) -> Option<Finding> {
    let sums = Sums::new(waits);
    let most_lost = sums.lost_ns.values().copied().max()?;
    if most_lost < told_ns {
        return None;
    }
    let is_own = |victim: &Base| sums.own(*victim) >= rules::CAUSE * sums.lost(*victim);
    let (own, mut victims): (Vec<Base>, Vec<Base>) = sums.lost_ns.keys().copied().partition(is_own);
    victims.retain(|victim| !workloads.get(*victim).is_unknown);
    // Who holds others up, and waits itself for what it asked for, is not who suffers.
    let (active, others): (Vec<Base>, Vec<Base>) = victims
        .iter()
        .copied()
        .partition(|base| sums.is_active(*base, workloads));
    let mut spared = Vec::new();
    if sums.is_told(&others, told_ns) {
        (spared, victims) = (active, others);
    }
    let case = Case {
        disk,
        workloads,
        told_ns,
        enough: sums.requests >= rules::MANY_REQUESTS && sums.moments >= rules::MANY_MOMENTS,
        base: Finding {
            disk: Some(disk.index),
            start_ns: sums.span.0.max(window.0),
            end_ns: sums.span.1.min(window.1),
            requests: sums.requests,
            ..Finding::new(Kind::Inconclusive)
        },
        sums,
    };
    if !case.sums.is_told(&victims, told_ns) {
        // Only those who wait for themselves.
        return Some(case.own(&own));
    }
    let groups = case.groups(&victims);
    if let Some(finding) = case.culprit(&victims, &groups) {
        return Some(finding);
    }
    let mut everybody = victims.clone();
    everybody.extend(spared);
    // Nobody holds them up by half: then all of them are victims, and the disk is slow for all.
    let device = case.device(&everybody).min(case.device(&victims));
    Some(case.nobody(&victims, &everybody, device, groups))
}

/// What one cause is looked for in.
struct Case<'a> {
    disk: &'a Disk,
    workloads: &'a Workloads<'a>,
    sums: Sums,
    told_ns: u64,
    /// Requests and moments for high confidence.
    enough: bool,
    base: Finding,
}

/// Who held others up, with their part of what these lost, and the time.
type Groups = Vec<(Culprits, f64)>;

impl Case<'_> {
    /// Those who wait for themselves: for what they asked for, or for what they discard.
    fn own(&self, own: &[Base]) -> Finding {
        let lost: f64 = own.iter().map(|one| self.sums.lost(*one)).sum();
        let trimmed = |one: &Base| self.sums.part(*one, Cause::OwnDiscards);
        let trims = own.iter().map(trimmed).sum::<f64>() / lost.max(1.0);
        let base = self.base.clone().with_victims(own, &self.sums.lost_ns);
        if trims >= rules::CAUSE {
            let most = own
                .iter()
                .max_by(|one, other| trimmed(one).total_cmp(&trimmed(other)));
            return Finding {
                kind: Kind::HostTrim,
                share: Some(trims),
                confidence: Some(self.of_discards(level(trims, self.enough))),
                culprits: vec![Culprits {
                    bases: most.into_iter().copied().collect(),
                    share: trims,
                    work: Work::Discard,
                }],
                ..base
            };
        }
        let share = own.iter().map(|one| self.sums.own(*one)).sum::<f64>() / lost.max(1.0);
        Finding {
            kind: Kind::OwnLoad,
            share: Some(share),
            confidence: Some(level(share, self.enough)),
            ..base
        }
    }

    fn of_discards(&self, confidence: Confidence) -> Confidence {
        if self.disk.discards.is_doubtful() {
            return Confidence::Low;
        }
        confidence
    }

    /// Who held the victims up, each the smallest group that accounts for its share, the largest share first.
    fn groups(&self, victims: &[Base]) -> Groups {
        let mut by: BTreeMap<Work, BTreeMap<Base, f64>> = BTreeMap::new();
        for victim in victims {
            for (cause, part) in self.sums.by_victim.get(victim).into_iter().flatten() {
                if let Cause::By(base, work) = cause {
                    *by.entry(*work).or_default().entry(*base).or_insert(0.0) += part;
                }
            }
        }
        let all = self.sums.all_lost(victims, &[]);
        let mut groups = Groups::new();
        for (work, mut left) in by {
            while let Some((top, part)) = largest(&left) {
                if part < all * 0.02 {
                    break;
                }
                let (bases, sum) = smallest_group(self.workloads, &left, top);
                for one in &bases {
                    left.remove(one);
                }
                // Who is among the victims is weighed by what the others waited.
                let share = sum / self.sums.all_lost(victims, &bases);
                groups.push((Culprits { bases, share, work }, sum));
            }
        }
        groups.sort_by(|one, other| other.0.share.total_cmp(&one.0.share));
        groups
    }

    /// Whether somebody lost what is told but for the culprits; of a victim, whether it does more to others than they to it.
    fn is_guilty(&self, victims: &[Base], one: &Culprits) -> bool {
        let others: Vec<Base> = victims
            .iter()
            .copied()
            .filter(|victim| !one.bases.contains(victim))
            .collect();
        let suffers = |base: &Base| {
            let (caused, suffered) = self.sums.balance(*base);
            victims.contains(base) && suffered > caused
        };
        self.sums.is_told(&others, self.told_ns)
            && !(one.work == Work::Io && one.bases.iter().all(suffers))
    }

    /// A workload with half of it.
    fn culprit(&self, victims: &[Base], groups: &Groups) -> Option<Finding> {
        let all = self.sums.all_lost(victims, &[]);
        let of = |is_one: &dyn Fn(&Culprits) -> bool| {
            let those = groups.iter().filter(|(one, _)| is_one(one));
            those.map(|(_, sum)| sum).sum::<f64>() / all
        };
        // Several that flush together are one cause, and so are the kernel's workers that discard for a filesystem.
        let is_flush = |one: &Culprits| one.work == Work::Flush;
        let is_worker = |one: &Culprits| {
            let is_kernel = |base: &Base| self.workloads.get(*base).is_kernel;
            one.work == Work::Discard && one.bases.iter().all(is_kernel)
        };
        let together = |one: &Culprits| {
            if is_flush(one) {
                one.share.max(of(&is_flush))
            } else if is_worker(one) {
                one.share.max(of(&is_worker))
            } else {
                one.share
            }
        };
        let guilty = groups.iter().map(|(one, _)| one);
        let guilty: Vec<&Culprits> = guilty.filter(|one| self.is_guilty(victims, one)).collect();
        let first = guilty.first().filter(|one| together(one) >= rules::CAUSE)?;
        let culprits: Vec<Culprits> = guilty
            .iter()
            .filter(|one| one.share >= rules::FURTHER)
            .map(|one| (*one).clone())
            .collect();
        let is_culprit = |one: &Base| culprits.iter().any(|other| other.bases.contains(one));
        let victims: Vec<Base> = victims
            .iter()
            .copied()
            .filter(|one| !is_culprit(one))
            .collect();
        let share = together(first);
        let mut confidence = level(share, self.enough);
        if first.work == Work::Discard {
            confidence = self.of_discards(confidence);
        }
        if self.workloads.get(first.bases[0]).is_kernel {
            confidence = confidence.min(Confidence::Medium);
        }
        Some(Finding {
            kind: match first.work {
                Work::Io => Kind::NoisyNeighbor,
                Work::Discard => Kind::HostTrim,
                Work::Flush => Kind::Flushes,
            },
            share: Some(share.min(1.0)),
            confidence: Some(confidence),
            culprits,
            ..self.base.clone().with_victims(&victims, &self.sums.lost_ns)
        })
    }

    /// Part of what some lost that is the disk's own.
    fn device(&self, some: &[Base]) -> f64 {
        let device = some.iter().map(|one| self.sums.part(*one, Cause::Device));
        device.sum::<f64>() / self.sums.all_lost(some, &[])
    }

    /// The disk, all of them together, or it cannot be told.
    fn nobody(&self, victims: &[Base], everybody: &[Base], device: f64, groups: Groups) -> Finding {
        let all = self.sums.all_lost(victims, &[]);
        let own = victims.iter().map(|one| self.sums.own(*one)).sum::<f64>();
        let queue = (groups.iter().map(|(_, sum)| sum).sum::<f64>() + own) / all;
        let is_crowd = groups.len() > 1;
        let large = |(one, _): &(Culprits, f64)| one.share >= rules::FURTHER;
        let base = Finding {
            culprits: Vec::new(),
            ..self
                .base
                .clone()
                .with_victims(everybody, &self.sums.lost_ns)
        };
        if device >= rules::CAUSE || self.disk.is_slow_alone {
            let long = self.sums.most_lost(victims) >= 2.0 * self.told_ns as f64;
            return Finding {
                kind: Kind::SlowDevice,
                share: Some(device),
                confidence: Some(level(device, self.enough || long)),
                ..base
            };
        }
        let culprits = groups.into_iter().filter(large).map(|(one, _)| one);
        if queue >= rules::CAUSE && is_crowd {
            return Finding {
                kind: Kind::Overload,
                share: Some(queue.min(1.0)),
                confidence: Some(level(queue, self.enough).min(Confidence::Medium)),
                culprits: culprits.collect(),
                ..base
            };
        }
        let culprits = culprits.filter(|one| self.is_guilty(victims, one));
        Finding {
            culprits: culprits.collect(),
            ..base
        }
    }
}

fn largest(shares: &BTreeMap<Base, f64>) -> Option<(Base, f64)> {
    let most = shares
        .iter()
        .max_by(|one, other| one.1.total_cmp(other.1))?;
    Some((*most.0, *most.1))
}

fn level(share: f64, enough: bool) -> Confidence {
    match (share >= rules::SURE, enough) {
        (true, true) => Confidence::High,
        (true, false) | (false, true) => Confidence::Medium,
        (false, false) => Confidence::Low,
    }
}
