//! One disk: who waited on it, when, and for what, in time.

use crate::total::Total as _;
use std::collections::{BTreeMap, BTreeSet};

use stall_capture::{Capture, Interval, Op, is_discard, is_waited_for};
use stall_common::actor::FLUSH_MACHINERY;

use super::rules;
use super::workload::{Base, Scope, Workloads};
use crate::blame::{self, Waits};
use crate::findings::Findings;
use stall_report::model::Reason;

/// What part of a wait is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    By(Base, Work),
    /// The victim's own requests.
    Own,
    /// Its own discards, of a virtual machine: what one program of the guest trims, all others in it wait for.
    OwnDiscards,
    /// The disk: its service, and pauses.
    Device,
    Unknown,
}

/// What the disk did for a culprit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    Io,
    Discard,
    Flush,
}

/// One slow request.
pub(super) struct Wait {
    pub(super) victim: Base,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// Requests it stands for.
    pub(super) weight: f64,
    /// Parts of its time; they sum to 1.
    pub(super) parts: BTreeMap<Cause, f64>,
    /// With a discard of somebody else in flight, nanoseconds; `None` where it began before anybody looked.
    overlap_ns: Option<f64>,
    /// Part of `Device` with a discard in flight: the discards' if these slow others on this disk.
    contested: f64,
}

/// All slow requests of a disk that somebody waited for.
pub(super) struct Disk {
    pub(super) index: u16,
    pub(super) waits: Vec<Wait>,
    /// What was waited for is slow there with nobody ahead of it.
    pub(super) is_slow_alone: bool,
    /// What is known of discards on it.
    pub(super) discards: Discards,
}

/// Whether discards slow others on a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Discards {
    /// Rate of waiting with a discard in flight against without, inside the run of discards.
    pub(super) contrast: Option<f64>,
    /// Part of the requests that met a discard that was slow.
    pub(super) consistency: Option<f64>,
    pub(super) acquitted: bool,
    doubtful: bool,
    /// Others waited at much the same rate outside of the run of discards.
    pub(super) alike_outside: bool,
    /// Whose they are, with shares that sum to 1.
    by: Vec<(Base, f64)>,
    /// What was charged to them beside the queue, and what behind them in it.
    beside_ns: f64,
    behind_ns: f64,
}

impl Disk {
    pub(super) fn new(
        capture: &Capture,
        findings: &Findings,
        workloads: &Workloads<'_>,
        index: u16,
    ) -> Option<Self> {
        let Some(waits) = Waits::of(capture, index) else {
            return Self::from_sums(capture, workloads, index);
        };
        let slow_ns = slow_ns(capture, index);
        let callers = flush_callers(capture, workloads, index);
        let trimmer = findings
            .blocked
            .iter()
            .find(|task| task.trim_function.is_some())
            .and_then(|task| workloads.of_pid(task.process.pid));
        let charge = Charge {
            workloads,
            callers,
            trimmer,
        };
        let commits = Commits::new(capture, findings, workloads);
        let mut all = Vec::new();
        let (mut alone, mut of_all) = (0.0, 0.0);
        for wait in waits.each() {
            let request = wait.request;
            let by = workloads.of_actor(request.actor);
            let took_ns = request.completed_ns.saturating_sub(request.queued_ns);
            let is_in = request.completed_ns > capture.window.start_ns
                && request.queued_ns < capture.window.end_ns;
            let is_hand = workloads.is_hand(by) && !workloads.is_loop_worker(by);
            let is_victim = is_in && !is_hand && !workloads.get(by).is_self;
            if took_ns < slow_ns || !is_victim || request.stands_for <= 0.0 {
                continue;
            }
            let whole = took_ns.max(1) as f64;
            let usual_ns = waits.usual_ns(request.op).unwrap_or(0);
            let waited = took_ns as f64 * request.stands_for;
            of_all += waited;
            alone += if usual_ns >= slow_ns { waited } else { 0.0 };
            let behind: u64 = wait
                .by
                .iter()
                .filter(|((_, op), _)| is_discard(*op))
                .map(|(_, ns)| ns)
                .total();
            let beside_ns = request
                .overlap_ns
                .saturating_sub(behind.saturating_add(wait.own_discards_ns));
            let from_ns = request.queued_ns.max(capture.window.start_ns);
            // A hostile capture has requests that end before they begin, with no limit of slowness to sort them out.
            let to_ns = request.completed_ns.min(capture.window.end_ns).max(from_ns);
            let victims = match workloads.is_journal(by) {
                true => commits.waiting(by, (from_ns, to_ns)),
                false => vec![by],
            };
            for &victim in &victims {
                let mut parts = BTreeMap::new();
                for (cause, ns) in charge.parts(victim, by, usual_ns, &wait) {
                    *parts.entry(cause).or_insert(0.0) += ns / whole;
                }
                all.push(Wait {
                    victim,
                    from_ns,
                    to_ns,
                    weight: request.stands_for / victims.len() as f64,
                    parts,
                    overlap_ns: (!request.older).then(|| request.overlap_ns.min(took_ns) as f64),
                    contested: beside_ns.min(wait.device_ns) as f64 / whole,
                });
            }
        }
        all.sort_by_key(|wait| wait.from_ns);
        let mut discards = Discards::judge(capture, index, &all);
        discards.by = charge.discarders(capture, index);
        for wait in &mut all {
            wait.settle(&mut discards);
        }
        Some(Self {
            index,
            waits: all,
            is_slow_alone: alone > 0.0 && alone >= rules::CAUSE * of_all,
            discards,
        })
    }
}

impl Disk {
    /// Of a disk whose slow requests are known as sums alone: all of a workload's are one wait, and only discards can be
    /// held against it, by their rates per time over the whole window.
    fn from_sums(capture: &Capture, workloads: &Workloads<'_>, index: u16) -> Option<Self> {
        let (start, length) = (capture.window.start_ns, capture.window.length_ns());
        let uses = capture.uses.iter();
        let slow: Vec<_> = uses
            .filter(|used| used.disk == index && is_waited_for(used.op) && used.slow_ops > 0)
            .collect();
        if slow.is_empty() || length == 0 {
            return None;
        }
        let overlap = slow.iter().map(|used| used.overlap_ns).total() as f64;
        // Waited outside of discards: the rest of those that met one, and those that were slow without.
        let exposed = slow.iter().map(|used| used.exposed_total_ns).total() as f64;
        let apart = slow
            .iter()
            .map(|used| used.slow_ops.saturating_sub(used.exposed_slow_ops));
        let apart = apart.total().saturating_mul(capture.settings.slow_ns) as f64;
        let busy = capture
            .disk(index)
            .map_or(0, |disk| disk.discard_busy_ns)
            .min(length);
        let free = length - busy;
        let with = overlap / busy.max(1) as f64;
        let without = ((exposed - overlap).max(0.0) + apart) / free.max(1) as f64;
        let is_comparable = busy > 0 && free as f64 >= rules::FREE_SHARE * length as f64;
        let contrast = is_comparable.then(|| with / without.max(with / 1_000.0).max(1e-12));
        let discards = Discards {
            contrast,
            acquitted: busy == 0 || contrast.is_some_and(|ratio| ratio < rules::NO_CONTRAST),
            doubtful: contrast.is_none_or(|ratio| ratio < rules::CONTRAST),
            ..Discards::default()
        };
        let rows = capture.discards.iter().filter(|row| row.disk == index);
        let trimmer = rows.max_by_key(|row| row.device_ns);
        let trimmer = trimmer.map(|row| workloads.of_actor(row.actor));
        let wait = |used: &&stall_capture::Use| {
            let took = used
                .slow_total_ns
                .max(used.slow_ops.saturating_mul(capture.settings.slow_ns));
            let exposed = used.exposed_slow_ops.min(used.slow_ops) as f64 / used.slow_ops as f64;
            let explained = match contrast {
                Some(ratio) if ratio >= rules::CONTRAST => exposed * (1.0 - 1.0 / ratio),
                _ => 0.0,
            };
            let mut parts = BTreeMap::from([(Cause::Unknown, 1.0)]);
            if let Some(base) = trimmer.filter(|_| explained > 0.0) {
                parts = BTreeMap::from([
                    (Cause::By(base, Work::Discard), explained),
                    (Cause::Unknown, 1.0 - explained),
                ]);
            }
            Wait {
                victim: workloads.of_actor(used.actor),
                from_ns: start,
                to_ns: start.saturating_add(took.min(length)),
                weight: used.slow_ops as f64,
                parts,
                overlap_ns: None,
                contested: 0.0,
            }
        };
        let mut waits: Vec<Wait> = slow.iter().map(wait).collect();
        waits.retain(|wait| {
            !wait
                .parts
                .contains_key(&Cause::By(wait.victim, Work::Discard))
        });
        Some(Self {
            index,
            waits,
            is_slow_alone: false,
            discards,
        })
    }
}

impl Wait {
    /// Charges discards by what is known of all of them.
    fn settle(&mut self, discards: &mut Discards) {
        if discards.acquitted {
            let theirs: Vec<Cause> = self.parts.keys().copied().filter(is_discards).collect();
            for cause in theirs {
                let part = self.parts.remove(&cause).unwrap_or(0.0);
                *self.parts.entry(Cause::Device).or_insert(0.0) += part;
            }
            return;
        }
        let ns = self.to_ns.saturating_sub(self.from_ns) as f64 * self.weight;
        let behind = self.parts.iter().filter(|(cause, _)| is_discards(cause));
        discards.behind_ns += ns * behind.map(|(_, part)| part).sum::<f64>();
        let part = discards.part() * self.contested;
        for (base, share) in discards.by.iter().filter(|(base, _)| *base != self.victim) {
            let device = self.parts.entry(Cause::Device).or_insert(0.0);
            let moved = (part * share).min(*device);
            *device -= moved;
            let cause = Cause::By(*base, Work::Discard);
            *self.parts.entry(cause).or_insert(0.0) += moved;
            discards.beside_ns += ns * moved;
        }
    }
}

const fn is_discards(cause: &Cause) -> bool {
    matches!(cause, Cause::By(_, Work::Discard) | Cause::OwnDiscards)
}

/// Latency threshold for slow requests there: what was asked for, or the default for a disk with platters.
fn slow_ns(capture: &Capture, index: u16) -> u64 {
    let facts = capture.disk(index).and_then(|disk| disk.facts.as_ref());
    let transport = facts.and_then(|facts| facts.transport.as_deref());
    // A volume of a server and a disk of a hypervisor say so too, whatever they lie on.
    let is_virtual = transport
        .is_some_and(|one| matches!(one, "iscsi" | "fc" | "virtio") || one.starts_with("nvme/"));
    let rotational = facts.and_then(|facts| facts.rotational) == Some(true) && !is_virtual;
    let asked = capture.settings.slow_ns;
    if rotational && asked == rules::SLOW_DEFAULT_NS {
        rules::SLOW_ROTATIONAL_NS
    } else {
        asked
    }
}

/// Who asked for flushes on a disk, with shares.
fn flush_callers(capture: &Capture, workloads: &Workloads<'_>, index: u16) -> Vec<(Base, f64)> {
    let mut calls = BTreeMap::<Base, u64>::new();
    let uses = capture.uses.iter();
    for used in uses.filter(|used| used.disk == index && used.op == Op::Preflush) {
        let sum = calls.entry(workloads.of_actor(used.actor)).or_default();
        *sum = sum.saturating_add(used.ops);
    }
    let sum: u64 = calls.values().total();
    let part = |(base, ops): (Base, u64)| (base, ops as f64 / sum.max(1) as f64);
    calls.into_iter().map(part).collect()
}

/// Who slept for a commit of a journal, and when.
struct Commits(Vec<(u64, u64, Base)>);

impl Commits {
    fn new(capture: &Capture, findings: &Findings, workloads: &Workloads<'_>) -> Self {
        let rows = findings.blocked.iter().flat_map(|task| &task.stacks);
        let of_journal: BTreeSet<usize> = rows
            .filter(|row| row.reason == Reason::Journal)
            .filter_map(|row| row.stack)
            .collect();
        let of_it = |stack: Option<usize>| stack.is_some_and(|stack| of_journal.contains(&stack));
        let base = |task: u32| {
            let mut tasks = capture.tasks.iter();
            let process = &tasks.find(|one| one.id == task)?.process;
            let base = workloads.of_pid(process.pid)?;
            (!process.kernel_thread && !workloads.get(base).is_self).then_some(base)
        };
        let ended = capture.long_sleeps.iter().filter(|one| of_it(one.stack));
        let ended = ended.filter_map(|one| Some((one.start_ns, one.end_ns, base(one.task)?)));
        Self(ended.collect())
    }

    /// Those who slept for half of a request of its thread; the thread itself when nobody was seen to.
    fn waiting(&self, journal: Base, (from, to): (u64, u64)) -> Vec<Base> {
        let half = (to - from) / 2;
        let slept = |one: &&(u64, u64, Base)| one.1.min(to).saturating_sub(one.0.max(from)) > half;
        let bases: BTreeSet<Base> = self.0.iter().filter(slept).map(|one| one.2).collect();
        if bases.is_empty() {
            return vec![journal];
        }
        bases.into_iter().collect()
    }
}

struct Charge<'a> {
    workloads: &'a Workloads<'a>,
    callers: Vec<(Base, f64)>,
    trimmer: Option<Base>,
}

impl Charge<'_> {
    /// What a request was for, in nanoseconds; of one that a journal's thread sent, what it means to who waits for the commit.
    fn parts(
        &self,
        victim: Base,
        by: Base,
        usual_ns: u64,
        wait: &blame::Wait<'_>,
    ) -> Vec<(Cause, f64)> {
        let request = wait.request;
        let mut parts = vec![(Cause::Unknown, wait.unknown_ns as f64)];
        for (&(actor, op), &ns) in &wait.by {
            let causes = self.causes(victim, request.op, actor, op);
            parts.extend(
                causes
                    .into_iter()
                    .map(|(cause, part)| (cause, ns as f64 * part)),
            );
        }
        if victim != by {
            // It writes what others wrote, all but what a request takes anyway.
            let usual_ns = usual_ns.min(wait.device_ns);
            let work_ns = (wait.device_ns - usual_ns).saturating_add(wait.own_ns);
            parts.push((Cause::Device, usual_ns as f64));
            let causes = self.causes(victim, request.op, request.actor, request.op);
            parts.extend(causes.into_iter().map(|(cause, part)| {
                let is_other = matches!(cause, Cause::By(base, _) if base != by);
                let cause = if is_other { cause } else { Cause::Device };
                (cause, work_ns as f64 * part)
            }));
            return parts;
        }
        let is_vm = matches!(self.workloads.get(victim).scope, Scope::Vm(_));
        let own_discards_ns = if is_vm { wait.own_discards_ns } else { 0 };
        parts.extend([
            (Cause::OwnDiscards, own_discards_ns as f64),
            (
                Cause::Own,
                wait.own_ns.saturating_sub(own_discards_ns) as f64,
            ),
            (Cause::Device, wait.device_ns as f64),
        ]);
        parts
    }

    /// To whom the time of one service is charged, with shares that sum to 1.
    fn causes(&self, victim: Base, waited_for: Op, actor: u32, op: Op) -> Vec<(Cause, f64)> {
        if op == Op::Flush && actor == FLUSH_MACHINERY {
            return self.flush(victim, waited_for);
        }
        let mut behind = self.workloads.behind(actor, op);
        let work = if is_discard(op) {
            Work::Discard
        } else {
            Work::Io
        };
        if work == Work::Discard
            && let Some(trimmer) = self.trimmer
            && self.workloads.get(behind[0].0).is_kernel
        {
            behind = vec![(trimmer, 1.0)];
        }
        let cause = |(base, part): (Base, f64)| {
            let is_vm = || matches!(self.workloads.get(base).scope, Scope::Vm(_));
            let cause = if base == victim && work == Work::Discard && is_vm() {
                Cause::OwnDiscards
            } else if base == victim {
                Cause::Own
            } else if base == self.workloads.unknown() {
                Cause::Unknown
            } else {
                Cause::By(base, work)
            };
            (cause, part)
        };
        behind.into_iter().map(cause).collect()
    }

    /// Whose discards ran on a disk, with shares.
    fn discarders(&self, capture: &Capture, disk: u16) -> Vec<(Base, f64)> {
        let mut time = BTreeMap::<Base, f64>::new();
        let uses = capture.discards.iter().filter(|row| row.disk == disk);
        for row in uses {
            for (cause, part) in self.causes(self.workloads.unknown(), row.op, row.actor, row.op) {
                if let Cause::By(base, _) = cause {
                    *time.entry(base).or_insert(0.0) += row.device_ns as f64 * part;
                }
            }
        }
        let sum: f64 = time.values().sum();
        time.into_iter()
            .map(|(base, ns)| (base, ns / sum.max(1.0)))
            .collect()
    }

    /// A flush serves who asks for it, and holds up the others.
    fn flush(&self, victim: Base, waited_for: Op) -> Vec<(Cause, f64)> {
        if waited_for == Op::Preflush || self.callers.is_empty() {
            return vec![(Cause::Device, 1.0)];
        }
        let cause = |&(base, part): &(Base, f64)| {
            let cause = if base == victim {
                Cause::Own
            } else {
                Cause::By(base, Work::Flush)
            };
            (cause, part)
        };
        self.callers.iter().map(cause).collect()
    }
}

impl Discards {
    /// Rates per time inside the run of discards; without time to compare with, how many that met a discard were slow.
    fn judge(capture: &Capture, disk: u16, waits: &[Wait]) -> Self {
        let Some(run) = run(capture, disk) else {
            return Self::default();
        };
        let contrast = contrast(capture, disk, run, waits);
        let consistency = consistency(capture, disk);
        let length = run.1 - run.0;
        let outside_time = capture.window.length_ns().saturating_sub(length);
        let inside: f64 = waits.iter().map(|wait| overlap(wait, run)).sum();
        let window = (capture.window.start_ns, capture.window.end_ns);
        let all: f64 = waits.iter().map(|wait| overlap(wait, window)).sum();
        let rate = |ns: f64, time: u64| ns / time.max(1) as f64;
        let alike_outside = outside_time >= rules::HANG_NS
            && inside > 0.0
            && rate(all - inside, outside_time) > rules::OUTSIDE * rate(inside, length);
        let rarely = || consistency.is_some_and(|often| often < rules::RARELY);
        Self {
            contrast,
            consistency,
            acquitted: inside <= 0.0
                || contrast.map_or_else(rarely, |ratio| ratio < rules::NO_CONTRAST),
            doubtful: alike_outside || contrast.is_some_and(|ratio| ratio < rules::CONTRAST),
            alike_outside,
            ..Self::default()
        }
    }

    /// Which part of what is beside them is theirs.
    fn part(&self) -> f64 {
        match (self.contrast, self.consistency) {
            (Some(ratio), _) if ratio >= rules::CONTRAST => 1.0 - 1.0 / ratio,
            (None, Some(often)) if often >= rules::CONSISTENT && !self.alike_outside => 1.0,
            _ => 0.0,
        }
    }

    /// Whether one window cannot tell that they did it: nothing to compare with, and nobody stood behind them in the queue.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful || (self.contrast.is_none() && self.beside_ns > self.behind_ns)
    }
}

/// From the first discard to the last, within the window.
fn run(capture: &Capture, disk: u16) -> Option<(u64, u64)> {
    let window = (capture.window.start_ns, capture.window.end_ns);
    let ended = capture
        .discards
        .iter()
        .filter(|row| row.disk == disk && row.ops > 0)
        .map(|row| (row.first_queued_ns, row.last_completed_ns));
    let open = capture
        .unfinished_requests
        .iter()
        .filter(|one| one.disk == disk && is_discard(one.op))
        .map(|one| (one.queued_ns, window.1));
    let all = ended
        .chain(open)
        .map(|(from, to)| (from.max(window.0), to.min(window.1)));
    let all = all.filter(|(from, to)| from < to);
    all.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

/// Rate of waiting with a discard in flight against without, over the intervals within the run by Mantel and Haenszel: what
/// changes from one interval to the next, as a slow phase does, is no contrast.
fn contrast(capture: &Capture, disk: u16, run: (u64, u64), waits: &[Wait]) -> Option<f64> {
    let within = |one: &&Interval| one.start_ns >= run.0 && one.end_ns <= run.1;
    let intervals: Vec<&Interval> = capture.intervals.iter().filter(within).collect();
    let share = |one: &Interval| {
        let mut discards = one.discards.iter().filter(|row| row.disk == disk);
        let busy = discards.next().map_or(0, |row| row.busy_ns) as f64;
        (busy / one.end_ns.saturating_sub(one.start_ns).max(1) as f64).min(1.0)
    };
    let shares: Vec<f64> = intervals.iter().map(|one| share(one)).collect();
    let (mut with, mut without, mut told, mut all) = (0.0, 0.0, 0.0, 0.0);
    for (wait, overlap_ns) in waits
        .iter()
        .filter_map(|wait| Some((wait, wait.overlap_ns?)))
    {
        let first = intervals.partition_point(|one| one.end_ns <= wait.from_ns);
        let touched = intervals[first..].iter().zip(&shares[first..]);
        let touched = touched.take_while(|(one, _)| one.start_ns < wait.to_ns);
        let parts = touched.map(|(one, share)| (overlap(wait, (one.start_ns, one.end_ns)), *share));
        let parts: Vec<(f64, f64)> = parts.collect();
        let expected: f64 = parts.iter().map(|(ns, share)| ns * share).sum();
        // As much of its overlap as lies in these intervals, in proportion.
        let covered: f64 = parts.iter().map(|(ns, _)| ns).sum::<f64>()
            / (wait.weight * wait.to_ns.saturating_sub(wait.from_ns).max(1) as f64);
        let met = overlap_ns * wait.weight * covered.min(1.0);
        for (ns, share) in parts {
            let met = if expected > 0.0 {
                (ns * share * met / expected).min(ns)
            } else {
                0.0
            };
            with += met * (1.0 - share);
            without += (ns - met) * share;
            told += ns * share.min(1.0 - share);
            all += ns;
        }
    }
    (all > 0.0 && told >= rules::FREE_SHARE * all)
        .then(|| with / without.max(with / 1_000.0).max(1.0))
}

/// Part of the requests that met a discard that was slow, of workloads that had slow ones.
fn consistency(capture: &Capture, disk: u16) -> Option<f64> {
    let uses = capture.uses.iter();
    let slow = uses.filter(|used| used.disk == disk && is_waited_for(used.op) && used.slow_ops > 0);
    let (met, were_slow) = slow.fold((0u64, 0u64), |(met, were_slow), used| {
        let slow = used.exposed_slow_ops.min(used.exposed_ops);
        (
            met.saturating_add(used.exposed_ops),
            were_slow.saturating_add(slow),
        )
    });
    (met >= rules::MANY_REQUESTS as u64).then(|| were_slow as f64 / met as f64)
}

/// Spans in order, those closer than `gap_ns` as one.
pub(super) fn join(spans: Vec<(u64, u64)>, gap_ns: u64) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1.saturating_add(gap_ns) => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

fn overlap(wait: &Wait, (from, to): (u64, u64)) -> f64 {
    let ns = wait.to_ns.min(to).saturating_sub(wait.from_ns.max(from));
    ns as f64 * wait.weight
}
