//! The time axis that all pictures share: the window from left to right, in at most 180 columns.
//!
//! A column is one interval of the report, or several of them when there are many; the page then says so.

use std::ops::Range;

use maud::{Markup, html};

use super::path::percent;
use crate::model::Interval;
use crate::{Report, duration};

/// More cannot be distinguished on a screen, and make the file large.
const COLUMNS: usize = 180;
const TICKS: u64 = 6;
const SECOND: u64 = 1_000_000_000;
/// Steps between ticks, in tenths of a second.
const STEPS: [u64; 16] = [
    1, 2, 5, 10, 20, 50, 100, 200, 300, 600, 1_200, 3_000, 6_000, 12_000, 36_000, 144_000,
];

pub(super) struct TimeAxis {
    pub(super) columns: Vec<Column>,
    /// Intervals in a column.
    pub(super) together: usize,
    start_ns: u64,
    length_ns: u64,
}

/// Consecutive intervals.
pub(super) struct Column {
    pub(super) intervals: Range<usize>,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    /// Where it begins and ends, as parts of the window.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl TimeAxis {
    pub(super) fn new(report: &Report) -> Self {
        let together = report.intervals.len().div_ceil(COLUMNS).max(1);
        let mut axis = Self {
            columns: Vec::new(),
            together,
            start_ns: report.window.start_ns,
            length_ns: report.window.length_ns.max(1),
        };
        let numbers: Vec<usize> = (0..report.intervals.len()).collect();
        for numbers in numbers.chunks(together) {
            axis.columns.extend(axis.column(report, numbers));
        }
        axis
    }

    fn column(&self, report: &Report, numbers: &[usize]) -> Option<Column> {
        let (first, last) = (*numbers.first()?, *numbers.last()?);
        let (start_ns, end_ns) = (
            report.intervals[first].start_ns,
            report.intervals[last].end_ns,
        );
        let from = self.place(start_ns);
        Some(Column {
            intervals: first..last + 1,
            start_ns,
            end_ns,
            from,
            to: self.place(end_ns).max(from),
        })
    }

    /// Where a time is, as a part of the window.
    pub(super) fn place(&self, ns: u64) -> f64 {
        let since = ns.saturating_sub(self.start_ns);
        (since as f64 / self.length_ns as f64).min(1.0)
    }

    /// A time since the start of the window, in words.
    pub(super) fn since(&self, ns: u64) -> String {
        duration(ns.saturating_sub(self.start_ns))
    }

    /// From when to when a column is, in words.
    pub(super) fn span(&self, column: &Column) -> String {
        format!(
            "{} to {}",
            self.since(column.start_ns),
            self.since(column.end_ns)
        )
    }

    /// Times at the axis, and where they stand.
    fn ticks(&self) -> Vec<(f64, String)> {
        let tenths = STEPS.into_iter().map(|step| step * SECOND / 10);
        let step = tenths
            .into_iter()
            .find(|step| self.length_ns / step <= TICKS)
            .unwrap_or(self.length_ns);
        let times = (0..=self.length_ns / step).map(|number| number * step);
        times
            .map(|ns| (ns as f64 / self.length_ns as f64, duration(ns)))
            .collect()
    }

    /// The axis itself, below a picture.
    pub(super) fn scale(&self) -> Markup {
        html! {
            svg.scale width="100%" height="18" aria-hidden="true" {
                @for (place, words) in self.ticks() {
                    line.tick x1=(percent(place)) x2=(percent(place)) y1="0" y2="4" {}
                    text x=(percent(place)) y="15" text-anchor=(anchor(place)) { (words) }
                }
            }
        }
    }

    /// Lines at the ticks, as high as a picture.
    pub(super) fn grid(&self, height: f64) -> Markup {
        html! {
            @for (place, _) in self.ticks() {
                line.grid x1=(percent(place)) x2=(percent(place)) y1="0" y2=(height) {}
            }
        }
    }
}

impl Column {
    /// The report's intervals in it.
    pub(super) fn of<'a>(&self, report: &'a Report) -> &'a [Interval] {
        &report.intervals[self.intervals.clone()]
    }

    /// Length of these, ns.
    pub(super) fn length_ns(&self, report: &Report) -> f64 {
        let lengths = self.of(report).iter();
        let lengths = lengths.map(|one| one.end_ns.saturating_sub(one.start_ns) as f64);
        lengths.sum()
    }

    pub(super) fn width(&self) -> f64 {
        self.to - self.from
    }
}

/// So that no text reaches beyond the picture.
fn anchor(place: f64) -> &'static str {
    if place < 0.02 {
        "start"
    } else if place > 0.97 {
        "end"
    } else {
        "middle"
    }
}
