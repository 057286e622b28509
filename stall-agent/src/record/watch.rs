//! When an incident begins and ends. Pure: the clock is that of the slices.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stall_capture::{Capture, Interval, IntervalDisk, IntervalUse, is_waited_for};
use stall_report::Report;
use stall_report::model::{Kind, Origin, RoleKind};

const SECOND_NS: u64 = 1_000_000_000;
/// An incident is cut from so long before the trouble.
pub const BEFORE_NS: u64 = 120 * SECOND_NS;
/// It ends when there has been none for so long.
pub const CALM_NS: u64 = 60 * SECOND_NS;
/// Longest incident.
pub const MOST_NS: u64 = 600 * SECOND_NS;
/// After one that was ended by its length there is no other before so much calm.
const REARM_NS: u64 = 30 * SECOND_NS;
/// A request that has not ended for so long is stuck; and so long that a replica is given up soon (Longhorn: 8 s).
const STUCK_NS: u64 = SECOND_NS;
const STUCK_LONG_NS: u64 = 5 * SECOND_NS;
/// A thread of somebody's storage in D for so long.
const BLOCKED_NS: u64 = 2 * SECOND_NS;

/// Why an incident is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The judge tells of an episode.
    Stall,
    /// A request has not ended for a second.
    Stuck,
    /// A request has not ended for 5 s.
    StuckLong,
    /// A VM, an engine, a replica, `tgtd` or etcd is in D for 2 s.
    Blocked,
    /// A filesystem is trimmed.
    Trim,
    /// Somebody asked for it.
    Asked,
}

/// Trouble, and when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub trigger: Trigger,
    pub since_ns: u64,
    pub until_ns: u64,
}

/// What a capture of the last seconds, and the report on it, tell.
#[must_use]
pub fn troubles(capture: &Capture, report: &Report) -> Vec<Trouble> {
    let end_ns = capture.window.end_ns;
    let trouble = |trigger, since_ns: u64, until_ns: u64| Trouble {
        trigger,
        since_ns: since_ns.min(end_ns),
        until_ns: until_ns.min(end_ns),
    };
    let mut all = Vec::new();
    let episodes = report.verdict.episodes.iter();
    let told = episodes.filter(|episode| episode.kind != Kind::NoStall);
    all.extend(told.map(|one| trouble(Trigger::Stall, one.start_ns, one.end_ns)));
    let open = capture.unfinished_requests.iter();
    for request in open.filter(|request| is_waited_for(request.op)) {
        let age_ns = end_ns.saturating_sub(request.queued_ns);
        if age_ns >= STUCK_NS {
            all.push(trouble(Trigger::Stuck, request.queued_ns, end_ns));
        }
        if age_ns >= STUCK_LONG_NS {
            all.push(trouble(Trigger::StuckLong, request.queued_ns, end_ns));
        }
    }
    for task in &report.blocked {
        let role = task.process.role.as_ref().map(|role| role.kind);
        let sleep = task.unfinished.as_ref();
        if let Some(sleep) = sleep.filter(|sleep| sleep.age_ns >= BLOCKED_NS)
            && role.is_some_and(is_somebodys_storage)
        {
            all.push(trouble(Trigger::Blocked, sleep.start_ns, end_ns));
        }
    }
    let trims = report.discards.iter();
    let trims = trims.filter(|group| group.origin == Origin::FilesystemTrim);
    all.extend(trims.map(|group| {
        let until = if group.unfinished_ops > 0 {
            end_ns
        } else {
            group.last_completed_ns.unwrap_or(end_ns)
        };
        trouble(
            Trigger::Trim,
            group.first_queued_ns.unwrap_or(end_ns),
            until,
        )
    }));
    all
}

/// Whether an interval leaves it possible that somebody waits: a slow request, a discard, or a disk that ends nothing. Of others no
/// more is read.
#[must_use]
pub fn is_suspicious(interval: &Interval) -> bool {
    let is_slow = |row: &IntervalUse| {
        is_waited_for(row.op) && row.waited.is_some_and(|waited| waited.slow_ops > 0)
    };
    let ends_nothing =
        |row: &IntervalDisk| row.ended == 0 && row.in_flight.reads + row.in_flight.writes > 0;
    interval.uses.iter().any(is_slow)
        || !interval.discards.is_empty()
        || interval.disks.iter().any(ends_nothing)
}

const fn is_somebodys_storage(role: RoleKind) -> bool {
    matches!(
        role,
        RoleKind::Vm
            | RoleKind::LonghornEngine
            | RoleKind::LonghornReplica
            | RoleKind::Tgtd
            | RoleKind::SpdkTarget
            | RoleKind::Etcd
    )
}

/// An incident that is under way, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// What is cut begins here.
    pub from_ns: u64,
    /// The trouble itself.
    pub began_ns: u64,
    pub ended_ns: u64,
    pub triggers: BTreeSet<Trigger>,
    /// It was ended by its length, not by calm.
    pub goes_on: bool,
    is_told_early: bool,
}

/// What comes of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// An incident has begun.
    Began,
    /// It is under way, and is to be told of at once.
    Early(Incident),
    Ended(Incident),
}

/// Begins and ends incidents.
#[derive(Debug, Default)]
pub struct Watch {
    open: Option<Incident>,
    /// The end of the last trouble after an incident that had become too long; `None` when armed.
    disarmed_ns: Option<u64>,
}

impl Watch {
    /// Whether one is under way.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A look at `now_ns`, with what it found.
    pub fn look(&mut self, now_ns: u64, found: &[Trouble]) -> Step {
        let since = found.iter().map(|one| one.since_ns).min();
        let until = found.iter().map(|one| one.until_ns).max();
        if let Some(last_ns) = &mut self.disarmed_ns {
            *last_ns = until.map_or(*last_ns, |until| until.max(*last_ns));
            let asked = found.iter().any(|one| one.trigger == Trigger::Asked);
            if !asked && now_ns.saturating_sub(*last_ns) < REARM_NS {
                return Step::Nothing;
            }
            self.disarmed_ns = None;
        }
        let triggers = found.iter().map(|one| one.trigger);
        let began = self.open.is_none();
        match (&mut self.open, since.zip(until)) {
            (None, None) => return Step::Nothing,
            (None, Some((since_ns, until_ns))) => {
                // What has hung for hours began long ago; what is cut is of the last minutes.
                let began_ns = since_ns.max(now_ns.saturating_sub(BEFORE_NS));
                self.open = Some(Incident {
                    from_ns: began_ns.saturating_sub(BEFORE_NS),
                    began_ns,
                    ended_ns: until_ns,
                    triggers: triggers.collect(),
                    goes_on: false,
                    is_told_early: false,
                });
            }
            (Some(open), found) => {
                open.triggers.extend(triggers);
                if let Some((_, until_ns)) = found {
                    open.ended_ns = open.ended_ns.max(until_ns);
                }
            }
        }
        self.step(now_ns, began)
    }

    /// Ends what is under way.
    pub fn end(&mut self) -> Option<Incident> {
        let mut open = self.open.take()?;
        open.goes_on = true;
        Some(open)
    }

    fn step(&mut self, now_ns: u64, began: bool) -> Step {
        let Some(open) = &mut self.open else {
            return Step::Nothing;
        };
        let is_calm = now_ns.saturating_sub(open.ended_ns) >= CALM_NS;
        let is_long = now_ns.saturating_sub(open.from_ns) >= MOST_NS;
        let is_urgent = [Trigger::StuckLong, Trigger::Asked]
            .iter()
            .any(|one| open.triggers.contains(one));
        if is_calm || is_long {
            open.goes_on = !is_calm;
            self.disarmed_ns = open.goes_on.then_some(open.ended_ns);
            return self.open.take().map_or(Step::Nothing, Step::Ended);
        }
        if is_urgent && !open.is_told_early {
            open.is_told_early = true;
            return Step::Early(open.clone());
        }
        if began { Step::Began } else { Step::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> u64 {
        seconds * SECOND_NS
    }

    fn trouble(trigger: Trigger, since: u64, until: u64) -> Trouble {
        Trouble {
            trigger,
            since_ns: at(since),
            until_ns: at(until),
        }
    }

    /// Looks each second; the steps that are some, by second.
    fn played(
        seconds: std::ops::Range<u64>,
        found: impl Fn(u64) -> Vec<Trouble>,
    ) -> Vec<(u64, Step)> {
        let mut watch = Watch::default();
        let steps = seconds.map(|second| (second, watch.look(at(second), &found(second))));
        steps.filter(|(_, step)| *step != Step::Nothing).collect()
    }

    #[test]
    fn an_incident_reaches_from_two_minutes_before_to_one_minute_of_calm() {
        // Three seconds of trouble are seen for as long as they are in the last ten.
        let steps = played(0..2_000, |second| {
            let is_seen = (1_001..1_013).contains(&second);
            let all = is_seen.then(|| trouble(Trigger::Stall, 1_000, 1_003.min(second)));
            all.into_iter().collect()
        });
        assert_eq!(steps.len(), 2, "{steps:?}");
        assert_eq!(steps[0], (1_001, Step::Began));
        let (second, Step::Ended(incident)) = &steps[1] else {
            panic!("{steps:?}");
        };
        assert_eq!(*second, 1_063);
        let times = (incident.from_ns, incident.began_ns, incident.ended_ns);
        assert_eq!(times, (at(880), at(1_000), at(1_003)));
        assert!(!incident.goes_on);
    }

    #[test]
    fn trouble_without_end_is_one_incident_until_there_was_calm() {
        let steps = played(0..10_000, |second| {
            let busy = (500..6_000).contains(&second) || second == 6_020 || second == 7_000;
            let all = busy.then(|| trouble(Trigger::Stall, second.max(1) - 1, second));
            all.into_iter().collect()
        });
        let ended: Vec<_> = steps
            .iter()
            .filter_map(|(second, step)| match step {
                Step::Ended(incident) => Some((*second, incident.goes_on)),
                _ => None,
            })
            .collect();
        // 6,020 is within 30 s of the last of it.
        assert_eq!(ended, [(979, true), (7_060, false)]);
    }

    #[test]
    fn what_is_stuck_for_five_seconds_is_told_at_once() {
        let steps = played(0..200, |second| {
            let age = second.saturating_sub(50);
            let open = (1..=20).contains(&age);
            let mut all = Vec::new();
            if open {
                all.push(trouble(Trigger::Stuck, 50, second));
            }
            if open && age >= 5 {
                all.push(trouble(Trigger::StuckLong, 50, second));
            }
            all
        });
        let seconds: Vec<_> = steps.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds, [51, 55, 130]);
        assert!(matches!(steps[1].1, Step::Early(_)));
    }
}
