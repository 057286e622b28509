//! Latencies per disk and operation: queue, device, total; with a discard in flight and without.

use super::histogram::Buckets;
use crate::total::Total as _;
use stall_capture::is_discard;
use stall_capture::{Capture, Series};
use stall_report::model::{Distribution, Events, Operation};

/// The operations seen on a disk.
pub(super) fn operations(capture: &Capture, disk: u16) -> Vec<Operation> {
    let mut series: Vec<&Series> = capture
        .series
        .iter()
        .filter(|series| series.disk == disk)
        .collect();
    series.sort_by_key(|series| series.op);
    series
        .into_iter()
        .map(|series| operation(capture, series))
        .collect()
}

fn operation(capture: &Capture, series: &Series) -> Operation {
    let total = Buckets::new(&series.total);
    let exposed = Buckets::new(&series.exposed);
    let unexposed = total.minus(&exposed);
    let exposed_sum = exposed_sum(capture, series, exposed.count());
    let unexposed_sum = exposed_sum.map(|sum| series.total_ns.saturating_sub(sum));
    let kept = |distribution| (!is_discard(series.op)).then_some(distribution);
    Operation {
        op: series.op,
        ops: series.ops,
        bytes: series.bytes,
        queue: part(&series.queue, series.queue_ns, series.slowest_ns),
        device: part(&series.device, series.device_ns, series.slowest_ns),
        total: total.distribution(Some(series.total_ns), Some(series.slowest_ns)),
        exposed: kept(exposed.distribution(exposed_sum, Some(series.slowest_ns))),
        unexposed: kept(unexposed.distribution(unexposed_sum, Some(series.slowest_ns))),
        events: events(capture, series),
    }
}

/// A part of a request's life cannot be longer than the longest request.
fn part(histogram: &stall_capture::Histogram, sum_ns: u64, slowest_ns: u64) -> Distribution {
    Buckets::new(histogram).distribution(Some(sum_ns), Some(slowest_ns))
}

/// The exact sum, known from the actors' counts when these are complete; the kernel keeps none per disk.
fn exposed_sum(capture: &Capture, series: &Series, exposed: u64) -> Option<u64> {
    let uses = || {
        capture
            .uses
            .iter()
            .filter(|used| used.disk == series.disk && used.op == series.op)
    };
    let counted = uses().map(|used| used.exposed_ops).total();
    (counted == exposed).then(|| uses().map(|used| used.exposed_total_ns).total())
}

fn events(capture: &Capture, series: &Series) -> Events {
    let told_by = |program, count| (!capture.lacks_program(program)).then_some(count);
    Events {
        requeues: told_by("block_rq_requeue", series.requeues),
        merges: told_by("block_rq_merge", series.merges),
        errors: series.errors,
        partial_completions: series.partial_completions,
        sequenced_completions: series.sequenced_completions,
        older_requests: (!capture.lacks_part("request_start")).then_some(series.older_requests),
    }
}
