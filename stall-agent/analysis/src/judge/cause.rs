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
        let mut by_victim = BTreeMap::<Base, BTreeMap<Cause, f64>>::new();
        let mut moments = Vec::new();
        let mut requests = 0.0;
        for wait in waits {
            spans
                .entry(wait.victim)
                .or_default()
                .push((wait.from_ns, wait.to_ns));
            let sums = by_victim.entry(wait.victim).or_default();
            let ns = wait.to_ns.saturating_sub(wait.from_ns) as f64 * wait.weight;
            for (cause, part) in &wait.parts {
                *sums.entry(*cause).or_insert(0.0) += ns * part;
            }
            requests += wait.weight;
            moments.push(wait.to_ns / 100_000_000);
        }
        moments.sort_unstable();
        moments.dedup();
        let mut lost_ns = BTreeMap::new();
        for (victim, mut spans) in spans {
            spans.sort_unstable();
            let lost: u64 = join(spans, 0)
                .iter()
                .map(|(from, to)| to.saturating_sub(*from))
                .total();
            lost_ns.insert(victim, lost);
            // A victim with many requests at once weighs by the time it lost.
            if let Some(sums) = by_victim.get_mut(&victim) {
                let whole: f64 = sums.values().sum();
                for part in sums.values_mut() {
                    *part *= lost as f64 / whole.max(1.0);
                }
            }
        }
        let from = waits.iter().map(|wait| wait.from_ns).min().unwrap_or(0);
        let to = waits.iter().map(|wait| wait.to_ns).max().unwrap_or(0);
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
    let told = others.iter().any(|one| sums.lost(*one) >= told_ns as f64);
    let mut spared = Vec::new();
    if told {
        (spared, victims) = (active, others);
    }
    let lost_of = |some: &[Base]| some.iter().map(|one| sums.lost(*one)).fold(0.0, f64::max);
    let base = Finding {
        disk: Some(disk.index),
        start_ns: sums.span.0.max(window.0),
        end_ns: sums.span.1.min(window.1),
        requests: sums.requests,
        ..Finding::new(Kind::Inconclusive)
    };
    let enough = sums.requests >= rules::MANY_REQUESTS && sums.moments >= rules::MANY_MOMENTS;
    if lost_of(&victims) < told_ns as f64 {
        // Only those who wait for themselves.
        victims.clone_from(&own);
        let lost: f64 = own.iter().map(|one| sums.lost(*one)).sum();
        let of = |part: &dyn Fn(Base) -> f64| {
            own.iter().map(|one| part(*one)).sum::<f64>() / lost.max(1.0)
        };
        let trims = of(&|one| sums.part(one, Cause::OwnDiscards));
        if trims >= rules::CAUSE {
            let part = |one: &Base| sums.part(*one, Cause::OwnDiscards);
            let most = own
                .iter()
                .max_by(|one, other| part(one).total_cmp(&part(other)));
            return Some(Finding {
                kind: Kind::HostTrim,
                share: Some(trims),
                confidence: Some(if disk.discards.doubtful {
                    Confidence::Low
                } else {
                    level(trims, enough)
                }),
                culprits: vec![Culprits {
                    bases: most.into_iter().copied().collect(),
                    share: trims,
                    work: Work::Discard,
                }],
                ..base.with_victims(&victims, &sums.lost_ns)
            });
        }
        let share = of(&|one| sums.own(one));
        return Some(Finding {
            kind: Kind::OwnLoad,
            share: Some(share),
            confidence: Some(level(share, enough)),
            ..base.with_victims(&victims, &sums.lost_ns)
        });
    }
    let whole = |without: &[Base]| {
        let others = victims.iter().filter(|one| !without.contains(one));
        others.map(|one| sums.lost(*one)).sum::<f64>()
    };
    let mut by: BTreeMap<Work, BTreeMap<Base, f64>> = BTreeMap::new();
    let (mut device, mut own_share) = (0.0, 0.0);
    for victim in &victims {
        for (cause, part) in sums.by_victim.get(victim).into_iter().flatten() {
            match cause {
                Cause::By(base, work) => {
                    *by.entry(*work).or_default().entry(*base).or_insert(0.0) += part;
                }
                Cause::Own | Cause::OwnDiscards => own_share += part,
                Cause::Device => device += part,
                Cause::Unknown => {}
            }
        }
    }
    let all = whole(&[]).max(1.0);
    let mut groups: Vec<(Culprits, f64)> = Vec::new();
    for (work, shares) in &by {
        let mut left = shares.clone();
        while let Some((top, part)) = largest(&left) {
            if part < all * 0.02 {
                break;
            }
            let (bases, sum) = smallest_group(workloads, &left, top);
            for one in &bases {
                left.remove(one);
            }
            // Who is among the victims is weighed by what the others waited.
            let of = whole(&bases).max(1.0);
            groups.push((
                Culprits {
                    bases,
                    share: sum / of,
                    work: *work,
                },
                sum,
            ));
        }
    }
    groups.sort_by(|one, other| other.0.share.total_cmp(&one.0.share));
    let others: f64 = groups.iter().map(|(_, sum)| sum).sum::<f64>() / all;
    let is_innocent = |culprits: &Culprits| {
        culprits.work == Work::Io
            && culprits.bases.iter().all(|base| {
                let (caused, suffered) = sums.balance(*base);
                suffered > caused
            })
    };
    let named: Vec<Culprits> = groups
        .iter()
        .map(|(culprits, _)| culprits)
        .filter(|one| !is_innocent(one))
        .cloned()
        .collect();
    let lost = &sums.lost_ns;
    // Several that flush together are one cause.
    let flushes: f64 = groups
        .iter()
        .filter(|(one, _)| one.work == Work::Flush)
        .map(|(_, sum)| sum)
        .sum::<f64>()
        / all;
    // So are the kernel's workers that discard for a filesystem.
    let is_worker = |one: &Culprits| {
        one.work == Work::Discard && one.bases.iter().all(|base| workloads.get(*base).is_kernel)
    };
    let workers: f64 = groups
        .iter()
        .filter(|(one, _)| is_worker(one))
        .map(|(_, sum)| sum)
        .sum::<f64>()
        / all;
    let together = |one: &Culprits| match one.work {
        Work::Flush => one.share.max(flushes),
        Work::Discard if is_worker(one) => one.share.max(workers),
        Work::Io | Work::Discard => one.share,
    };
    let is_cause = |one: &&Culprits| together(one) >= rules::CAUSE;
    if let Some(first) = named.first().filter(is_cause) {
        let culprits: Vec<Culprits> = named
            .iter()
            .filter(|one| one.share >= rules::FURTHER)
            .cloned()
            .collect();
        let kind = match first.work {
            Work::Io => Kind::NoisyNeighbor,
            Work::Discard => Kind::HostTrim,
            Work::Flush => Kind::Flushes,
        };
        let victims: Vec<Base> = victims
            .iter()
            .copied()
            .filter(|one| !culprits.iter().any(|other| other.bases.contains(one)))
            .collect();
        let share = together(first);
        let mut confidence = level(share, enough);
        if first.work == Work::Discard && disk.discards.doubtful {
            confidence = Confidence::Low;
        }
        if workloads.get(first.bases[0]).is_kernel {
            confidence = confidence.min(Confidence::Medium);
        }
        return Some(Finding {
            kind,
            share: Some(share.min(1.0)),
            confidence: Some(confidence),
            culprits,
            ..base.with_victims(&victims, lost)
        });
    }
    if !spared.is_empty() {
        // Nobody holds them up by half: then all of them are victims.
        return decide_all(&sums, &base, spared, &victims, told_ns, enough, &groups);
    }
    let device_share = device / all;
    if device_share >= rules::CAUSE {
        return Some(Finding {
            kind: Kind::SlowDevice,
            share: Some(device_share),
            confidence: Some(level(device_share, enough || most_lost >= 2 * told_ns)),
            ..base.with_victims(&victims, lost)
        });
    }
    let queue = others + own_share / all;
    if queue >= rules::CAUSE && groups.len() > 1 {
        return Some(Finding {
            kind: Kind::Overload,
            share: Some(queue),
            confidence: Some(level(queue, enough).min(Confidence::Medium)),
            culprits: groups.into_iter().map(|(one, _)| one).take(8).collect(),
            ..base.with_victims(&victims, lost)
        });
    }
    Some(Finding {
        culprits: named
            .into_iter()
            .filter(|one| one.share >= rules::FURTHER)
            .collect(),
        ..base.with_victims(&victims, lost)
    })
}

/// The disk's share among all who waited, those who hold others up among them.
fn decide_all(
    sums: &Sums,
    base: &Finding,
    spared: Vec<Base>,
    victims: &[Base],
    told_ns: u64,
    enough: bool,
    groups: &[(Culprits, f64)],
) -> Option<Finding> {
    let mut everybody = victims.to_vec();
    everybody.extend(spared);
    let whole: f64 = everybody.iter().map(|one| sums.lost(*one)).sum();
    let device: f64 = everybody
        .iter()
        .map(|one| sums.part(*one, Cause::Device))
        .sum();
    let of_victims: f64 = victims
        .iter()
        .map(|one| sums.part(*one, Cause::Device))
        .sum::<f64>()
        / victims
            .iter()
            .map(|one| sums.lost(*one))
            .sum::<f64>()
            .max(1.0);
    let share = (device / whole.max(1.0)).min(of_victims);
    let base = base.clone().with_victims(&everybody, &sums.lost_ns);
    if share >= rules::CAUSE {
        let long = victims
            .iter()
            .any(|one| sums.lost(*one) >= 2.0 * told_ns as f64);
        return Some(Finding {
            kind: Kind::SlowDevice,
            share: Some(share),
            confidence: Some(level(share, enough || long)),
            ..base
        });
    }
    let queue = 1.0 - of_victims;
    if queue >= rules::CAUSE && groups.len() > 1 {
        return Some(Finding {
            kind: Kind::Overload,
            share: Some(queue),
            confidence: Some(level(queue, enough).min(Confidence::Medium)),
            culprits: groups.iter().map(|(one, _)| one.clone()).take(8).collect(),
            ..base
        });
    }
    Some(Finding {
        culprits: groups
            .iter()
            .map(|(one, _)| one.clone())
            .filter(|one| one.share >= rules::FURTHER)
            .collect(),
        ..base
    })
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
