//! Who delayed whom: the time waited in slow requests, laid on those for whom the disk worked meanwhile. The method,
//! and what it cannot know, is in `docs/principles.md`.

mod background;
mod flow;
mod services;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::histogram::Buckets;
use super::is_waited_for;
use super::names::actor_label;
use crate::capture::{self, Capture, EndedRequest, Op, Use};
use crate::report::model::{Blame, BlameCell, BlameRow, BlameUsual, DiscardGroup, Origin};
use background::Background;
use flow::Parts;
use services::Services;

/// Of all time at the device of an operation, this part at least it takes by itself: the first percentile.
const USUAL_PER_MILLE: u64 = 10;

/// Tables of the disks on which somebody waited in slow requests; of captures that have no services there are none.
pub(super) fn tables(
    capture: &Capture,
    discards: &[DiscardGroup],
    device: impl Fn(u16) -> String,
) -> Vec<Blame> {
    let disks = capture.disks.iter().filter_map(|disk| disk.index);
    disks
        .filter(|disk| has_services(capture, *disk))
        .filter_map(|disk| Table::new(capture, disk).blame(discards, device(disk)))
        .collect()
}

/// What one disk's table is computed from.
struct Table<'a> {
    capture: &'a Capture,
    disk: u16,
    /// In order of completion.
    recorded: Vec<&'a EndedRequest>,
    services: Services,
    background: Background,
    usual: BTreeMap<Op, u64>,
}

impl<'a> Table<'a> {
    fn new(capture: &'a Capture, disk: u16) -> Self {
        let recorded = recorded(capture, disk);
        let services = Services::new(recorded.iter().copied());
        Self {
            capture,
            disk,
            services,
            background: Background::new(capture, disk, &recorded),
            usual: usual(capture, disk),
            recorded,
        }
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
        let is_slow = |request: &&&EndedRequest| {
            (request.actor, request.op) == (flow.actor, flow.op)
                && request.completed_ns.saturating_sub(request.queued_ns)
                    >= self.capture.settings.slow_ns
        };
        for request in self.recorded.iter().filter(is_slow) {
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
        let nobody = capture::Actor {
            id: actor,
            process: None,
        };
        actor_label(self.capture.actor(actor).unwrap_or(&nobody))
    }

    fn shown_usual(&self) -> Vec<BlameUsual> {
        let rows = self.usual.iter();
        rows.map(|(&op, &device_ns)| BlameUsual { op, device_ns })
            .collect()
    }
}

fn has_services(capture: &Capture, disk: u16) -> bool {
    recorded(capture, disk)
        .iter()
        .any(|request| request.service_ns > 0)
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

/// An empty preflush is served by a flush.
fn usual(capture: &Capture, disk: u16) -> BTreeMap<Op, u64> {
    let of = |op: Op| {
        let mut series = capture.series.iter();
        let series = series.find(|series| series.disk == disk && series.op == op)?;
        Buckets::new(&series.device).quantile(USUAL_PER_MILLE)
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
