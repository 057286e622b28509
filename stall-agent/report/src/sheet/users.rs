//! Who used the disks most.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::paper::{Align, Column, Paper};
use crate::model::{ActorUse, Device};
use crate::who::{Who, Workloads};
use crate::{Report, duration, factor, share};

/// Rows of one disk.
const ROWS: usize = 5;
/// IOPS, MB/s, part of the device time, mean, longest, who.
const COLUMNS: [Column; 6] = [
    (7, Align::Right),
    (7, Align::Right),
    (6, Align::Right),
    (8, Align::Right),
    (8, Align::Right),
    (37, Align::Left),
];

#[derive(Default)]
struct Sums {
    ops: u64,
    bytes: u64,
    device_ns: u64,
    total_ns: u64,
    slowest_ns: u64,
}

impl Sums {
    fn add(&mut self, used: &ActorUse) {
        self.ops = self.ops.saturating_add(used.ops);
        self.bytes = self.bytes.saturating_add(used.bytes);
        self.device_ns = self.device_ns.saturating_add(used.device_ns);
        self.total_ns = self.total_ns.saturating_add(used.total_ns);
        self.slowest_ns = self.slowest_ns.max(used.slowest_ns);
    }
}

/// A table for the verdict's disk, or else for the one that worked most.
pub(super) fn write(paper: &mut Paper, report: &Report) {
    let workloads = Workloads::new(report);
    let all = report.devices.iter().map(|device| {
        let sums = sums(&workloads, device);
        (device, sums)
    });
    let used = all.filter(|(_, sums)| !sums.is_empty());
    let busiest = used.max_by_key(|(device, sums)| {
        let is_judged = report.verdict.device.as_ref() == Some(&device.id);
        let device_ns = sums.values().map(|sum| sum.device_ns).max();
        (is_judged, device_ns)
    });
    let Some((device, sums)) = busiest else {
        return;
    };
    paper.heading(&format!("TOP USERS of {}", device.id));
    paper.row(
        &COLUMNS,
        &["IOPS", "MB/s", "share", "mean", "longest", "who"],
    );
    let all = sums
        .values()
        .fold(0u64, |all, sum| all.saturating_add(sum.device_ns));
    let mut rows: Vec<(&Who, &Sums)> = sums.iter().map(|(who, sum)| (*who, sum)).collect();
    rows.sort_by_key(|(who, sum)| (Reverse((sum.device_ns, sum.ops)), *who));
    let seconds = report.window.length_ns.max(1) as f64 / 1e9;
    for (who, sum) in rows.iter().take(ROWS) {
        let mean = sum.total_ns.checked_div(sum.ops).unwrap_or(0);
        let part = if all > 0 {
            share(sum.device_ns as f64 / all as f64)
        } else {
            "?".to_owned()
        };
        let cells = [
            factor(sum.ops as f64 / seconds),
            factor(sum.bytes as f64 / seconds / 1e6),
            part.replace("less than ", "<"),
            duration(mean),
            duration(sum.slowest_ns),
            workloads.label(who),
        ];
        paper.row(&COLUMNS, &cells.each_ref().map(String::as_str));
    }
    if rows.len() > ROWS {
        paper.text_at(1, &format!("and {} more", rows.len() - ROWS));
    }
}

fn sums<'a>(workloads: &'a Workloads<'_>, device: &Device) -> BTreeMap<&'a Who, Sums> {
    let mut sums: BTreeMap<&Who, Sums> = BTreeMap::new();
    for (who, actors) in workloads.actors() {
        let uses = actors.iter().flat_map(|actor| &actor.uses);
        for used in uses.filter(|used| used.device == device.id && used.ops > 0) {
            sums.entry(who).or_default().add(used);
        }
    }
    sums
}
