//! What is drawn, as words and rows: made of a report on what there is so far, each time anew.
//!
//! Contract: every text is safe to show, whatever a process, a disk or a host is called.

use stall_common::histogram::{WIDE, wide_bounds};

use super::table::{Mark, Row};
use stall_capture::is_waited_for;
use stall_report::model::{
    BlockedTask, Device, DiscardGroup, Interval, IntervalDevice, Reason, UnfinishedRequest,
};
use stall_report::{Report, duration, escape, factor, headline, lost, share, thousands, word};

/// Rows of one kind: more have no room on any screen.
const ROWS: usize = 100;
/// Discards that ended as many intervals ago are still told of: each may be over before it is looked at.
const LATELY: u64 = 3;
/// So many requests and fewer have their slowest at the 99th percentile.
const FEW: u64 = 100;

/// What there is so far.
#[derive(Debug)]
pub(super) struct Model {
    /// `None` before anything is known.
    pub(super) host: Option<String>,
    pub(super) stalled: Mark,
    pub(super) headline: String,
    pub(super) sentence: String,
    pub(super) disks: Vec<Row>,
    pub(super) discards: Vec<Row>,
    pub(super) blocked: Vec<Row>,
    pub(super) lost: String,
}

impl Model {
    pub(super) fn new(report: &Report) -> Self {
        Self {
            host: report.host.hostname.as_deref().map(escape),
            stalled: match report.verdict.stalled {
                Some(true) => Mark::Bad,
                Some(false) => Mark::Good,
                None => Mark::Doubt,
            },
            headline: escape(&headline(report)),
            sentence: escape(&report.verdict.sentence),
            disks: disks(report),
            discards: discards(report),
            blocked: blocked(report),
            lost: escape(&lost(report)),
        }
    }

    /// When judging panicked.
    pub(super) fn failed() -> Self {
        Self {
            host: None,
            stalled: Mark::Doubt,
            headline: "not judged".to_owned(),
            sentence:
                "Internal error during analysis. The trace continues and keeps what it observes."
                    .to_owned(),
            disks: Vec::new(),
            discards: Vec::new(),
            blocked: Vec::new(),
            lost: "not known".to_owned(),
        }
    }
}

/// The verdict's first, then those that are slow, then the others, always in the same order.
fn disks(report: &Report) -> Vec<Row> {
    let traced = report.devices.iter().filter(|device| device.traced);
    let mut devices: Vec<&Device> = traced.collect();
    devices.sort_by_key(|device| {
        let is_the_verdicts = report.verdict.device.as_ref() == Some(&device.id);
        let is_slow = device.stall.as_ref().is_some_and(|stall| stall.stalled);
        std::cmp::Reverse((is_the_verdicts, is_slow))
    });
    let devices = devices.into_iter().take(ROWS);
    devices.map(|device| disk(report, device)).collect()
}

/// Its last interval, and what is on its way now.
fn disk(report: &Report, device: &Device) -> Row {
    let last = report.intervals.last();
    let used = Used::new(last, &device.id);
    let waiting = Waiting::new(report, &device.id);
    let slow_ns = report.settings.slow_ns;
    let longest = used.longest_ns.max(waiting.oldest_ns);
    let known = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), duration);
    Row {
        mark: if longest.is_some_and(|ns| ns >= slow_ns) {
            Mark::Bad
        } else {
            Mark::None
        },
        cells: vec![
            escape(&device.id),
            per_second(used.ops, last),
            known(used.mean_ns),
            known(used.p99_ns),
            known(used.longest_ns),
            waiting.told(),
            discards_on(last, &device.id),
        ],
    }
}

/// Reads, writes and fsyncs that ended on a disk in an interval.
#[derive(Default)]
struct Used {
    ops: u64,
    mean_ns: Option<u64>,
    p99_ns: Option<u64>,
    longest_ns: Option<u64>,
}

impl Used {
    fn new(interval: Option<&Interval>, device: &str) -> Self {
        let rows = interval.iter().flat_map(|last| &last.operations);
        let rows = rows.filter(|row| row.device == device && is_waited_for(row.op));
        let mut used = Self::default();
        let mut total_ns = 0u64;
        for row in rows {
            used.ops = used.ops.saturating_add(row.ops);
            total_ns = total_ns.saturating_add(row.queue_ns.saturating_add(row.device_ns));
            used.p99_ns = used.p99_ns.max(Some(row.p99_ns));
            used.longest_ns = used.longest_ns.max(Some(longest_ns(row)));
        }
        used.mean_ns = total_ns.checked_div(used.ops);
        used
    }
}

/// Where the highest bucket ends; of few, the 99th percentile is the longest.
fn longest_ns(row: &IntervalDevice) -> u64 {
    let buckets = row.total_counts.as_ref();
    let highest = buckets.and_then(|counts| counts.iter().map(|(bucket, _)| *bucket).max());
    match highest {
        Some(bucket) if row.ops > FEW => wide_bounds(usize::from(bucket).min(WIDE - 1)).1,
        Some(_) | None => row.p99_ns,
    }
}

/// What has not ended, and is waited for.
struct Waiting {
    count: u64,
    oldest_ns: Option<u64>,
}

impl Waiting {
    fn new(report: &Report, device: &str) -> Self {
        let all = report.requests.unfinished.iter();
        let is_here = |one: &&UnfinishedRequest| one.device == device && is_waited_for(one.op);
        let here = all.filter(is_here);
        Self {
            count: here.clone().count() as u64,
            oldest_ns: here.map(|one| one.age_ns).max(),
        }
    }

    fn told(&self) -> String {
        self.oldest_ns.map_or_else(
            || "-".to_owned(),
            |age| format!("{}, {}", thousands(self.count), duration(age)),
        )
    }
}

fn per_second(ops: u64, interval: Option<&Interval>) -> String {
    let length_ns = interval.map_or(0, |last| last.end_ns.saturating_sub(last.start_ns));
    factor(ops as f64 * 1e9 / (length_ns.max(1)) as f64)
}

/// In flight now, and for how much of the interval.
fn discards_on(interval: Option<&Interval>, device: &str) -> String {
    let mut rows = interval.iter().flat_map(|last| &last.discards);
    let Some(row) = rows.find(|row| row.device == device) else {
        return "-".to_owned();
    };
    let busy = match row.busy_share {
        // In so many words it would not fit.
        Some(part) if part < 0.001 => "<0.1 %".to_owned(),
        Some(part) => share(part),
        None => String::new(),
    };
    format!("{}, {busy}", thousands(row.in_flight.into()))
}

/// Those in flight and those that ended lately, most in flight first.
fn discards(report: &Report) -> Vec<Row> {
    let since = report.window.end_ns;
    let since = since.saturating_sub(report.settings.interval_ns.saturating_mul(LATELY));
    let is_recent = |group: &&DiscardGroup| {
        group.unfinished_ops > 0 || group.last_completed_ns.is_some_and(|last| last >= since)
    };
    let mut groups: Vec<&DiscardGroup> = report.discards.iter().filter(is_recent).collect();
    groups.sort_by_key(|group| std::cmp::Reverse((group.unfinished_ops, group.device_ns)));
    let groups = groups.into_iter().take(ROWS);
    groups.map(|group| discard(report, group)).collect()
}

fn discard(report: &Report, group: &DiscardGroup) -> Row {
    let known = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), duration);
    let mut actors = report.actors.iter();
    let actor = actors.find(|actor| actor.id == group.actor);
    let label = actor.map_or("somebody", |actor| actor.label.as_str());
    Row {
        mark: Mark::None,
        cells: vec![
            thousands(group.unfinished_ops),
            known(group.oldest_unfinished_ns),
            thousands(group.ops),
            known(group.mean_device_ns),
            escape(&group.device),
            escape(&format!("{label}: {}", word(&group.origin))),
        ],
    }
}

/// Those in D now, longest first, then those that were in D longest, unless that is no longer than a request may take.
fn blocked(report: &Report) -> Vec<Row> {
    let slow_ns = report.settings.slow_ns;
    let is_told = |task: &&BlockedTask| task.unfinished.is_some() || task.in_window_ns >= slow_ns;
    let tasks = report.blocked.iter().filter(is_told);
    let mut tasks: Vec<(Option<u64>, &BlockedTask)> = tasks
        .map(|task| (task.unfinished.as_ref().map(|sleep| sleep.age_ns), task))
        .collect();
    tasks.sort_by_key(|(age, task)| std::cmp::Reverse((*age, task.in_window_ns)));
    let tasks = tasks.into_iter().take(ROWS);
    tasks
        .map(|(age, task)| blocked_task(slow_ns, age, task))
        .collect()
}

fn blocked_task(slow_ns: u64, age: Option<u64>, task: &BlockedTask) -> Row {
    let thread = if task.comm == task.process.comm {
        String::new()
    } else {
        format!(", thread {}", task.comm)
    };
    let reason = reason(task);
    Row {
        mark: if age.is_some_and(|ns| ns >= slow_ns) {
            Mark::Bad
        } else {
            Mark::None
        },
        cells: vec![
            age.map_or_else(|| "-".to_owned(), duration),
            duration(task.in_window_ns),
            reason.map_or_else(|| "short sleeps".to_owned(), |reason| word(&reason)),
            escape(&format!("{}{thread}", task.label)),
        ],
    }
}

/// What it waits for; of those that do not now, what it waited for the longest.
fn reason(task: &BlockedTask) -> Option<Reason> {
    let now = task.unfinished.as_ref().map(|sleep| sleep.reason);
    now.or_else(|| task.reasons.first().map(|row| row.reason))
}
