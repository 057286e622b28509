//! One disk: who waited on it, when, and for what, in time.

use crate::total::Total as _;
use std::collections::BTreeMap;

use stall_capture::{Capture, Op, is_discard, is_waited_for};
use stall_common::actor::FLUSH_MACHINERY;

use super::rules;
use super::workload::{Base, Scope, Workloads};
use crate::blame::Waits;
use crate::findings::Findings;

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
    /// Part of `Device` that is the discards' of these, if discards slow others on this disk.
    contested: BTreeMap<Base, f64>,
}

/// All slow requests of a disk that somebody waited for.
pub(super) struct Disk {
    pub(super) index: u16,
    pub(super) waits: Vec<Wait>,
    /// What is known of discards on it.
    pub(super) discards: Discards,
}

/// Whether discards slow others on a disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Discards {
    /// Rate of waiting with a discard in flight against without, inside the run of discards.
    pub(super) contrast: Option<f64>,
    /// Part of the moments with discards in flight in which somebody waited.
    pub(super) consistency: Option<f64>,
    pub(super) acquitted: bool,
    pub(super) doubtful: bool,
    /// Others waited at much the same rate outside of the run of discards.
    pub(super) alike_outside: bool,
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
        let mut all = Vec::new();
        for wait in waits.each() {
            let request = wait.request;
            let victim = workloads.of_actor(request.actor);
            let took_ns = request.completed_ns.saturating_sub(request.queued_ns);
            let is_in = request.completed_ns > capture.window.start_ns
                && request.queued_ns < capture.window.end_ns;
            let is_victim = is_in && !workloads.is_hand(victim) && !workloads.get(victim).is_self;
            if took_ns < slow_ns || !is_victim || request.stands_for <= 0.0 {
                continue;
            }
            let mut parts = BTreeMap::new();
            let whole = took_ns.max(1) as f64;
            let mut add = |cause: Cause, ns: f64| *parts.entry(cause).or_insert(0.0) += ns / whole;
            for (&(actor, op), &ns) in &wait.by {
                for (cause, part) in charge.causes(victim, request.op, actor, op) {
                    add(cause, ns as f64 * part);
                }
            }
            let is_vm = matches!(workloads.get(victim).scope, Scope::Vm(_));
            let own_discards_ns = if is_vm { wait.own_discards_ns } else { 0 };
            add(Cause::OwnDiscards, own_discards_ns as f64);
            add(
                Cause::Own,
                wait.own_ns.saturating_sub(own_discards_ns) as f64,
            );
            add(Cause::Device, wait.device_ns as f64);
            add(Cause::Unknown, wait.unknown_ns as f64);
            let mut contested = BTreeMap::new();
            for (&(actor, op), &ns) in &wait.contested {
                if let Some((Cause::By(base, _), _)) =
                    charge.causes(victim, request.op, actor, op).first()
                {
                    *contested.entry(*base).or_insert(0.0) += ns as f64 / whole;
                }
            }
            let from_ns = request.queued_ns.max(capture.window.start_ns);
            all.push(Wait {
                victim,
                from_ns,
                // A hostile capture has requests that end before they begin, with no limit of slowness to sort them out.
                to_ns: request.completed_ns.min(capture.window.end_ns).max(from_ns),
                weight: request.stands_for,
                parts,
                contested,
            });
        }
        all.sort_by_key(|wait| wait.from_ns);
        let discards = Discards::judge(capture, index, &all);
        for wait in &mut all {
            wait.settle(&discards);
        }
        Some(Self {
            index,
            waits: all,
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
                contested: BTreeMap::new(),
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
            discards,
        })
    }
}

impl Wait {
    /// Charges discards by what is known of all of them.
    fn settle(&mut self, discards: &Discards) {
        if discards.acquitted {
            let theirs: Vec<Cause> = self.parts.keys().copied().filter(is_discards).collect();
            for cause in theirs {
                let part = self.parts.remove(&cause).unwrap_or(0.0);
                *self.parts.entry(Cause::Device).or_insert(0.0) += part;
            }
            return;
        }
        let part = match (discards.contrast, discards.consistency) {
            (Some(ratio), _) if ratio >= rules::CONTRAST => 1.0 - 1.0 / ratio,
            (Some(_), _) => 0.0,
            (None, Some(often)) if often >= rules::CONSISTENT => 1.0,
            (None, _) => 0.0,
        };
        for (base, contested) in std::mem::take(&mut self.contested) {
            let device = self.parts.entry(Cause::Device).or_insert(0.0);
            let moved = (contested * part).min(*device);
            *device -= moved;
            *self
                .parts
                .entry(Cause::By(base, Work::Discard))
                .or_insert(0.0) += moved;
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

struct Charge<'a> {
    workloads: &'a Workloads<'a>,
    callers: Vec<(Base, f64)>,
    trimmer: Option<Base>,
}

impl Charge<'_> {
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
    /// Rates per time inside the run of discards, and whether waiting follows them moment by moment.
    fn judge(capture: &Capture, disk: u16, waits: &[Wait]) -> Self {
        let mut spans = spans(capture, disk, 0);
        let (Some(first), Some(last)) = (spans.first().copied(), spans.last().copied()) else {
            return Self::default();
        };
        let run = (first.0, last.1);
        let busy: u64 = spans.iter().map(|(from, to)| to - from).total();
        let free = (run.1 - run.0).saturating_sub(busy);
        let others: Vec<&Wait> = waits.iter().collect();
        let rate = |ns: f64, time: u64| ns / time.max(1) as f64;
        let inside: f64 = others.iter().map(|wait| overlap(wait, run)).sum();
        let during: f64 = others.iter().map(|wait| overlap_all(wait, &spans)).sum();
        let long_enough =
            free >= rules::FREE_NS && free as f64 >= rules::FREE_SHARE * (run.1 - run.0) as f64;
        let contrast = long_enough.then(|| {
            let with = rate(during, busy);
            let without = rate((inside - during).max(0.0), free);
            if with <= 0.0 {
                0.0
            } else {
                with / without.max(with / 1_000.0)
            }
        });
        let window = capture.window.start_ns..capture.window.end_ns;
        let outside_time = capture.window.length_ns().saturating_sub(run.1 - run.0);
        let all: f64 = others
            .iter()
            .map(|wait| overlap(wait, (window.start, window.end)))
            .sum();
        let outside = (outside_time >= rules::HANG_NS && inside > 0.0)
            .then(|| rate(all - inside, outside_time) / rate(inside, run.1 - run.0).max(1e-12));
        // Discards that took long themselves tell more than those that ended at once.
        let long = self::spans(capture, disk, capture.settings.slow_ns);
        let long_busy: u64 = long.iter().map(|(from, to)| to - from).total();
        if long_busy.saturating_mul(5) >= busy {
            spans = long;
        }
        let consistency = consistency(capture, disk, &spans, waits);
        let rarely = consistency.is_some_and(|often| often < rules::RARELY);
        let no_contrast = contrast.is_some_and(|ratio| ratio < rules::NO_CONTRAST);
        Self {
            contrast,
            consistency,
            acquitted: inside <= 0.0 || rarely || no_contrast,
            doubtful: consistency.is_some_and(|often| often < rules::CONSISTENT)
                || contrast.is_some_and(|ratio| ratio < rules::CONTRAST)
                || outside.is_some_and(|ratio| ratio > rules::OUTSIDE),
            alike_outside: outside.is_some_and(|ratio| ratio > rules::OUTSIDE),
        }
    }
}

/// Times with a discard in flight that took at least so long, joined, within the window.
fn spans(capture: &Capture, disk: u16, least_ns: u64) -> Vec<(u64, u64)> {
    let window = (capture.window.start_ns, capture.window.end_ns);
    let ended = capture
        .discard_requests
        .iter()
        .filter(|one| one.disk == disk && is_discard(one.op))
        .filter(|one| one.completed_ns.saturating_sub(one.queued_ns) >= least_ns)
        .map(|one| (one.queued_ns, one.completed_ns));
    let open = capture
        .unfinished_requests
        .iter()
        .filter(|one| one.disk == disk && is_discard(one.op))
        .map(|one| (one.queued_ns, window.1));
    let mut all: Vec<(u64, u64)> = ended
        .chain(open)
        .map(|(from, to)| (from.max(window.0), to.min(window.1)))
        .filter(|(from, to)| from < to)
        .collect();
    all.sort_unstable();
    join(all, 0)
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

fn overlap_all(wait: &Wait, spans: &[(u64, u64)]) -> f64 {
    let first = spans.partition_point(|span| span.1 <= wait.from_ns);
    let touched = spans[first..].iter().take_while(|span| span.0 < wait.to_ns);
    touched.map(|span| overlap(wait, *span)).sum()
}

/// Part of the moments with discards in flight in which somebody waited, of those in which somebody used the disk.
fn consistency(capture: &Capture, disk: u16, spans: &[(u64, u64)], waits: &[Wait]) -> Option<f64> {
    let moment_ns = (capture.window.length_ns() / 2_000).max(250_000_000);
    let (start, end) = (capture.window.start_ns, capture.window.end_ns);
    let mut waited: Vec<(u64, u64)> = waits
        .iter()
        .map(|wait| (wait.from_ns, wait.to_ns))
        .collect();
    waited.sort_unstable();
    let waited = join(waited, 0);
    let (mut seen, mut hurt) = (0u32, 0u32);
    let mut at = start;
    while at < end {
        let moment = (at, at.saturating_add(moment_ns).min(end));
        at = moment.1;
        let length = moment.1 - moment.0;
        let busy = within(spans, moment);
        if busy.saturating_mul(5) < length {
            continue;
        }
        let waiting = within(&waited, moment);
        let is_hurt = waiting.saturating_mul(5) >= busy.min(length);
        if is_hurt || is_used(capture, disk, moment) {
            seen += 1;
            hurt += u32::from(is_hurt);
        }
    }
    (seen >= 3).then(|| f64::from(hurt) / f64::from(seen))
}

pub(super) fn within(spans: &[(u64, u64)], (from, to): (u64, u64)) -> u64 {
    let first = spans.partition_point(|span| span.1 <= from);
    let touched = spans[first..].iter().take_while(|span| span.0 < to);
    touched
        .map(|span| span.1.min(to) - span.0.max(from))
        .total()
}

/// Whether at least one request of others is to be expected in a moment.
fn is_used(capture: &Capture, disk: u16, (from, to): (u64, u64)) -> bool {
    let intervals = capture.intervals.iter();
    let touched = intervals.filter(|one| one.start_ns < to && one.end_ns > from);
    let expected = touched.map(|one| {
        let uses = one.uses.iter();
        let ops: u64 = uses
            .filter(|used| used.disk == disk && is_waited_for(used.op))
            .map(|used| used.ops)
            .total();
        let part = one.end_ns.min(to).saturating_sub(one.start_ns.max(from));
        ops as f64 * part as f64 / one.end_ns.saturating_sub(one.start_ns).max(1) as f64
    });
    expected.sum::<f64>() >= 2.0
}
