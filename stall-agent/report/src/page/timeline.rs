//! Per disk, on one time axis: how long requests took, when discards were in flight, and who used the disk.
//!
//! The disk of the verdict comes first and is open; others follow, the ones with the longest waits first.

use maud::{Markup, html};

use super::heat::{self, Heat, LEVELS, WIDTH, stretched};
use super::path::Path;
use super::time_axis::{Column, TimeAxis};
use super::usage::Usage;
use super::{foreign, older};
use crate::model::Device;
use crate::{Report, duration, share, thousands};

/// Disks drawn; all of them are in the table of disks.
const DRAWN: usize = 6;
const BAND: f64 = 26.0;

pub(super) fn section(report: &Report, axis: &TimeAxis) -> Markup {
    let devices = drawn(report);
    html! {
        section #timeline {
            h2 { "What happened when" }
            @if axis.columns.is_empty() || devices.is_empty() {
                p.muted { "No requests were seen in any interval." }
            } @else {
                p.muted {
                    (resolution(report, axis)) " Time runs from left to right since "
                    (report.window.start) "; it is the same in all pictures."
                }
                (heat_legend())
                @for (number, device) in devices.iter().take(DRAWN).enumerate() {
                    (self::device(report, axis, device, number == 0))
                }
                @if devices.len() > DRAWN {
                    p.muted { (devices.len() - DRAWN) " more disks are in the table of disks below." }
                }
            }
        }
    }
}

/// Those that were used, the verdict's first, then by the time waited in slow requests.
fn drawn(report: &Report) -> Vec<&Device> {
    let is_the_verdicts = |device: &Device| report.verdict.device.as_ref() == Some(&device.id);
    // Where everything hangs, nothing ended.
    let used = |device: &&Device| {
        let ended = device.operations.iter().any(|one| one.ops > 0);
        ended || device.discard_clock.busy_ns > 0 || is_the_verdicts(device)
    };
    let mut devices: Vec<&Device> = report.devices.iter().filter(used).collect();
    devices.sort_by_key(|device| {
        let waited = device
            .stall
            .as_ref()
            .map_or(0, |stall| stall.slow_waited_ns);
        std::cmp::Reverse((is_the_verdicts(device), waited))
    });
    devices
}

fn resolution(report: &Report, axis: &TimeAxis) -> String {
    let interval = duration(interval_ns(report));
    match axis.together {
        1 => format!("Each column is one interval of {interval}."),
        several => format!(
            "Each column is {several} intervals of {interval} taken together: this page is coarser than the report."
        ),
    }
}

/// As asked for, as often as it was joined with the next one.
fn interval_ns(report: &Report) -> u64 {
    let asked_ns = report.settings.interval_ns;
    let first = report.intervals.first();
    let first_ns = first.map_or(0, |first| first.end_ns.saturating_sub(first.start_ns));
    let looks = (first_ns as f64 / asked_ns.max(1) as f64).round() as u64;
    asked_ns.saturating_mul(looks.max(1))
}

fn device(report: &Report, axis: &TimeAxis, device: &Device, open: bool) -> Markup {
    let lane = Lane::new(report, axis, device);
    html! {
        details.device open[open] {
            summary { strong { (foreign::short(&device.id)) } " " span.muted { (place(device)) } }
            h3 { "How long requests took" span.muted { " reads, writes and fsyncs" } }
            @if !lane.heat.counted {
                p.muted { "Made from a capture that kept no counts by latency: columns go from the median to the 99th percentile." }
            }
            (lane.heat(report, axis))
            (lane.band(axis))
            h3 { "Who used the disk" span.muted { " share of its device time, where requests ended" } }
            (lane.usage.draw(axis))
            (axis.scale())
            (lane.usage.legend(report))
        }
    }
}

/// What it is, and what is mounted there.
fn place(device: &Device) -> String {
    let partitions = device.partitions.iter().flat_map(|one| &one.mounts);
    let mounts = device.mounts.iter().chain(partitions).take(2);
    let mounts = mounts.map(|mount| mount.mount_point.clone());
    let parts: Vec<String> = device.model.clone().into_iter().chain(mounts).collect();
    foreign::text(&parts.join(", "))
}

struct Lane<'a> {
    device: &'a Device,
    heat: Heat,
    usage: Usage,
    /// Part of each column with a discard in flight, as the clock has it.
    clock: Vec<f64>,
    /// The same with those that were queued before the window.
    busy: Vec<f64>,
    /// Until when there was one of these.
    older_until_ns: Option<u64>,
}

impl<'a> Lane<'a> {
    fn new(report: &Report, axis: &TimeAxis, device: &'a Device) -> Self {
        let columns = axis.columns.iter();
        let clock = columns
            .clone()
            .map(|column| busy(report, column, &device.id));
        let clock: Vec<f64> = clock.collect();
        let older_until_ns = older::until_ns(report, &device.id);
        let both = columns.zip(&clock);
        Self {
            device,
            heat: Heat::new(report, axis, device),
            usage: Usage::new(report, axis, device),
            busy: both
                .map(|(column, clock)| clock.max(older::part(column, older_until_ns)))
                .collect(),
            clock,
            older_until_ns,
        }
    }

    fn heat(&self, report: &Report, axis: &TimeAxis) -> Markup {
        let hits = heat::hits(axis, heat::HEIGHT, |number, column| {
            Some(self.says(report, axis, (number, column)))
        });
        let label = format!(
            "Latency of requests on {} over time; slow ones are above the line at {}.",
            foreign::text(&self.device.id),
            duration(report.settings.slow_ns)
        );
        self.heat.draw(
            report,
            axis,
            (&heat::shades(axis, &self.busy), &hits),
            &label,
        )
    }

    fn band(&self, axis: &TimeAxis) -> Markup {
        let share_of_window = self.device.discard_clock.busy_share.unwrap_or(0.0);
        if share_of_window <= 0.0 && self.older_until_ns.is_none() {
            return html! { p.muted.none { "No discard was in flight." } };
        }
        let older = self.older_until_ns.map(|ns| {
            format!(
                "; lighter is one that was queued before the trace, until {}",
                axis.since(ns)
            )
        });
        let words = format!(
            "{} of the time{}",
            share(share_of_window),
            older.unwrap_or_default()
        );
        html! {
            h3 { "Discards in flight " span.muted { (words) } }
            svg.plot.band width="100%" height=(BAND) role="img" aria-label={ "A discard was in flight " (words) } {
                (stretched(BAND, &html! {
                    @if self.older_until_ns.is_some() { path.older d=(bars(axis, &self.busy).data()) {} }
                    path.discard d=(bars(axis, &self.clock).data()) {}
                }))
            }
        }
    }

    /// What is said of a column.
    fn says(&self, report: &Report, axis: &TimeAxis, (number, column): (usize, &Column)) -> String {
        let rows = || heat::rows(report, column, &self.device.id);
        let ops = rows().fold(0u64, |sum, row| sum.saturating_add(row.ops));
        let worst = rows().map(|row| row.p99_ns).max();
        let busy = self.busy.get(number).copied().unwrap_or(0.0);
        let mut lines = vec![
            axis.span(column),
            format!("{} reads, writes and fsyncs ended", thousands(ops)),
        ];
        lines.extend(worst.map(|ns| format!("99 % of each kind within {}", duration(ns))));
        if busy > 0.0 {
            lines.push(format!("a discard in flight {} of the time", share(busy)));
        }
        lines.extend(self.usage.first_of(report, number));
        lines.join("\n")
    }
}

/// A bar for each column, as high as its part.
fn bars(axis: &TimeAxis, parts: &[f64]) -> Path {
    let mut path = Path::default();
    for (column, part) in axis.columns.iter().zip(parts) {
        let height = BAND * part;
        path.rectangle(
            (column.from * WIDTH, BAND - height),
            (column.width() * WIDTH, height),
        );
    }
    path
}

fn busy(report: &Report, column: &Column, device: &str) -> f64 {
    let rows = column.of(report).iter().flat_map(|one| &one.discards);
    let rows = rows.filter(|row| row.device == device);
    let busy: f64 = rows.map(|row| row.busy_ns as f64).sum();
    (busy / column.length_ns(report).max(1.0)).min(1.0)
}

fn heat_legend() -> Markup {
    html! {
        p.legend {
            "requests in a cell: few "
            @for name in ["fast", "slow"] {
                svg.ramp width="84" height="12" aria-hidden="true" {
                    @for level in 0..LEVELS {
                        rect class={ (name) " l" (level) } x=(level * 12) width="12" height="12" {}
                    }
                }
                @if name == "fast" { " many, " } @else { " many, of the slow; " }
            }
            svg.ramp width="24" height="12" aria-hidden="true" { rect.shade.s3 width="24" height="12" {} }
            " a discard in flight"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_column_is_is_what_its_intervals_took() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/captures");
        let mut report = crate::judged(&format!("{folder}/trim_begun_before.json"));
        report.settings.interval_ns = 1_000_000_000;
        let told = |report: &Report| resolution(report, &TimeAxis::new(report));
        assert_eq!(told(&report), "Each column is one interval of 1 s.");
        report.intervals.truncate(1);
        report.intervals[0].end_ns = report.intervals[0].start_ns + 4_003_000_000;
        assert_eq!(told(&report), "Each column is one interval of 4 s.");
    }
}
