//! Latencies over time as a heat map: a column for each time, a row for each latency, darker where more requests are.
//!
//! Slow requests have a colour of their own above the line from which on a request is slow. Where a discard was in
//! flight the background is shaded, the more of the time the darker.

use maud::{Markup, html};

use super::latency_scale::{LatencyScale, bounds};
use super::path::{Path, percent, short};
use super::time_axis::{Column, TimeAxis};
use crate::model::{Device, IntervalDevice};
use crate::{Report, duration};
use stall_capture::is_waited_for;

pub(super) const HEIGHT: f64 = 190.0;
/// Width of the drawing's own coordinates; they are stretched to the page.
pub(super) const WIDTH: f64 = 1_000.0;
/// Steps of darkness, on a logarithmic scale from one request to the most in a cell.
pub(super) const LEVELS: usize = 7;
/// Fewer are not many, whatever else there is.
const MANY: f64 = 1_000.0;
/// Steps of the shade.
const SHADES: usize = 4;

pub(super) struct Heat {
    scale: LatencyScale,
    fast: [Path; LEVELS],
    slow: [Path; LEVELS],
    /// The most requests in a cell, at least [`MANY`].
    most: f64,
    /// Counts were kept; else only median and 99th percentile are known.
    pub(super) counted: bool,
}

/// Reads, writes and fsync requests of a device in a column.
pub(super) fn rows<'a>(
    report: &'a Report,
    column: &Column,
    device: &'a str,
) -> impl Iterator<Item = &'a IntervalDevice> {
    let rows = column.of(report).iter().flat_map(|one| &one.operations);
    rows.filter(move |row| row.device == device && is_waited_for(row.op))
}

impl Heat {
    pub(super) fn new(report: &Report, axis: &TimeAxis, device: &Device) -> Self {
        let id = device.id.as_str();
        let all = || {
            axis.columns
                .iter()
                .flat_map(|column| rows(report, column, id))
        };
        let counted = all().any(|row| row.total_counts.is_some());
        let seen = all().flat_map(latencies);
        let mut heat = Self {
            scale: LatencyScale::around(seen.chain([report.settings.slow_ns])),
            fast: Default::default(),
            slow: Default::default(),
            most: MANY,
            counted,
        };
        let sums = axis
            .columns
            .iter()
            .map(|column| sums(rows(report, column, id)));
        heat.most = sums.flatten().fold(MANY, f64::max);
        for column in &axis.columns {
            let place = (column.from * WIDTH, column.width() * WIDTH);
            if counted {
                heat.counts(report, place, rows(report, column, id));
            } else {
                heat.range(report, place, rows(report, column, id));
            }
        }
        heat
    }

    fn counts<'a>(
        &mut self,
        report: &Report,
        place: (f64, f64),
        rows: impl Iterator<Item = &'a IntervalDevice>,
    ) {
        for (bucket, count) in (0u8..=u8::MAX).zip(sums(rows)) {
            if count <= 0.0 {
                continue;
            }
            let (low, high) = bounds(bucket);
            let level = level(count, self.most);
            let paths = if low >= report.settings.slow_ns {
                &mut self.slow
            } else {
                &mut self.fast
            };
            draw(self.scale, &mut paths[level], place, (low, high));
        }
    }

    /// From the least median to the highest 99th percentile.
    fn range<'a>(
        &mut self,
        report: &Report,
        place: (f64, f64),
        rows: impl Iterator<Item = &'a IntervalDevice>,
    ) {
        let (mut low, mut high) = (u64::MAX, 0);
        for row in rows {
            (low, high) = (low.min(row.p50_ns), high.max(row.p99_ns));
        }
        if high == 0 {
            return;
        }
        let (slow_ns, level) = (report.settings.slow_ns, LEVELS / 2);
        let high = high.max(low.saturating_add(low / 8));
        draw(
            self.scale,
            &mut self.fast[level],
            place,
            (low, high.min(slow_ns)),
        );
        draw(
            self.scale,
            &mut self.slow[level],
            place,
            (low.max(slow_ns), high),
        );
    }

    /// The picture; `hits` lie above everything and have what is said of each column.
    pub(super) fn draw(
        &self,
        report: &Report,
        axis: &TimeAxis,
        (shades, hits): (&[Path], &Markup),
        label: &str,
    ) -> Markup {
        let slow = self.height(report.settings.slow_ns);
        html! {
            svg.plot.heat width="100%" height=(HEIGHT) role="img" tabindex="0" aria-label=(label) {
                (axis.grid(HEIGHT))
                (stretched(HEIGHT, &html! {
                    @for (step, path) in shades.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
                        path class={ "shade s" (step) } d=(path.data()) {}
                    }
                    @for (name, paths) in [("fast", &self.fast), ("slow", &self.slow)] {
                        @for (level, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
                            path class={ (name) " l" (level) } d=(path.data()) {}
                        }
                    }
                }))
                @for ns in self.scale.decades() {
                    line.grid x1="0" x2="100%" y1=(short(self.height(ns))) y2=(short(self.height(ns))) {}
                    text.halo x="4" y=(short(self.height(ns) - 3.0)) { (duration(ns)) }
                }
                line.limit x1="0" x2="100%" y1=(short(slow)) y2=(short(slow)) {}
                text.halo.limit x="100%" dx="-4" y=(short(slow - 4.0)) text-anchor="end" {
                    "slow from " (duration(report.settings.slow_ns)) " on"
                }
                (hits)
            }
        }
    }

    fn height(&self, ns: u64) -> f64 {
        HEIGHT * (1.0 - self.scale.place(ns as f64))
    }
}

fn latencies(row: &IntervalDevice) -> Vec<u64> {
    match &row.total_counts {
        Some(counts) => {
            let ends = counts.iter().map(|(bucket, _)| bounds(*bucket));
            ends.flat_map(|(low, high)| [low.max(1), high]).collect()
        }
        None => vec![row.p50_ns.max(1), row.p99_ns.max(1)],
    }
}

fn draw(scale: LatencyScale, path: &mut Path, (x, width): (f64, f64), (low, high): (u64, u64)) {
    let (bottom, top) = (scale.place(low as f64), scale.place(high as f64));
    path.rectangle((x, HEIGHT * (1.0 - top)), (width, HEIGHT * (top - bottom)));
}

/// Requests by bucket.
fn sums<'a>(rows: impl Iterator<Item = &'a IntervalDevice>) -> [f64; 256] {
    let mut sums = [0.0; 256];
    for (bucket, count) in rows.flat_map(|row| row.total_counts.iter().flatten()) {
        sums[usize::from(*bucket)] += f64::from(*count);
    }
    sums
}

/// One request is the lightest, the most the darkest.
fn level(count: f64, most: f64) -> usize {
    let part = count.max(1.0).ln() / most.ln();
    ((part * LEVELS as f64).floor() as usize).min(LEVELS - 1)
}

/// A background for each column, in steps of how much of it had a discard in flight.
pub(super) fn shades(axis: &TimeAxis, busy: &[f64]) -> Vec<Path> {
    let mut paths = vec![Path::default(); SHADES];
    for (column, busy) in axis
        .columns
        .iter()
        .zip(busy)
        .filter(|(_, busy)| **busy > 0.0)
    {
        let step = ((busy * SHADES as f64).ceil() as usize).clamp(1, SHADES) - 1;
        paths[step].rectangle((column.from * WIDTH, 0.0), (column.width() * WIDTH, HEIGHT));
    }
    paths
}

/// A drawing in coordinates of its own, stretched to the width of the page.
pub(super) fn stretched(height: f64, drawing: &Markup) -> Markup {
    html! {
        svg width="100%" height=(height) viewBox={ "0 0 " (WIDTH) " " (height) } preserveAspectRatio="none" {
            (drawing)
        }
    }
}

/// An invisible rectangle for each column of which something is said.
pub(super) fn hits(
    axis: &TimeAxis,
    height: f64,
    says: impl Fn(usize, &Column) -> Option<String>,
) -> Markup {
    let columns = axis.columns.iter().enumerate();
    let columns = columns.filter(|(_, column)| column.width() > 0.0);
    html! {
        g.hits {
            @for (column, words) in columns.filter_map(|(number, column)| Some((column, says(number, column)?))) {
                rect x=(percent(column.from)) width=(percent(column.width())) height=(height) {
                    title { (words) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn darkness_goes_by_factors() {
        let levels: Vec<usize> = [1.0, 2.0, 10.0, 100.0, 999.0, 1e3]
            .map(|count| level(count, 1e3))
            .into();
        assert_eq!(levels, [0, 0, 2, 4, 6, 6]);
        assert_eq!(level(1e3, 1e6), 3);
    }
}
