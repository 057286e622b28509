//! Was a disk slow for those who used it? The mark `stalled` of `docs/report.md`.

use super::histogram::Buckets;
use crate::number::ratio;
use crate::total::Total as _;
use stall_capture::is_waited_for;
use stall_capture::{Capture, Use};
use stall_report::model::{DiscardGroup, Origin, Requests, Stall, UnfinishedRequest};

/// What was found before.
pub(super) struct Inputs<'a> {
    pub(super) discards: &'a [DiscardGroup],
    pub(super) requests: &'a Requests,
}

/// Judges one disk.
pub(super) fn of_disk(capture: &Capture, inputs: &Inputs<'_>, id: &str, index: u16) -> Stall {
    let counts = |actor| !trims(inputs.discards, actor);
    let flows: Vec<&Use> = capture
        .uses
        .iter()
        .filter(|used| used.disk == index && is_waited_for(used.op) && counts(used.actor))
        .collect();
    let oldest = oldest_unfinished(inputs.requests, |request| {
        request.device == id && is_waited_for(request.op) && counts(request.actor)
    });
    let slowest = flows.iter().map(|flow| flow.slowest_ns).max();
    let all = Totals::new(&flows);
    let hurt = flows
        .iter()
        .filter(|flow| is_hurt(flow.slow_ops, flow.ops))
        .count();
    let severe = |ns: Option<u64>| ns.is_some_and(|ns| ns >= SEVERE_NS);
    let slow_waited_ns = slow_waited(capture, index);
    let slow_waited_share = ratio(slow_waited_ns, all.total_ns).map(|share| share.min(1.0));
    let long = all.slow_ops >= HURT_SLOW_OPS
        && slow_waited_share.is_some_and(|share| share >= HURT_WAITED_SHARE)
        && ratio(slow_waited_ns, capture.window.length_ns())
            .is_some_and(|share| share >= HURT_WINDOW_SHARE);
    Stall {
        stalled: hurt > 0
            || is_hurt(all.slow_ops, all.ops)
            || long
            || severe(slowest)
            || severe(oldest),
        ops: all.ops,
        slow_ops: all.slow_ops,
        slow_share: ratio(all.slow_ops, all.ops),
        waited_ns: all.total_ns,
        slow_waited_ns,
        slow_waited_share,
        slowest_ns: slowest,
        oldest_unfinished_ns: oldest,
        hurt_flows: u32::try_from(hurt).unwrap_or(u32::MAX),
    }
}

/// Time waited in slow requests; the kernel keeps it by disk and operation, not by actor.
fn slow_waited(capture: &Capture, index: u16) -> u64 {
    let series = capture
        .series
        .iter()
        .filter(|series| series.disk == index && is_waited_for(series.op));
    let slow_ns = capture.settings.slow_ns;
    series.fold(0u64, |sum, series| {
        sum.saturating_add(Buckets::new(&series.total).sum_from(slow_ns))
    })
}

/// A flow is hurt when at least so many of its requests were slow, and this part of them.
const HURT_SLOW_OPS: u64 = 5;
const HURT_SHARE: f64 = 0.01;
/// Or when slow requests took this part of all waiting, and of the window.
const HURT_WAITED_SHARE: f64 = 0.20;
const HURT_WINDOW_SHARE: f64 = 0.02;
/// Or one took this long.
const SEVERE_NS: u64 = 1_000_000_000;

pub(super) fn is_hurt(slow_ops: u64, ops: u64) -> bool {
    slow_ops >= HURT_SLOW_OPS && ratio(slow_ops, ops).is_some_and(|share| share >= HURT_SHARE)
}

/// Whether an actor is known to run a filesystem trim. One that is not known at all is no trim.
fn trims(discards: &[DiscardGroup], actor: u32) -> bool {
    actor != stall_common::actor::UNKNOWN
        && discards
            .iter()
            .any(|group| group.actor == actor && group.origin == Origin::FilesystemTrim)
}

/// Age of the oldest request that has not ended.
pub(super) fn oldest_unfinished(
    requests: &Requests,
    counts: impl Fn(&UnfinishedRequest) -> bool,
) -> Option<u64> {
    requests
        .unfinished
        .iter()
        .filter(|request| counts(request))
        .map(|request| request.age_ns)
        .max()
}

struct Totals {
    ops: u64,
    slow_ops: u64,
    total_ns: u64,
}

impl Totals {
    fn new(flows: &[&Use]) -> Self {
        let sum = |field: fn(&Use) -> u64| flows.iter().map(|flow| field(flow)).total();
        Self {
            ops: sum(|flow| flow.ops),
            slow_ops: sum(|flow| flow.slow_ops),
            total_ns: sum(|flow| flow.total_ns),
        }
    }
}
