//! Who delayed whom: the time waited in slow requests, attributed to those whom the disk served meanwhile. The method,
//! and what it cannot know, is in `docs/principles.md`.

mod background;
mod flow;
mod most;
mod served;
mod services;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::histogram::Buckets;
use super::names::{actor_label, nobody};
use background::Background;
use flow::Parts;
use served::{Group, group};
use services::Services;
use stall_capture::is_waited_for;
use stall_capture::{Capture, EndedRequest, Op, Use};
use stall_report::model::{Blame, BlameCell, BlameRow, BlameUsual, DiscardGroup, Origin};

/// Of all time at the device of an operation, this part at least it takes by itself: the first percentile.
const USUAL_PER_MILLE: u64 = 10;
/// Requests that a disk serves at once, as far as its own time is concerned.
const AT_ONCE: u64 = 2;

/// Tables of the disks on which somebody waited in slow requests; of captures that have no services there are none.
pub(super) fn tables(
    capture: &Capture,
    discards: &[DiscardGroup],
    device: impl Fn(u16) -> String,
) -> Vec<Blame> {
    let disks = capture.disks.iter().filter_map(|disk| disk.index);
    disks
        .filter_map(|disk| Table::new(capture, disk)?.blame(discards, device(disk)))
        .collect()
}

/// What the slow requests of a disk waited for, one by one: for the judge.
pub(super) struct Waits<'a>(Table<'a>);

/// What one slow request waited for, in nanoseconds; the sum is the time it took.
pub(super) struct Wait<'a> {
    pub(super) request: &'a EndedRequest,
    pub(super) by: BTreeMap<(u32, Op), u64>,
    pub(super) device_ns: u64,
    pub(super) own_ns: u64,
    /// Part of `own_ns`.
    pub(super) own_discards_ns: u64,
    pub(super) unknown_ns: u64,
}

impl<'a> Waits<'a> {
    /// `None` for a disk on which no request was recorded with a service.
    pub(super) fn of(capture: &'a Capture, disk: u16) -> Option<Self> {
        Table::new(capture, disk).map(Self)
    }

    /// What a request of an operation takes on this disk with nobody ahead of it.
    pub(super) fn usual_ns(&self, op: Op) -> Option<u64> {
        self.0.usual.get(&op).copied()
    }

    /// Of every recorded slow request somebody waited for.
    pub(super) fn each(&self) -> impl Iterator<Item = Wait<'a>> + use<'a, '_> {
        let all = self.0.slow.iter().filter(|((_, op), _)| is_waited_for(*op));
        all.flat_map(move |((_, op), requests)| {
            let usual_ns = self.0.usual.get(op).copied().unwrap_or(0);
            requests.iter().map(move |request| {
                let mut parts = Parts::default();
                parts.add(request, usual_ns, &self.0.services, &self.0.background);
                Wait {
                    request,
                    by: parts.by,
                    device_ns: parts.device_ns,
                    own_ns: parts.own_ns,
                    own_discards_ns: parts.own_discards_ns,
                    unknown_ns: parts.unexplained_ns,
                }
            })
        })
    }
}

/// What one disk's table is computed from.
struct Table<'a> {
    capture: &'a Capture,
    disk: u16,
    /// In order of completion.
    slow: HashMap<Group, Vec<&'a EndedRequest>>,
    services: Services,
    background: Background,
    usual: BTreeMap<Op, u64>,
}

impl<'a> Table<'a> {
    /// `None` without a service.
    fn new(capture: &'a Capture, disk: u16) -> Option<Self> {
        let recorded = recorded(capture, disk);
        let services = Services::new(recorded.iter().copied(), capture, disk);
        (!services.is_empty()).then(|| Self {
            capture,
            disk,
            slow: slow(&recorded, capture.settings.slow_ns),
            background: Background::new(capture, disk, &recorded),
            services,
            usual: usual(capture, disk, &recorded),
        })
    }

    fn blame(&self, discards: &[DiscardGroup], device: String) -> Option<Blame> {
        let mut by_actor = BTreeMap::<u32, Vec<&Use>>::new();
        let uses = self.capture.uses.iter();
        for used in uses.filter(|used| used.disk == self.disk && is_waited_for(used.op)) {
            by_actor.entry(used.actor).or_default().push(used);
        }
        let mut victims: Vec<BlameRow> = by_actor
            .into_iter()
            .filter(|(_, flows)| flows.iter().any(|flow| flow.slow_ops > 0))
            .map(|(actor, flows)| self.row(actor, &flows, discards, &device))
            .collect();
        victims.sort_by_key(|row| (Reverse(row.waited_ns - row.fast_ns), row.actor));
        (!victims.is_empty()).then(|| Blame {
            device,
            usual: self.shown_usual(),
            victims,
        })
    }

    fn row(&self, actor: u32, flows: &[&Use], discards: &[DiscardGroup], device: &str) -> BlameRow {
        let mut all = Parts::default();
        let (mut slow_ns, mut waited_ns) = (0u64, 0u64);
        for flow in flows.iter().copied() {
            let parts = self.parts(flow);
            slow_ns = slow_ns.saturating_add(parts.sum());
            waited_ns = waited_ns.saturating_add(flow.total_ns);
            all.merge(&parts);
        }
        let cell = |((by, op), waited_ns): (&(u32, Op), &u64)| BlameCell {
            actor: *by,
            label: self.label(*by),
            op: *op,
            origin: origin(discards, device, *by, *op),
            waited_ns: *waited_ns,
        };
        let mut by: Vec<BlameCell> = all.by.iter().filter(|(_, ns)| **ns > 0).map(cell).collect();
        by.sort_by_key(|cell| (Reverse(cell.waited_ns), cell.actor));
        BlameRow {
            actor,
            label: self.label(actor),
            waited_ns: waited_ns.max(slow_ns),
            fast_ns: waited_ns.saturating_sub(slow_ns),
            device_ns: all.device_ns,
            own_ns: all.own_ns,
            unexplained_ns: all.unexplained_ns,
            by,
            flush_ns: all.flush_ns,
            slow_ops: flows
                .iter()
                .fold(0, |sum, flow| sum.saturating_add(flow.slow_ops)),
            recorded_ops: all.requests,
        }
    }

    /// Of all slow requests of a flow, by those that were recorded.
    fn parts(&self, flow: &Use) -> Parts {
        let mut parts = Parts::default();
        let usual_ns = self.usual.get(&flow.op).copied().unwrap_or(0);
        let recorded = self.slow.get(&(flow.actor, flow.op));
        for request in recorded.into_iter().flatten() {
            parts.add(request, usual_ns, &self.services, &self.background);
        }
        // Captures of older versions do not have the sum.
        let whole_ns = match flow.slow_total_ns {
            0 => parts.sum(),
            sum_ns => sum_ns,
        };
        parts.stand_for(whole_ns);
        parts
    }

    fn label(&self, actor: u32) -> String {
        self.capture
            .actor(actor)
            .map_or_else(|| nobody(actor), actor_label)
    }

    fn shown_usual(&self) -> Vec<BlameUsual> {
        let rows = self.usual.iter();
        rows.map(|(&op, &device_ns)| BlameUsual { op, device_ns })
            .collect()
    }
}

fn slow<'a>(recorded: &[&'a EndedRequest], slow_ns: u64) -> HashMap<Group, Vec<&'a EndedRequest>> {
    let mut slow: HashMap<Group, Vec<&EndedRequest>> = HashMap::new();
    let is_slow = |one: &EndedRequest| one.completed_ns.saturating_sub(one.queued_ns) >= slow_ns;
    for request in recorded.iter().copied().filter(|one| is_slow(one)) {
        slow.entry(group(request)).or_default().push(request);
    }
    slow
}

fn recorded(capture: &Capture, disk: u16) -> Vec<&EndedRequest> {
    let all = capture
        .slow_requests
        .iter()
        .chain(&capture.discard_requests);
    let mut recorded: Vec<&EndedRequest> = all.filter(|one| one.disk == disk).collect();
    recorded.sort_by_key(|one| (one.completed_ns, one.queued_ns, one.sector));
    // A slow discard is in both lists.
    recorded.dedup_by_key(|one| (one.completed_ns, one.queued_ns, one.sector, one.actor));
    recorded
}

/// An fsync request is served by a flush. Where a queue stands at the device all the time, even the fastest requests
/// waited in it: what a request takes by itself is then bounded by how fast the disk works it off.
fn usual(capture: &Capture, disk: u16, recorded: &[&EndedRequest]) -> BTreeMap<Op, u64> {
    let served = recorded.iter().filter(|one| one.service_ns > 0);
    let (count, sum) = served.fold((0u64, 0u64), |(count, sum), one| {
        (count + 1, sum.saturating_add(one.service_ns))
    });
    let most_ns = sum
        .checked_div(count)
        .map_or(u64::MAX, |mean| mean.saturating_mul(AT_ONCE));
    let of = |op: Op| {
        let mut series = capture.series.iter();
        let series = series.find(|series| series.disk == disk && series.op == op)?;
        let fastest = Buckets::new(&series.device).quantile(USUAL_PER_MILLE)?;
        Some(fastest.min(most_ns))
    };
    let ops = [Op::Read, Op::Write, Op::Preflush];
    let rows = ops.into_iter().filter_map(|op| {
        let served_as = if op == Op::Preflush { Op::Flush } else { op };
        Some((op, of(served_as)?))
    });
    rows.collect()
}

/// `None` for what is no discard, and for discards of several origins.
fn origin(discards: &[DiscardGroup], device: &str, actor: u32, op: Op) -> Option<Origin> {
    let of_it =
        |group: &&DiscardGroup| group.device == device && (group.actor, group.op) == (actor, op);
    let mut origins = discards.iter().filter(of_it).map(|group| group.origin);
    let first = origins.next()?;
    origins.all(|other| other == first).then_some(first)
}
