//! Two captures, before and after something was stopped: what changed, and whether it proves the cause. Pure, like
//! analysis, on which it rests: both captures are judged again. The rules are section K of `docs/principles.md`, the
//! fields are defined in `docs/comparison.md`.

mod batches;
mod flow;
mod judge;
mod load;
mod measure;
pub mod model;
mod quantile;
mod rules;
mod schema;
mod side;
mod suspect;
mod text;
mod words;

#[cfg(test)]
mod tests;

pub use model::{Comparison, OutcomeKind};
pub use schema::schema;
pub use text::text;

use flow::{Flow, Flows};
use model::{DiskChange, OperationChange, Outcome, PartyChange, Run, VmChange};
use side::{DiskPair, Party, Side};
use stall_capture::{Capture, Histogram, Op};
use stall_report::Report;

/// Percentiles that are told.
const PER_MILLE: [u32; 3] = [500, 900, 990];

/// Compares two captures.
#[must_use]
pub fn compare(before: &Capture, after: &Capture) -> Comparison {
    let sides = [Side::new(before), Side::new(after)];
    let disks = side::disks(&sides);
    let parties = side::parties(&sides);
    let flows = flow::flows(&sides, &disks, &parties);
    let found = suspect::find(&sides, &disks, &parties, &flows);
    let suspects = found.as_ref().map_or(&[][..], |found| &found.parties);
    let others = |disk: usize| -> Vec<&Flow> {
        let counts = |flow: &&Flow| flow.disk == disk && !suspects.contains(&flow.party);
        flows.all.iter().filter(counts).collect()
    };
    let load = found
        .as_ref()
        .filter(|found| found.suspect.after_device.is_some());
    let mut comparison = Comparison {
        schema: model::SCHEMA.to_owned(),
        verdict: Outcome {
            kind: OutcomeKind::NotComparable,
            finding: None,
            sentence: String::new(),
            reasons: Vec::new(),
        },
        compared_by: env!("CARGO_PKG_VERSION").to_owned(),
        before: run(&sides[0]),
        after: run(&sides[1]),
        load: load.map(|found| load::load(&flows, &others(found.disk), &parties)),
        disks: disks
            .iter()
            .enumerate()
            .map(|(row, pair)| disk(&sides, &flows, pair, &others(row)))
            .collect(),
        vms: vms(&sides, &flows, &parties),
        parties: rows(&sides, &flows, &parties, suspects),
        suspect: found.as_ref().map(|found| found.suspect.clone()),
    };
    comparison.verdict = judge::judge(&sides, &comparison);
    comparison
}

fn run(side: &Side<'_>) -> Run {
    let Report {
        host,
        window,
        settings,
        losses,
        verdict,
        ..
    } = &side.report;
    Run {
        hostname: host.hostname.clone(),
        boot_id: host.boot_id.clone(),
        start: window.start.clone(),
        end: window.end.clone(),
        length_ns: window.length_ns,
        slow_ns: settings.slow_ns,
        lost_share: losses.request_share,
        kind: verdict.kind,
        confidence: verdict.confidence,
        stalled: verdict.stalled,
        sentence: verdict.sentence.clone(),
    }
}

fn disk(sides: &[Side<'_>; 2], flows: &Flows, pair: &DiskPair, others: &[&Flow]) -> DiskChange {
    let busy = [0, 1].map(|side: usize| suspect::busy(&sides[side], pair.0[side].as_deref()));
    DiskChange {
        before_device: pair.0[0].clone(),
        after_device: pair.0[1].clone(),
        others: measure::waiting(flows, others),
        discard_ns_per_s: measure::per_second(flows, &busy),
        operations: operations(sides, pair),
    }
}

fn operations(sides: &[Side<'_>; 2], pair: &DiskPair) -> Vec<OperationChange> {
    let none = Histogram::default();
    let histogram = |side: usize, op: Op| {
        let run = &sides[side];
        let row = pair.0[side].as_deref().and_then(|id| run.row_of(id));
        let index = row.and_then(|row| run.capture.disks[row].index);
        let mut series = run.capture.series.iter();
        let found = series.find(|one| Some(one.disk) == index && one.op == op);
        found.map(|series| &series.total)
    };
    let change = |op: Op| {
        let both = [histogram(0, op), histogram(1, op)];
        both.iter().flatten().next()?;
        let [before, after] = both.map(|found| found.unwrap_or(&none));
        let quantile = |per_mille: &u32| quantile::quantile(*per_mille, before, after);
        Some(OperationChange {
            op,
            quantiles: PER_MILLE.iter().map(quantile).collect(),
        })
    };
    let all = stall_common::request::Op::ALL;
    all.into_iter().map(Op::from).filter_map(change).collect()
}

fn of_party(flows: &Flows, row: usize) -> Vec<&Flow> {
    flows.all.iter().filter(|flow| flow.party == row).collect()
}

/// Sleeps shorter than that have no stack.
fn short_ns(sides: &[Side<'_>; 2]) -> [u64; 2] {
    sides
        .each_ref()
        .map(|side| side.capture.settings.stack_min_ns)
}

fn rows(
    sides: &[Side<'_>; 2],
    flows: &Flows,
    parties: &[Party<'_>],
    suspects: &[usize],
) -> Vec<PartyChange> {
    let change = |(row, party): (usize, &Party<'_>)| PartyChange {
        label: party.label(),
        same_process: party.same_process,
        suspect: suspects.contains(&row),
        before_actors: party.actors(0),
        after_actors: party.actors(1),
        waiting: measure::waiting(flows, &of_party(flows, row)),
        blocked_ns_per_s: measure::blocked(flows, party, short_ns(sides)),
    };
    let mut rows: Vec<PartyChange> = parties.iter().enumerate().map(change).collect();
    rows.sort_by(|one, other| {
        let weight = |row: &PartyChange| row.waiting.waited_ns_per_s.before.unwrap_or(0.0);
        let order = weight(other).total_cmp(&weight(one));
        order.then_with(|| one.label.cmp(&other.label))
    });
    rows
}

/// Those of either side, by name; of those without one by pid.
fn vms(sides: &[Side<'_>; 2], flows: &Flows, parties: &[Party<'_>]) -> Vec<VmChange> {
    let mut labels: Vec<&String> = sides
        .iter()
        .flat_map(|side| side.report.vms.iter().map(|vm| &vm.label))
        .collect();
    labels.sort_unstable();
    labels.dedup();
    let pid = |side: usize, label: &String| {
        let mut vms = sides[side].report.vms.iter();
        vms.find(|vm| vm.label == *label).map(|vm| vm.pid)
    };
    let change = |label: &String| {
        let pids = [pid(0, label), pid(1, label)];
        let is_it = |party: &Party<'_>| {
            (0..2).any(|side| {
                let mut members = party.members[side].iter();
                members.any(|member| Some(member.process.pid) == pids[side])
            })
        };
        let row = parties.iter().position(is_it);
        let party = row.map_or_else(Party::default, |row| Party {
            same_process: parties[row].same_process,
            members: parties[row].members.clone(),
        });
        VmChange {
            label: label.clone(),
            before_pid: pids[0],
            after_pid: pids[1],
            waiting: measure::waiting(
                flows,
                &row.map_or_else(Vec::new, |row| of_party(flows, row)),
            ),
            blocked_ns_per_s: measure::blocked(flows, &party, short_ns(sides)),
        }
    };
    labels.into_iter().map(change).collect()
}
