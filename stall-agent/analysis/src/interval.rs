//! What happened in one snapshot interval.

use std::collections::HashMap;

use super::lane;
use super::names::Names;
use crate::number::ratio;
use stall_capture as capture;
use stall_capture::Capture;
use stall_report::model::{
    Interval, IntervalBlocked, IntervalDevice, IntervalDiscards, IntervalUse,
};

/// All of them; `blocked` are the ids of the report's blocked tasks.
pub(super) fn intervals(capture: &Capture, names: &Names<'_>, blocked: &[u32]) -> Vec<Interval> {
    let lanes = lane::lanes(capture, blocked);
    let told = !capture.lacks_program("d_tasks");
    capture
        .intervals
        .iter()
        .zip(lanes)
        .map(|(interval, blocked)| Interval {
            blocked_tasks: told.then_some(interval.blocked_tasks),
            ..self::interval(names, interval, blocked)
        })
        .collect()
}

fn interval(
    names: &Names<'_>,
    interval: &capture::Interval,
    blocked: Vec<IntervalBlocked>,
) -> Interval {
    let length_ns = interval.end_ns.saturating_sub(interval.start_ns);
    Interval {
        start_ns: interval.start_ns,
        end_ns: interval.end_ns,
        operations: interval
            .series
            .iter()
            .map(|series| operation(names, series))
            .collect(),
        discards: interval
            .discards
            .iter()
            .map(|row| discards(names, row, length_ns))
            .collect(),
        uses: uses(names, &interval.uses),
        blocked,
        blocked_tasks: None,
    }
}

fn operation(names: &Names<'_>, series: &capture::IntervalSeries) -> IntervalDevice {
    IntervalDevice {
        device: names.device(series.disk),
        op: series.op,
        ops: series.ops,
        bytes: series.bytes,
        queue_ns: series.queue_ns,
        device_ns: series.device_ns,
        p50_ns: series.p50_ns,
        p99_ns: series.p99_ns,
        total_counts: series.total_counts.clone(),
    }
}

fn discards(
    names: &Names<'_>,
    row: &capture::IntervalDiscards,
    length_ns: u64,
) -> IntervalDiscards {
    IntervalDiscards {
        device: names.device(row.disk),
        busy_ns: row.busy_ns,
        busy_share: ratio(row.busy_ns, length_ns),
        in_flight: row.in_flight,
    }
}

fn uses(names: &Names<'_>, uses: &[capture::IntervalUse]) -> Vec<IntervalUse> {
    let mut whole = HashMap::<u16, u64>::new();
    for used in uses {
        let sum = whole.entry(used.disk).or_default();
        *sum = sum.saturating_add(used.device_ns);
    }
    let row = |used: &capture::IntervalUse| IntervalUse {
        actor: used.actor,
        device: names.device(used.disk),
        op: used.op,
        ops: used.ops,
        bytes: used.bytes,
        queue_ns: used.queue_ns,
        device_ns: used.device_ns,
        device_share: ratio(used.device_ns, whole[&used.disk]),
        service_ns: used.service_ns,
    };
    uses.iter().map(row).collect()
}
