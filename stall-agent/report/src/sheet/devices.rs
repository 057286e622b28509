//! Devices: latency by operation, with a bar that shows where most requests are and where the tail is.

use super::paper::{Align, Column, Paper};
use crate::model::{Device, Distribution, Operation, Stall};
use crate::summary::OLD_NS;
use crate::text::word;
use crate::{Report, duration, share, thousands};

/// Operation, number, median, 99th percentile, longest, bar.
const COLUMNS: [Column; 6] = [
    (10, Align::Left),
    (9, Align::Right),
    (8, Align::Right),
    (8, Align::Right),
    (8, Align::Right),
    (BAR, Align::Left),
];
const BAR: usize = 30;
/// What the two ends of the bar stand for, ns.
const FROM_NS: f64 = 1e4;
const TO_NS: f64 = 1e10;

pub(super) fn write(paper: &mut Paper, report: &Report) {
    let used: Vec<&Device> = report
        .devices
        .iter()
        .filter(|device| device.operations.iter().any(|one| one.ops > 0))
        .collect();
    if used.is_empty() {
        return;
    }
    paper.heading(
        "DEVICES: how long requests took (bar: 10 us to 10 s, = to the median, - to 99 %)",
    );
    for device in used {
        paper.text_at(1, &title(device));
        paper.row(&COLUMNS, &["", "requests", "median", "99 %", "longest", ""]);
        for operation in device.operations.iter().filter(|one| one.ops > 0) {
            line(paper, operation);
        }
    }
}

fn title(device: &Device) -> String {
    let mut parts = vec![device.id.clone()];
    parts.extend(device.model.clone());
    let partitions = device
        .partitions
        .iter()
        .flat_map(|partition| &partition.mounts);
    let mounts = device.mounts.iter().chain(partitions);
    parts.extend(mounts.take(2).map(|mount| mount.mount_point.clone()));
    if let Some(stall) = &device.stall {
        parts.push(slow(stall));
    }
    if let Some(busy) = device.discard_clock.busy_share.filter(|busy| *busy > 0.0) {
        parts.push(format!("a discard in flight {} of the time", share(busy)));
    }
    parts.join(", ")
}

/// A disk that ends nothing is not slow: what it has not ended counts.
fn slow(stall: &Stall) -> String {
    let is_hung = stall.slow_ops == 0;
    let old = |age: &u64| is_hung || *age >= OLD_NS;
    let outstanding = stall.oldest_unfinished_ns.filter(old).map(|age| {
        format!(
            "the oldest outstanding request has waited {}",
            duration(age)
        )
    });
    if let (true, true, Some(text)) = (stall.stalled, is_hung, &outstanding) {
        return text.clone();
    }
    let word = if stall.stalled { "slow" } else { "not slow" };
    let counts = format!(
        "{word}: {} of {} requests ({})",
        thousands(stall.slow_ops),
        thousands(stall.ops),
        share(stall.slow_share.unwrap_or(0.0))
    );
    match outstanding.filter(|_| stall.stalled) {
        Some(text) => format!("{counts}, {text}"),
        None => counts,
    }
}

fn line(paper: &mut Paper, operation: &Operation) {
    let total = &operation.total;
    let time = |ns: Option<u64>| ns.map_or_else(|| "?".to_owned(), duration);
    let cells = [
        word(&operation.op),
        thousands(operation.ops),
        time(total.p50_ns),
        time(total.p99_ns),
        time(total.max_ns),
        bar(total),
    ];
    paper.row(&COLUMNS, &cells.each_ref().map(String::as_str));
}

fn bar(total: &Distribution) -> String {
    let (median, tail) = (place(total.p50_ns), place(total.p99_ns));
    let mut bar = "=".repeat(median);
    bar.push_str(&"-".repeat(tail.saturating_sub(median)));
    bar
}

/// On a logarithmic scale.
fn place(ns: Option<u64>) -> usize {
    let Some(ns) = ns.filter(|ns| *ns > 0) else {
        return 0;
    };
    let part = (ns as f64 / FROM_NS).ln() / (TO_NS / FROM_NS).ln();
    (part.clamp(0.0, 1.0) * BAR as f64).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_latencies() {
        assert_eq!(place(None), 0);
        assert_eq!(place(Some(1)), 0);
        assert_eq!(place(Some(10_000_000)), BAR / 2);
        assert_eq!(place(Some(u64::MAX)), BAR);
    }
}
