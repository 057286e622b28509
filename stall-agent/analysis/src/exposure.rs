//! Requests with a discard in flight against requests without: relative risk, wait ratio, excess.
//! The definitions, and why there are two measures, are in `docs/principles.md`.

use crate::total::Total as _;
use std::collections::BTreeMap;

use stall_common::actor::UNKNOWN;

use super::histogram::Buckets;
use super::names::Names;
use super::risk::{Cells, relative_risk};
use crate::number::{mean, ratio, significant};
use stall_capture::{Capture, Histogram, Use};
use stall_capture::{is_discard, is_waited_for};
use stall_report::model::{DiscardGroup, Exposure, FlowExposure, Origin, Side, Victim};

/// Unexposed requests a flow must have for its own mean to stand for what is usual.
const USUAL_OPS: u64 = 5;

/// Victims by device, those that waited longest first.
pub(super) fn victims(
    capture: &Capture,
    names: &Names<'_>,
    discards: &[DiscardGroup],
) -> Vec<Victim> {
    let mut by_victim = BTreeMap::<(u16, u32), Vec<&Use>>::new();
    for flow in capture.uses.iter().filter(|used| may_be_victims(used)) {
        by_victim
            .entry((flow.disk, flow.actor))
            .or_default()
            .push(flow);
    }
    let mut victims: Vec<Victim> = by_victim
        .into_iter()
        .map(|((disk, actor), flows)| victim(names.device(disk), actor, &flows))
        .filter(|victim| !submits(discards, &victim.device, victim.actor))
        .collect();
    victims.sort_by_key(|victim| std::cmp::Reverse(waited(&victim.all)));
    victims
}

/// All victims on a disk together; `None` without any.
pub(super) fn of_disk(
    capture: &Capture,
    discards: &[DiscardGroup],
    id: &str,
    disk: u16,
) -> Option<Exposure> {
    let is_flow = |used: &&Use| {
        used.disk == disk && may_be_victims(used) && !submits(discards, id, used.actor)
    };
    let flows: Vec<&Use> = capture.uses.iter().filter(is_flow).collect();
    (!flows.is_empty()).then(|| exposure(&flows))
}

/// Of a submitter that is not known it is not known either whether it discards; most of its requests are older
/// than the first hook, and what they met before it was not seen.
fn may_be_victims(used: &Use) -> bool {
    is_waited_for(used.op) && used.actor != UNKNOWN
}

/// Whether an actor sent discards to a device, for itself.
pub(super) fn submits(discards: &[DiscardGroup], device: &str, actor: u32) -> bool {
    discards.iter().any(|group| {
        is_discard(group.op)
            && group.device == device
            && group.actor == actor
            && !is_own_victim(group)
    })
}

/// A virtual machine's process submits the discards of one guest program and the I/O of all others.
pub(super) fn is_own_victim(group: &DiscardGroup) -> bool {
    group.origin == Origin::Guest
}

/// Time waited for requests that ended.
pub(super) fn waited(exposure: &Exposure) -> u64 {
    exposure
        .exposed
        .total_ns
        .saturating_add(exposure.unexposed.total_ns)
}

fn victim(device: String, actor: u32, flows: &[&Use]) -> Victim {
    let by_op = flows.iter().map(|flow| FlowExposure {
        op: flow.op,
        exposure: exposure(&[flow]),
    });
    Victim {
        device,
        actor,
        all: exposure(flows),
        by_op: by_op.collect(),
    }
}

fn exposure(flows: &[&Use]) -> Exposure {
    let sum = |field: fn(&Use) -> u64| flows.iter().map(|flow| field(flow)).total();
    let exposed = side(
        sum(|f| f.exposed_ops),
        sum(|f| f.exposed_slow_ops),
        sum(|f| f.exposed_total_ns),
        &latency(flows, |f| &f.exposed_latency),
    );
    let unexposed = side(
        sum(unexposed_ops),
        sum(unexposed_slow),
        sum(unexposed_total),
        &latency(flows, |f| &f.unexposed_latency),
    );
    let overlap_ns = sum(|f| f.overlap_ns);
    Exposure {
        overlap_share: ratio(overlap_ns, exposed.total_ns),
        relative_risk: relative_risk(flows.iter().map(|flow| cells(flow))),
        wait_ratio: wait_ratio(flows),
        explained_share: explained_share(flows),
        excess_ns: excess(flows).map(|excess| bounded(excess, overlap_ns)),
        exposed,
        unexposed,
        overlap_ns,
    }
}

/// A request cannot have waited for discards longer than one was in flight.
fn bounded(excess_ns: i64, overlap_ns: u64) -> i64 {
    i64::try_from(overlap_ns).map_or(excess_ns, |overlap_ns| excess_ns.min(overlap_ns))
}

fn side(ops: u64, slow_ops: u64, total_ns: u64, latency: &Buckets) -> Side {
    Side {
        ops,
        slow_ops,
        total_ns,
        mean_ns: mean(total_ns, ops),
        p50_ns: latency.quantile(500),
        p90_ns: latency.quantile(900),
        p99_ns: latency.quantile(990),
    }
}

/// Of all flows together.
fn latency(flows: &[&Use], of: fn(&Use) -> &Histogram) -> Buckets {
    let rows = flows.iter().flat_map(|flow| &of(flow).0);
    Buckets::new(&Histogram(rows.copied().collect()))
}

const fn unexposed_ops(flow: &Use) -> u64 {
    flow.ops.saturating_sub(flow.exposed_ops)
}

const fn unexposed_slow(flow: &Use) -> u64 {
    flow.slow_ops.saturating_sub(flow.exposed_slow_ops)
}

const fn unexposed_total(flow: &Use) -> u64 {
    flow.total_ns.saturating_sub(flow.exposed_total_ns)
}

fn cells(flow: &Use) -> Cells {
    Cells {
        exposed_slow: flow.exposed_slow_ops.min(flow.exposed_ops) as f64,
        exposed: flow.exposed_ops as f64,
        unexposed_slow: unexposed_slow(flow).min(unexposed_ops(flow)) as f64,
        unexposed: unexposed_ops(flow) as f64,
    }
}

const fn has_usual(flow: &Use) -> bool {
    unexposed_ops(flow) >= USUAL_OPS
}

/// Over the flows that show what is usual and have exposed requests; `None` without one.
fn excess(flows: &[&Use]) -> Option<i64> {
    let terms: Vec<f64> = flows.iter().filter_map(|flow| flow_excess(flow)).collect();
    (!terms.is_empty()).then(|| terms.iter().sum::<f64>() as i64)
}

fn flow_excess(flow: &Use) -> Option<f64> {
    if !has_usual(flow) {
        return None;
    }
    let exposed = ratio(flow.exposed_total_ns, flow.exposed_ops)?;
    let unexposed = ratio(unexposed_total(flow), unexposed_ops(flow))?;
    Some((exposed - unexposed) * flow.exposed_ops as f64)
}

/// Slow requests beyond those that would have been slow anyway, as a share of all slow ones. A flow that does
/// not show what is usual adds to the whole only; `None` when nothing was slow or no flow shows it.
fn explained_share(flows: &[&Use]) -> Option<f64> {
    let slow: u64 = flows
        .iter()
        .fold(0, |sum, flow| sum.saturating_add(flow.slow_ops));
    let beyond: Vec<f64> = flows.iter().filter_map(|flow| slow_beyond(flow)).collect();
    (slow > 0 && !beyond.is_empty())
        .then(|| significant(beyond.iter().sum::<f64>() / slow as f64).clamp(0.0, 1.0))
}

fn slow_beyond(flow: &Use) -> Option<f64> {
    if !has_usual(flow) {
        return None;
    }
    let usual = ratio(unexposed_slow(flow), unexposed_ops(flow))?;
    Some(flow.exposed_slow_ops as f64 - usual * flow.exposed_ops as f64)
}

/// Over the flows with enough unexposed requests; `None` when nothing is expected.
fn wait_ratio(flows: &[&Use]) -> Option<f64> {
    let (mut observed, mut expected) = (0.0, 0.0);
    for flow in flows.iter().filter(|flow| has_usual(flow)) {
        let outside = flow.total_ns.saturating_sub(flow.overlap_ns);
        observed += flow.overlap_ns as f64;
        expected += flow.exposed_ops as f64 * (outside as f64 / unexposed_ops(flow) as f64);
    }
    (expected > 0.0).then(|| significant(observed / expected))
}
