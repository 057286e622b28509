//! Virtual machines, discards, and what was lost.

use super::paper::{Align, Column, Paper, most};
use crate::model::{DiscardGroup, Vm, VmDisk};
use crate::text::word;
use crate::{Report, bytes, duration, thousands};

const VMS: usize = 12;
const GROUPS: usize = 6;
const GAPS: usize = 5;
/// Layer, operation, mean, 99th percentile, slow of all, device.
const LAYER: [Column; 6] = [
    (10, Align::Left),
    (9, Align::Left),
    (9, Align::Right),
    (9, Align::Right),
    (16, Align::Right),
    (16, Align::Left),
];

/// Each with its disks, layer by layer.
pub(super) fn vms(paper: &mut Paper, report: &Report) {
    if report.vms.is_empty() {
        return;
    }
    paper.heading("VIRTUAL MACHINES");
    most(paper, &report.vms, VMS, vm);
}

fn vm(paper: &mut Paper, vm: &Vm) {
    paper.text_at(1, &vm.label);
    for disk in &vm.disks {
        paper.item("    ", &disk_line(disk));
        if !disk.layers.is_empty() {
            paper.row(
                &LAYER,
                &["  layer", "operation", "mean", "99 %", "slow", "device"],
            );
        }
        for layer in &disk.layers {
            let time = |ns: Option<u64>| ns.map_or_else(|| "?".to_owned(), duration);
            let slow = format!("{} of {}", thousands(layer.slow_ops), thousands(layer.ops));
            let name = format!("  {}", word(&layer.layer));
            paper.row(
                &LAYER,
                &[
                    &name,
                    &word(&layer.op),
                    &time(layer.mean_ns),
                    &time(layer.p99_ns),
                    &slow,
                    &layer.device,
                ],
            );
        }
    }
}

fn disk_line(disk: &VmDisk) -> String {
    let mut parts = vec![disk.path.clone()];
    parts.extend(disk.device.as_ref().map(|device| format!("here {device}")));
    parts.extend(
        disk.volume
            .as_ref()
            .map(|volume| format!("volume {volume}")),
    );
    for replica in &disk.replicas {
        let directory = replica
            .directory
            .as_deref()
            .unwrap_or("a directory not known");
        let rebuilding = if replica.rebuilding == Some(true) {
            ", rebuilding"
        } else {
            ""
        };
        parts.push(format!("replica in {directory}{rebuilding}"));
    }
    let remote = disk
        .replica_addresses
        .iter()
        .filter(|one| one.local == Some(false));
    parts.extend(remote.map(|one| format!("replica at {}", one.address)));
    if !disk.physical.is_empty() {
        parts.push(format!("on {}", disk.physical.join(", ")));
    }
    parts.join(", ")
}

/// By submitter, device and what for.
pub(super) fn discards(paper: &mut Paper, report: &Report) {
    if report.discards.is_empty() {
        return;
    }
    paper.heading("DISCARDS");
    let labels = |id| {
        report
            .actors
            .iter()
            .find(|actor| actor.id == id)
            .map_or("?", |actor| actor.label.as_str())
    };
    most(paper, &report.discards, GROUPS, |paper, group| {
        paper.item("  ", &discard(group, labels(group.actor)));
    });
}

fn discard(group: &DiscardGroup, label: &str) -> String {
    let mut parts = vec![
        format!("{label} on {}: {}", group.device, word(&group.origin)),
        format!("{} ended, {}", thousands(group.ops), bytes(group.bytes)),
    ];
    parts.extend(
        group
            .mean_device_ns
            .map(|mean| format!("{} each", duration(mean))),
    );
    if group.unfinished_ops > 0 {
        parts.push(format!("{} unfinished", thousands(group.unfinished_ops)));
    }
    parts.join(", ")
}

/// What was not measured or could not be named.
pub(super) fn lost(paper: &mut Paper, report: &Report) {
    paper.heading("WHAT IS MISSING");
    if report.losses.causes.is_empty() {
        paper.text_at(1, "Nothing was lost.");
    }
    for loss in &report.losses.causes {
        paper.text_at(
            1,
            &format!("{} {}", thousands(loss.count), loss.cause.replace('_', " ")),
        );
    }
    for gap in &report.coverage_gaps {
        paper.item(
            "  ",
            &format!("On this kernel {} ({}).", gap.lack, gap.reason),
        );
    }
    for cost in &report.host.view.costs {
        paper.text_at(1, cost);
    }
    most(paper, &report.name_gaps, GAPS, |paper, gap| {
        paper.item(
            "  ",
            &format!(
                "name of {} ({}): {}",
                gap.what,
                thousands(gap.count),
                gap.reason
            ),
        );
    });
}
