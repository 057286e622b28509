//! Who is suspected, and how much it used the disk before and after: rule K2 of `docs/principles.md`.

use super::batches::{batch_of, number};
use super::flow::{Flow, Flows};
use super::measure::{per_second, waiting};
use super::model::{Change, Measure, Suspect};
use super::rules::GONE;
use super::side::{DiskPair, Party, Side};
use stall_capture::is_discard;
use stall_capture::{Op, UnfinishedRequest};
use stall_report::model::{DiscardGroup, Kind, Origin};

/// A suspect, its disk and the parties it is.
pub(super) struct Found {
    pub(super) suspect: Suspect,
    /// The row of the disk among the pairs.
    pub(super) disk: usize,
    pub(super) parties: Vec<usize>,
}

/// Who the verdict of the run before names; `None` when it names nobody for the use of a disk.
pub(super) fn find(
    sides: &[Side<'_>; 2],
    disks: &[DiskPair],
    parties: &[Party<'_>],
    flows: &Flows,
) -> Option<Found> {
    let verdict = &sides[0].report.verdict;
    let device = verdict.device.as_ref()?;
    let origin = verdict.culprits.first()?.origin;
    let disk = disks
        .iter()
        .position(|pair| pair.0[0].as_ref() == Some(device))?;
    let ids = &disks[disk].0;
    let mut rows = named(sides, parties);
    if let Some(origin) = origin {
        rows.extend(discarders(sides, ids, parties, origin));
        rows.sort_unstable();
        rows.dedup();
    }
    let (measure, use_per_s) = match (origin, verdict.kind) {
        (Some(origin), _) => (Measure::DiscardNs, discard_time(sides, ids, flows, origin)),
        (None, Kind::Flushes) => (Measure::Preflushes, requests(flows, disk, &rows, true)),
        (None, Kind::NoisyNeighbor) => (Measure::Bytes, requests(flows, disk, &rows, false)),
        // What another kind of culprit did is not its use of the disk.
        (None, _) => return None,
    };
    let suspect = Suspect {
        kind: verdict.kind,
        before_device: device.clone(),
        after_device: ids[1].clone(),
        origin,
        labels: verdict
            .culprits
            .iter()
            .map(|one| one.label.clone())
            .collect(),
        after_labels: after_labels(sides, ids, parties, &rows, origin),
        measure,
        use_per_s: Change {
            after: use_per_s.after.filter(|_| ids[1].is_some()),
            ..use_per_s
        },
        gone: ids[1].as_ref().and_then(|_| is_gone(&use_per_s)),
    };
    let parties = rows.into_iter().filter(|_| origin != Some(Origin::Guest));
    Some(Found {
        suspect,
        disk,
        parties: parties.collect(),
    })
}

/// `None` when there was no use that could be measured.
pub(super) fn is_gone(used: &Change) -> Option<bool> {
    let before = used.before.filter(|before| *before > 0.0)?;
    Some(used.after? <= before * GONE)
}

/// Groups of discards of an origin on a disk; after, also those of which it is not known.
fn groups<'a>(
    sides: &'a [Side<'_>; 2],
    ids: &'a [Option<String>; 2],
    side: usize,
    origin: Origin,
) -> impl Iterator<Item = &'a DiscardGroup> {
    let counts = move |group: &&DiscardGroup| {
        is_discard(group.op)
            && Some(&group.device) == ids[side].as_ref()
            && (group.origin == origin || (side == 1 && group.origin == Origin::Unknown))
    };
    sides[side].report.discards.iter().filter(counts)
}

fn discarders(
    sides: &[Side<'_>; 2],
    ids: &[Option<String>; 2],
    parties: &[Party<'_>],
    origin: Origin,
) -> Vec<usize> {
    let does = |party: &Party<'_>| {
        [0, 1].into_iter().any(|side| {
            let actors = party.actors(side);
            groups(sides, ids, side, origin).any(|group| actors.contains(&group.actor))
        })
    };
    rows(parties, does)
}

/// Parties of the culprits, also of one that is known by its sleep only.
fn named(sides: &[Side<'_>; 2], parties: &[Party<'_>]) -> Vec<usize> {
    let culprits = &sides[0].report.verdict.culprits;
    let is_one = |party: &Party<'_>| {
        let mut members = party.members[0].iter();
        members.any(|member| {
            culprits.iter().any(|one| {
                let same = one.process.as_ref() == Some(member.process);
                same || (one.actor.is_some() && one.actor == member.actor)
            })
        })
    };
    rows(parties, is_one)
}

fn rows(parties: &[Party<'_>], is_one: impl Fn(&Party<'_>) -> bool) -> Vec<usize> {
    let all = parties.iter().enumerate();
    all.filter(|(_, party)| is_one(party))
        .map(|(row, _)| row)
        .collect()
}

fn after_labels(
    sides: &[Side<'_>; 2],
    ids: &[Option<String>; 2],
    parties: &[Party<'_>],
    rows: &[usize],
    origin: Option<Origin>,
) -> Vec<String> {
    let mut actors: Vec<u32> = match origin {
        Some(origin) => groups(sides, ids, 1, origin)
            .map(|group| group.actor)
            .collect(),
        None => rows
            .iter()
            .flat_map(|row| parties[*row].actors(1))
            .collect(),
    };
    actors.sort_unstable();
    actors.dedup();
    let all = sides[1].report.actors.iter();
    all.filter(|actor| actors.contains(&actor.id))
        .map(|actor| actor.label.clone())
        .collect()
}

/// Bytes of its reads and writes, or its fsync requests.
fn requests(flows: &Flows, disk: usize, rows: &[usize], preflushes: bool) -> Change {
    let counts = |flow: &&Flow| {
        flow.disk == disk && rows.contains(&flow.party) && (flow.op == Op::Preflush) == preflushes
    };
    let some: Vec<&Flow> = flows.all.iter().filter(counts).collect();
    let waiting = waiting(flows, &some);
    if preflushes {
        waiting.ops_per_s
    } else {
        waiting.bytes_per_s
    }
}

/// Time with a discard in flight, times the origin's part of the discards' time.
fn discard_time(
    sides: &[Side<'_>; 2],
    ids: &[Option<String>; 2],
    flows: &Flows,
    origin: Origin,
) -> Change {
    let side = |side: usize| {
        let part = part_of_origin(sides, ids, side, origin);
        let (busy_ns, batches) = busy(&sides[side], ids[side].as_deref());
        let batches = batches.into_iter().map(|ns| ns * part).collect();
        (busy_ns * part, batches)
    };
    per_second(flows, &[side(0), side(1)])
}

fn part_of_origin(
    sides: &[Side<'_>; 2],
    ids: &[Option<String>; 2],
    side: usize,
    origin: Origin,
) -> f64 {
    let run = &sides[side];
    let time = |group: &DiscardGroup| {
        let open = group.oldest_unfinished_ns.unwrap_or(0);
        let open = open.min(run.report.window.length_ns);
        group.device_ns.saturating_add(open) as f64
    };
    let on_it =
        |group: &&DiscardGroup| is_discard(group.op) && Some(&group.device) == ids[side].as_ref();
    let all: f64 = run.report.discards.iter().filter(on_it).map(time).sum();
    let own: f64 = groups(sides, ids, side, origin).map(time).sum();
    if all > 0.0 { own / all } else { 0.0 }
}

/// Time in the window with a discard in flight, and of the batches.
pub(super) fn busy(run: &Side<'_>, device: Option<&str>) -> (f64, Vec<f64>) {
    let intervals = &run.capture.intervals;
    let mut batches = vec![0.0; number(intervals.len())];
    let Some(row) = device.and_then(|device| run.row_of(device)) else {
        return (0.0, batches);
    };
    let index = run.capture.disks[row].index;
    for (number, interval) in intervals.iter().enumerate() {
        let rows = interval.discards.iter();
        let ns = rows
            .filter(|row| Some(row.disk) == index)
            .map(|row| row.busy_ns as f64);
        batches[batch_of(number, intervals.len())] += ns.sum::<f64>();
    }
    let clock = &run.report.devices[row].discard_clock;
    let busy_ns = clock.busy_ns.max(oldest_open(run, index));
    (busy_ns as f64, batches)
}

/// A discard in flight that moved no clock: it was found when the window ended.
fn oldest_open(run: &Side<'_>, index: Option<u16>) -> u64 {
    let window = &run.capture.window;
    let on_it =
        |request: &&UnfinishedRequest| Some(request.disk) == index && is_discard(request.op);
    let open = run.capture.unfinished_requests.iter().filter(on_it);
    let ages = open.map(|request| window.end_ns.saturating_sub(request.queued_ns));
    ages.max().unwrap_or(0).min(window.length_ns())
}
