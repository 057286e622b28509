//! A disk that ends nothing: requests in flight, none completed since, whether a new one came or not.

use std::collections::BTreeMap;

use stall_capture::{Capture, is_discard, is_waited_for};
use stall_report::model::{Confidence, Kind, Origin};

use super::disk::Work;
use super::finding::{Culprits, Finding};
use super::rules;
use super::workload::{Base, Workloads};
use crate::findings::Findings;
use crate::reason::is_storage;

/// Of each disk.
pub(super) fn findings(
    capture: &Capture,
    findings: &Findings,
    workloads: &Workloads<'_>,
) -> Vec<Finding> {
    let rows = capture.disks.iter().enumerate();
    rows.filter_map(|(row, _)| {
        hang(capture, findings, workloads, row).or_else(|| ended(capture, findings, workloads, row))
    })
    .collect()
}

/// One that began before the window and ended in it: what was in flight then was never seen to begin, and whoever waited for
/// it slept.
fn ended(
    capture: &Capture,
    found: &Findings,
    workloads: &Workloads<'_>,
    row: usize,
) -> Option<Finding> {
    let disk = &capture.disks[row];
    let start = capture.window.start_ns;
    disk.in_flight_at_start
        .filter(|one| one.reads > 0 || one.writes > 0)?;
    let of_it = |interval: &&stall_capture::Interval| {
        let mut series = interval.series.iter();
        series.any(|series| Some(series.disk) == disk.index && series.ops > 0)
    };
    let first = capture.intervals.iter().find(of_it)?;
    let recorded = capture
        .slow_requests
        .iter()
        .chain(&capture.discard_requests)
        .filter(|one| Some(one.disk) == disk.index && one.completed_ns >= first.start_ns);
    // In that interval at the latest.
    let end = recorded
        .map(|one| one.completed_ns)
        .min()
        .map_or(first.start_ns, |end| end.min(first.end_ns));
    let stood_ns = end.saturating_sub(start);
    if stood_ns < rules::HANG_NS {
        return None;
    }
    let slept_through = |task: &&stall_report::model::BlockedTask| {
        let mut sleeps = task.long_sleeps.iter();
        let until = end.saturating_sub(rules::ASLEEP_NS);
        !task.process.kernel_thread
            && sleeps.any(|sleep| {
                sleep.start_ns <= start.saturating_add(rules::ASLEEP_NS) && sleep.end_ns >= until
            })
    };
    let tasks = found.blocked.iter().filter(slept_through);
    let lost: BTreeMap<Base, u64> = tasks
        .filter_map(|task| Some((workloads.of_pid(task.process.pid)?, stood_ns)))
        .collect();
    let victims: Vec<Base> = lost.keys().copied().collect();
    let confidence = if stood_ns >= 5 * rules::HANG_NS {
        Confidence::High
    } else {
        Confidence::Medium
    };
    Some(Finding {
        confidence: Some(confidence),
        disk: disk.index,
        disk_row: Some(row),
        start_ns: start,
        end_ns: end,
        share: Some(1.0),
        ..Finding::new(Kind::DeviceHang).with_victims(&victims, &lost)
    })
}

fn hang(
    capture: &Capture,
    found: &Findings,
    workloads: &Workloads<'_>,
    row: usize,
) -> Option<Finding> {
    let disk = &capture.disks[row];
    let (start, end) = (capture.window.start_ns, capture.window.end_ns);
    let mut open: Vec<_> = capture
        .unfinished_requests
        .iter()
        .filter(|one| disk.index == Some(one.disk))
        .filter(|one| is_waited_for(one.op) || is_discard(one.op))
        .collect();
    open.sort_by_key(|one| one.queued_ns);
    let asleep = asleep(found, workloads);
    let since = match open.first() {
        Some(first) => first.queued_ns,
        // Nothing came: the kernel's counters say that something is in flight, and tasks sleep since before.
        None => {
            let busy = disk
                .in_flight_at_end
                .is_some_and(|one| one.reads > 0 || one.writes > 0)
                && disk
                    .in_flight_at_start
                    .is_some_and(|one| one.reads > 0 || one.writes > 0);
            let ended = disk.stat_at_end.zip(disk.stat_at_start);
            let none = ended.is_some_and(|(end, start)| {
                (end.reads, end.writes, end.discards, end.flushes)
                    == (start.reads, start.writes, start.discards, start.flushes)
            });
            let oldest = asleep.iter().map(|one| one.since_ns).min();
            oldest.filter(|since| busy && none && *since <= start)?
        }
    };
    let last = last_completion(capture, row);
    let from = last.map_or(since, |last| last.max(since));
    // What is in flight behind a request that was submitted after the last completion hangs with it.
    if end.saturating_sub(from) < rules::HANG_NS || end.saturating_sub(since) < rules::HANG_NS {
        return None;
    }
    let mut lost = BTreeMap::<Base, u64>::new();
    for one in open.iter().filter(|one| is_waited_for(one.op)) {
        let base = workloads.of_actor(one.actor);
        if !workloads.is_hand(base) {
            let ns = end.saturating_sub(one.queued_ns.max(start));
            let sum = lost.entry(base).or_default();
            *sum = (*sum).max(ns);
        }
    }
    let known = lost.keys().any(|base| !workloads.get(*base).is_unknown);
    let first_discard = open.first().filter(|one| is_discard(one.op));
    let trimmer = asleep
        .iter()
        .find(|one| one.trims && one.since_ns <= since.saturating_add(rules::ASLEEP_NS));
    let by_trim = match (open.first(), first_discard) {
        (_, Some(first)) => Some(first.actor),
        (None, None) if trimmer.is_some() => Some(stall_common::actor::UNKNOWN),
        _ => None,
    };
    for one in asleep.iter().filter(|one| !one.trims) {
        let since_hang = one.since_ns.saturating_add(rules::ASLEEP_NS) >= since;
        if (!known || lost.contains_key(&one.base)) && since_hang && one.waits {
            let sum = lost.entry(one.base).or_default();
            *sum = (*sum).max(end.saturating_sub(one.since_ns.max(start)));
        }
    }
    if known {
        lost.retain(|base, _| !workloads.get(*base).is_unknown);
    }
    let mut culprits = Vec::new();
    let mut kind = Kind::DeviceHang;
    let mut origin = None;
    if let Some(actor) = by_trim {
        let group = found.discards.iter().find(|group| {
            group.unfinished_ops > 0 && group.actor == actor && disk.name == group.device
        });
        origin = group.map(|group| group.origin);
        if origin.is_none_or(|origin| origin == Origin::Unknown) && trimmer.is_some() {
            origin = Some(Origin::FilesystemTrim);
        }
        kind = kind_of(origin.unwrap_or(Origin::Unknown));
        let base = workloads.of_actor(actor);
        let base = match trimmer {
            Some(trimmer) if workloads.get(base).is_kernel => trimmer.base,
            _ => base,
        };
        lost.remove(&base);
        culprits.push(Culprits {
            bases: vec![base],
            share: 1.0,
            work: Work::Discard,
        });
    }
    let victims: Vec<Base> = lost.keys().copied().collect();
    let long = end.saturating_sub(since) >= 5 * rules::HANG_NS;
    Some(Finding {
        confidence: Some(match (victims.is_empty(), long) {
            // A disk that stops by itself while a trim runs has a discard in flight first, too.
            (false, true) if kind != Kind::DeviceHang => Confidence::Medium,
            (false, true) => Confidence::High,
            (false, false) | (true, true) => Confidence::Medium,
            (true, false) => Confidence::Low,
        }),
        disk: disk.index,
        disk_row: Some(row),
        start_ns: since,
        end_ns: end,
        goes_on: true,
        share: Some(1.0),
        culprits,
        requests: open.len() as f64,
        origin,
        ..Finding::new(kind).with_victims(&victims, &lost)
    })
}

struct Asleep {
    base: Base,
    since_ns: u64,
    trims: bool,
    waits: bool,
}

/// Processes with a thread in D at the end of the window, for storage.
fn asleep(found: &Findings, workloads: &Workloads<'_>) -> Vec<Asleep> {
    let tasks = found.blocked.iter().filter_map(|task| {
        let sleep = task.unfinished.as_ref()?;
        let base = workloads.of_pid(task.process.pid)?;
        Some(Asleep {
            base,
            since_ns: sleep.start_ns,
            trims: task.trim_function.is_some(),
            waits: is_storage(sleep.reason, sleep.family.as_deref()) && !task.process.kernel_thread,
        })
    });
    tasks.collect()
}

/// When the disk last ended anything: a recorded request, or the end of the last interval in which one ended.
fn last_completion(capture: &Capture, row: usize) -> Option<u64> {
    let index = capture.disks[row].index?;
    let recorded = capture
        .slow_requests
        .iter()
        .chain(&capture.discard_requests);
    let recorded = recorded
        .filter(|one| one.disk == index)
        .map(|one| one.completed_ns);
    let intervals = capture.intervals.iter().filter(|interval| {
        let series = interval.series.iter();
        series
            .filter(|series| series.disk == index)
            .any(|series| series.ops > 0)
    });
    // Somewhere in it: at its start at the earliest, which is what a hang may begin with.
    let intervals = intervals.map(|interval| interval.start_ns);
    recorded.chain(intervals).max()
}

/// The kind of verdict that discards of an origin make.
pub(super) const fn kind_of(origin: Origin) -> Kind {
    match origin {
        Origin::FilesystemTrim => Kind::HostTrim,
        Origin::Guest => Kind::GuestTrim,
        Origin::OnlineDiscard
        | Origin::Blkdiscard
        | Origin::Mkfs
        | Origin::OtherProgram
        | Origin::Swap
        | Origin::LoopDevice
        | Origin::StackedDevice
        | Origin::StorageTarget
        | Origin::Unknown => Kind::OtherDiscards,
    }
}
