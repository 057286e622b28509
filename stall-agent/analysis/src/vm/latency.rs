//! Latencies of one disk at one layer: those of one actor, and those of all.

use super::super::histogram::Buckets;
use super::super::names::Names;
use crate::number::mean;
use stall_capture::{Capture, Op};
use stall_capture::{is_discard, is_waited_for};
use stall_report::model::{LayerKind, VmLayer};

/// What one actor's requests met; no percentiles are kept of it.
pub(super) fn of_actor(
    capture: &Capture,
    names: &Names<'_>,
    layer: LayerKind,
    row: usize,
    actor: Option<u32>,
) -> Vec<VmLayer> {
    let disk = &capture.disks[row];
    let uses = capture.uses.iter();
    let uses = uses.filter(|used| {
        actor.is_some() && Some(used.actor) == actor && Some(used.disk) == disk.index
    });
    let mut layers: Vec<VmLayer> = uses
        .filter(|used| counts(used.op))
        .map(|used| VmLayer {
            layer,
            device: names.device_of_row(row),
            actor,
            op: used.op,
            ops: used.ops,
            slow_ops: used.slow_ops,
            mean_ns: mean(used.total_ns, used.ops),
            p50_ns: None,
            p99_ns: None,
            slowest_ns: used.slowest_ns,
        })
        .collect();
    layers.sort_by_key(|layer| layer.op);
    layers
}

/// What all requests of the disk met.
pub(super) fn of_disk(
    capture: &Capture,
    names: &Names<'_>,
    layer: LayerKind,
    row: usize,
) -> Vec<VmLayer> {
    let disk = &capture.disks[row];
    let series = capture.series.iter();
    let series = series.filter(|series| disk.index.is_some() && Some(series.disk) == disk.index);
    let mut layers: Vec<VmLayer> = series
        .filter(|series| counts(series.op))
        .map(|series| {
            let total = Buckets::new(&series.total)
                .distribution(Some(series.total_ns), Some(series.slowest_ns));
            let uses = capture.uses.iter();
            let uses = uses.filter(|used| (used.disk, used.op) == (series.disk, series.op));
            VmLayer {
                layer,
                device: names.device_of_row(row),
                actor: None,
                op: series.op,
                ops: series.ops,
                slow_ops: uses.fold(0, |sum, used| used.slow_ops.saturating_add(sum)),
                mean_ns: total.mean_ns,
                p50_ns: total.p50_ns,
                p99_ns: total.p99_ns,
                slowest_ns: series.slowest_ns,
            }
        })
        .collect();
    layers.sort_by_key(|layer| layer.op);
    layers
}

/// Latencies that somebody waits for, and discards, which others wait for.
const fn counts(op: Op) -> bool {
    is_waited_for(op) || is_discard(op)
}
