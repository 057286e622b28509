//! The time that several reports have in common.

use std::time::{Duration, UNIX_EPOCH};

use super::volume::Place;
use crate::{duration, summary::moment};

/// Traces that were started together begin within this of each other; 1 s is the shortest distance between two starts by
/// the clock (`--start-at`).
const TOGETHER: Duration = Duration::from_millis(900);
/// A clock that was set by less during a trace changes nothing.
const STEP: Duration = Duration::from_millis(100);

/// Start and end, and what is wrong with the clocks.
pub(super) fn common(places: &[Place<'_>]) -> (Option<(String, String)>, Vec<String>) {
    let mut missing = Vec::new();
    for (index, place) in places.iter().enumerate() {
        if let Some(other) = places[..index].iter().find(|other| is_same(other, place)) {
            missing.push(format!(
                "{} and {} are of the same trace of {}: it is counted twice",
                other.file, place.file, place.name
            ));
        }
        missing.extend(stepped(place));
    }
    let known = |pick: fn(&Place<'_>) -> Option<Duration>| {
        places.iter().filter_map(pick).collect::<Vec<_>>()
    };
    let (starts, ends) = (known(|place| place.start), known(|place| place.end));
    let (Some(last), Some(first)) = (starts.iter().max(), ends.iter().min()) else {
        return (None, missing);
    };
    let apart = last.saturating_sub(starts.iter().min().copied().unwrap_or(*last));
    if last >= first {
        let list = places.iter().map(|place| {
            let window = &place.report.window;
            format!(
                "{} {} to {}",
                place.name,
                moment(&window.start),
                moment(&window.end)
            )
        });
        let list = list.collect::<Vec<_>>().join(", ");
        missing.push(format!(
            "the windows do not overlap ({list}): trace all nodes at once, with --start-at /10s; if they were, their clocks are apart"
        ));
        return (None, missing);
    }
    if apart > TOGETHER {
        let in_common = first.saturating_sub(*last);
        missing.push(format!(
            "the windows begin {} apart, and have {} in common; if they were started together, their clocks are that far apart",
            in_words(apart),
            in_words(in_common)
        ));
    }
    let text = |since: Duration| humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string();
    (Some((text(*last), text(*first))), missing)
}

fn is_same(one: &Place<'_>, other: &Place<'_>) -> bool {
    let key = |place: &Place<'_>| {
        let report = place.report;
        (
            report.host.boot_id.clone(),
            report.window.start_ns,
            place.name.clone(),
        )
    };
    key(one) == key(other)
}

/// The wall clock and the clock that nobody sets went on by different times.
fn stepped(place: &Place<'_>) -> Option<String> {
    let wall = place.end?.saturating_sub(place.start?);
    let real = Duration::from_nanos(place.report.window.length_ns);
    let by = wall.abs_diff(real);
    (by > STEP).then(|| {
        format!(
            "the clock of {} was set by {} during its trace: its times are off by as much",
            place.name,
            in_words(by)
        )
    })
}

fn in_words(time: Duration) -> String {
    duration(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
