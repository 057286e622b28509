//! What changed for some flows or threads, with intervals: rule K3 of `docs/principles.md`.

use super::batches::{self, Cell, Run, around, normal_half_width};
use super::flow::{Counts, Flow, Flows, Part};
use super::model::{Change, Proportion, SlowChange, Waiting};
use super::side::Party;
use crate::number::significant;
use crate::risk::{Cells, relative_risk};
use stall_report::model::BlockedTask;

/// Everything that is told of the waiting of some flows.
pub(super) fn waiting(flows: &Flows, some: &[&Flow]) -> Waiting {
    Waiting {
        slow: slow(some),
        mean_ns: mean(some),
        waited_ns_per_s: rate(flows, some, |all| all.total_ns, |part| part.total_ns),
        ops_per_s: rate(flows, some, |all| all.ops, |part| part.ops),
        bytes_per_s: rate(flows, some, |all| all.bytes, |part| part.bytes),
    }
}

fn slow(some: &[&Flow]) -> SlowChange {
    let run = |side| {
        let whole = |all: &Counts| cell(all.slow(), all.known());
        let part = |part: &Part| Cell {
            sum: part.slow,
            count: part.ops,
        };
        run(some, side, whole, part)
    };
    let batches = batches::ratio(&run(0), &run(1), true).and_then(|found| found.interval);
    SlowChange {
        before: proportion(some, 0),
        after: proportion(some, 1),
        relative_risk: relative_risk(some.iter().map(|flow| cells(flow))),
        batches_low: batches.map(|(low, _)| low),
        batches_high: batches.map(|(_, high)| high),
    }
}

fn proportion(some: &[&Flow], side: usize) -> Proportion {
    let sum = |field: fn(&Counts) -> u64| {
        let all = some.iter().map(|flow| field(&flow.sides[side]));
        all.fold(0, u64::saturating_add)
    };
    let (ops, slow_ops) = (sum(Counts::known), sum(Counts::slow));
    Proportion {
        ops,
        slow_ops,
        slow_share: (ops > 0).then(|| significant(slow_ops as f64 / ops as f64)),
    }
}

/// What comes after stands where exposure does.
fn cells(flow: &Flow) -> Cells {
    let [before, after] = &flow.sides;
    Cells {
        exposed_slow: after.slow() as f64,
        exposed: after.known() as f64,
        unexposed_slow: before.slow() as f64,
        unexposed: before.known() as f64,
    }
}

fn mean(some: &[&Flow]) -> Change {
    let run = |side| {
        let whole = |all: &Counts| cell(all.total_ns, all.ops);
        let part = |part: &Part| Cell {
            sum: part.total_ns,
            count: part.ops,
        };
        run(some, side, whole, part)
    };
    let (before, after) = (run(0), run(1));
    let sides = [&before, &after].map(|run| {
        let all = total(&run.whole);
        (all.count > 0.0).then(|| all.sum / all.count)
    });
    change(sides, batches::ratio(&before, &after, false))
}

/// Something per second of window.
fn rate(
    flows: &Flows,
    some: &[&Flow],
    whole: fn(&Counts) -> u64,
    part: fn(&Part) -> f64,
) -> Change {
    let run = |side: usize| {
        let sum = some
            .iter()
            .map(|flow| whole(&flow.sides[side]) as f64)
            .sum();
        let batch = |index: usize| {
            let parts = some
                .iter()
                .filter_map(|flow| flow.sides[side].batches.get(index));
            parts.map(part).sum()
        };
        let batches = (0..flows.batches[side].len()).map(batch).collect();
        (sum, batches)
    };
    per_second(flows, &[run(0), run(1)])
}

/// Of each side the sum, and the sums of the batches.
pub(super) fn per_second(flows: &Flows, sides: &[(f64, Vec<f64>); 2]) -> Change {
    let values = [0, 1].map(|side: usize| {
        let seconds = flows.seconds[side];
        (seconds > 0.0).then(|| sides[side].0 / seconds)
    });
    let run = |side: usize| {
        let (sum, batches) = &sides[side];
        let pairs = batches.iter().zip(&flows.batches[side]);
        Run {
            whole: vec![Cell {
                sum: *sum,
                count: flows.seconds[side],
            }],
            batches: pairs
                .map(|(sum, seconds)| {
                    vec![Cell {
                        sum: *sum,
                        count: *seconds,
                    }]
                })
                .collect(),
        }
    };
    change(values, batches::ratio(&run(0), &run(1), false))
}

fn change(sides: [Option<f64>; 2], found: Option<batches::Ratio>) -> Change {
    let [before, after] = sides.map(|value| value.map(significant));
    let interval = found.and_then(|found| found.interval);
    Change {
        before,
        after,
        ratio: found
            .map(|found| found.ratio)
            .or_else(|| nothing_left(before, after)),
        low: interval.map(|(low, _)| low),
        high: interval.map(|(_, high)| high),
    }
}

/// A ratio of zero has no logarithm, and no interval.
fn nothing_left(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    (before? > 0.0 && after? == 0.0).then_some(0.0)
}

fn cell(sum: u64, count: u64) -> Cell {
    Cell {
        sum: sum as f64,
        count: count as f64,
    }
}

fn total(cells: &[Cell]) -> Cell {
    let mut all = Cell::default();
    for cell in cells {
        all.add(cell);
    }
    all
}

fn run(
    some: &[&Flow],
    side: usize,
    whole: impl Fn(&Counts) -> Cell,
    part: impl Fn(&Part) -> Cell,
) -> Run {
    let batches = some.iter().map(|flow| flow.sides[side].batches.len()).max();
    let batch = |index: usize| {
        let parts = some.iter().map(|flow| flow.sides[side].batches.get(index));
        parts
            .map(|one| one.map_or(Cell::default(), &part))
            .collect()
    };
    Run {
        whole: some.iter().map(|flow| whole(&flow.sides[side])).collect(),
        batches: (0..batches.unwrap_or(0)).map(batch).collect(),
    }
}

/// Time in D per second of window. A sum of sleeps that come independently varies by the sum of their squares (compound
/// Poisson); of each row of sleeps that is at most the longest times their sum.
pub(super) fn blocked(flows: &Flows, party: &Party<'_>, short_ns: [u64; 2]) -> Change {
    let sides = [0, 1].map(|side: usize| {
        let tasks = party.members[side].iter().flat_map(|member| &member.tasks);
        tasks.fold((0.0, 0.0), |(sum, squares), task| {
            let (more, square) = sleeps(task, short_ns[side]);
            (sum + more, squares + square)
        })
    });
    let values = [0, 1].map(|side: usize| {
        let seconds = flows.seconds[side];
        (seconds > 0.0).then(|| sides[side].0 / seconds)
    });
    change(values, ratio_of_sums(values, sides))
}

fn ratio_of_sums(values: [Option<f64>; 2], sides: [(f64, f64); 2]) -> Option<batches::Ratio> {
    let log = (values[1]? / values[0]?).ln();
    if !log.is_finite() {
        return None;
    }
    let relative = sides.map(|(sum, squares)| squares / (sum * sum));
    let half = normal_half_width(relative.iter().sum());
    Some(batches::Ratio {
        ratio: significant(log.exp()),
        interval: around(log, half),
    })
}

/// Time in the window, and a bound of the sum of its squares.
fn sleeps(task: &BlockedTask, short_ns: u64) -> (f64, f64) {
    let rows = task
        .stacks
        .iter()
        .map(|row| (row.blocked_ns, row.longest_ns));
    let unfinished = task.unfinished.as_ref();
    let unfinished = unfinished.map(|sleep| (sleep.in_window_ns, sleep.in_window_ns));
    let all = rows.chain([(task.short_ns, short_ns)]).chain(unfinished);
    let squares = all.map(|(sum, longest)| sum as f64 * longest.min(sum) as f64);
    (task.in_window_ns as f64, squares.sum())
}
