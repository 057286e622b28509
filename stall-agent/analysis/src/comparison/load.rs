//! Whether the others' load on the suspect's disk can be compared: rule K4 of `docs/principles.md`.

use std::collections::BTreeMap;

use super::flow::{Counts, Flow, Flows};
use super::model::Load;
use super::rules::{GONE, LARGE_USER, LEAST_OPS};
use super::side::Party;
use crate::number::significant;
use stall_capture::Op;

/// The load of some flows of one disk.
pub(super) fn load(flows: &Flows, others: &[&Flow], parties: &[Party<'_>]) -> Load {
    let ops = Rates::new(flows, others, |counts| counts.ops);
    let bytes = Rates::new(flows, others, |counts| counts.bytes);
    let mut stopped: Vec<usize> = ops.stopped().chain(bytes.stopped()).collect();
    stopped.sort_unstable();
    stopped.dedup();
    Load {
        ops_kept: ops.kept(),
        bytes_kept: bytes.kept(),
        read_size_ratio: size_ratio(others, Op::Read),
        write_size_ratio: size_ratio(others, Op::Write),
        covered_share: covered(others),
        stopped: stopped
            .into_iter()
            .map(|row| parties[row].label())
            .collect(),
    }
}

/// Something per second, by party, before and after.
struct Rates(BTreeMap<usize, [f64; 2]>);

impl Rates {
    fn new(flows: &Flows, others: &[&Flow], field: fn(&Counts) -> u64) -> Self {
        let mut rates = BTreeMap::<usize, [f64; 2]>::new();
        for flow in others {
            let rate = rates.entry(flow.party).or_default();
            for (side, rate) in rate.iter_mut().enumerate() {
                let seconds = flows.seconds[side];
                if seconds > 0.0 {
                    *rate += field(&flow.sides[side]) as f64 / seconds;
                }
            }
        }
        Self(rates)
    }

    fn before(&self) -> f64 {
        self.0.values().map(|rate| rate[0]).sum()
    }

    fn kept(&self) -> Option<f64> {
        let before = self.before();
        let kept: f64 = self.0.values().map(|rate| rate[0].min(rate[1])).sum();
        (before > 0.0).then(|| significant(kept / before))
    }

    /// Those that were a large part, and are not any more.
    fn stopped(&self) -> impl Iterator<Item = usize> {
        let large = self.before() * LARGE_USER;
        let rows = self.0.iter();
        rows.filter(move |(_, rate)| rate[0] > 0.0 && rate[0] >= large && rate[1] <= rate[0] * GONE)
            .map(|(row, _)| *row)
    }
}

fn size_ratio(others: &[&Flow], op: Op) -> Option<f64> {
    let size = |side: usize| {
        let of_op = others.iter().filter(|flow| flow.op == op);
        let (bytes, ops) = of_op.fold((0.0, 0), |(bytes, ops): (f64, u64), flow| {
            let counts = &flow.sides[side];
            (bytes + counts.bytes as f64, ops.saturating_add(counts.ops))
        });
        (ops >= LEAST_OPS && bytes > 0.0).then(|| bytes / ops as f64)
    };
    Some(significant(size(1)? / size(0)?))
}

fn covered(others: &[&Flow]) -> Option<f64> {
    let slow = |flow: &&&Flow| flow.sides[0].slow() as f64;
    let all: f64 = others.iter().map(|flow| slow(&flow)).sum();
    let both = others.iter().filter(|flow| flow.sides[1].known() > 0);
    let both: f64 = both.map(|flow| slow(&flow)).sum();
    (all > 0.0).then(|| significant(both / all))
}
