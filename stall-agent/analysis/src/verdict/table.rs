//! Weighs what the table of who delayed whom shows: rules N (heavy neighbour), F (flushes) and T (slow device).

use std::collections::BTreeMap;

use stall_common::actor::{FLUSH_MACHINERY, UNKNOWN};

use super::comparison::{Outcome, refuted, supported, undecided};
use super::evidence::{self, Scales};
use super::rules::{self, Share};
use super::stalls::Stalls;
use super::{above, not_weighed};
use crate::total::Total as _;
use crate::{Findings, ratio};
use stall_capture::{is_discard, is_waited_for};
use stall_report::model::{
    ActorUse, Blame, BlameCell, BlameRow, Confidence, Device, Fact, Hypothesis, Kind, Op, Standing,
};
use stall_report::thousands;

/// Three hypotheses for each stalled device with slow requests that were recorded.
pub(super) fn weigh_all(findings: &Findings, stalls: &Stalls) -> Vec<Hypothesis> {
    let stalled = |device: &&Device| device.stall.as_ref().is_some_and(|stall| stall.stalled);
    let tables = findings
        .devices
        .iter()
        .filter(stalled)
        .filter_map(|device| {
            let blame = findings.blame_on(&device.id)?;
            let table = Table {
                findings,
                stalls,
                blame,
                device,
            };
            (!table.known().is_empty()).then_some(table)
        });
    tables
        .flat_map(|table| [table.neighbour(), table.flushes(), table.itself()])
        .collect()
}

/// Part of the time waited in slow requests on a device that the table lays on discards; `None` without enough
/// recorded requests to say. Of those who are victims of their own discards it is not told apart from their other
/// requests, nor is that of `inferred` discards from that of others whose submitter the table does not know.
pub(super) fn discard_share(
    blame: Option<&Blame>,
    own_victims: &[u32],
    inferred: bool,
) -> Option<f64> {
    let rows = &blame?.victims;
    let recorded = rows.iter().map(|row| row.recorded_ops).total();
    let own = |row: &BlameRow| {
        if own_victims.contains(&row.actor) {
            row.own_ns
        } else {
            0
        }
    };
    let unknown = |row: &BlameRow| if inferred { row.unexplained_ns } else { 0 };
    let discards = rows.iter().map(|row| {
        let laid = laid(row, |cell| is_discard(cell.op));
        laid.saturating_add(own(row)).saturating_add(unknown(row))
    });
    (recorded >= rules::TABLE_OPS)
        .then(|| ratio(discards.total(), rows.iter().map(slow).total()))
        .flatten()
}

/// Of an actor, on a device: what others waited for its requests of some operations.
pub(super) fn laid_on(blame: &Blame, actor: u32, is_counted: impl Fn(Op) -> bool) -> u64 {
    let rows = blame.victims.iter().filter(|row| row.actor != actor);
    rows.map(|row| laid(row, |cell| cell.actor == actor && is_counted(cell.op)))
        .total()
}

/// Time waited in slow requests.
pub(super) const fn slow(row: &BlameRow) -> u64 {
    row.waited_ns.saturating_sub(row.fast_ns)
}

/// What the share of rule T1 is of.
pub(super) const ITS_OWN: &str =
    "at least of the time each waited in slow requests is the device's own";

struct Table<'a> {
    findings: &'a Findings,
    stalls: &'a Stalls,
    device: &'a Device,
    blame: &'a Blame,
}

impl Table<'_> {
    /// Rows of those who are known.
    fn known(&self) -> Vec<&BlameRow> {
        let rows = self.blame.victims.iter();
        rows.filter(|row| row.actor != UNKNOWN && row.recorded_ops > 0)
            .collect()
    }

    fn neighbour(&self) -> Hypothesis {
        let mut scales = Scales::default();
        let heavy = self.heavy();
        let mut victims = self.known();
        victims.retain(|row| !heavy.contains(&row.actor));
        let share = of_rows(&victims, |row| {
            laid(row, |cell| heavy.contains(&cell.actor) && is_use(cell.op))
        });
        let outcome = match share {
            None => refuted("N1"),
            Some(share) => {
                let text = "of the time others waited in slow requests the device worked for it";
                let ours = self.service(|actor| heavy.contains(&actor));
                let each = victims
                    .iter()
                    .map(|row| self.service(|one| one == row.actor));
                let most = each.max();
                let larger = is_larger(ours, most.unwrap_or(0), heavy.len());
                put_share(&mut scales, share, rules::NEIGHBOUR, text);
                self.tell_service(&mut scales, &heavy, larger);
                self.tell_queue(&mut scales, &victims);
                if larger {
                    rules::NEIGHBOUR.decide("N2", share, count(&victims))
                } else {
                    refuted("N3")
                }
            }
        };
        self.hypothesis(Kind::HeavyNeighbour, heavy, share, &outcome, scales)
    }

    /// Those others waited for, as far as it counts. Each victim counts alike: what one with a deep queue waits by
    /// the hour for another's few requests is no sign of a heavy neighbour.
    fn heavy(&self) -> Vec<u32> {
        let mut caused = BTreeMap::<u32, f64>::new();
        for row in self.known() {
            let is_counted = |cell: &&BlameCell| is_use(cell.op) && cell.actor != FLUSH_MACHINERY;
            for cell in row.by.iter().filter(is_counted) {
                let part = ratio(cell.waited_ns, slow(row)).unwrap_or(0.0);
                *caused.entry(cell.actor).or_default() += part;
            }
        }
        let all: f64 = caused.values().sum();
        caused.retain(|_, part| *part >= rules::PART_OF_HEAVY * all);
        let mut heavy: Vec<(u32, f64)> = caused.into_iter().collect();
        heavy.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        heavy.into_iter().map(|(actor, _)| actor).collect()
    }

    /// A sum over what some actors did on the device with some operations.
    fn used(&self, is_counted: impl Fn(u32, Op) -> bool, field: fn(&ActorUse) -> u64) -> u64 {
        let actors = self.findings.actors.iter();
        let uses = actors.flat_map(|actor| actor.uses.iter().map(|used| (actor.id, used)));
        uses.filter(|(id, used)| used.device == self.blame.device && is_counted(*id, used.op))
            .fold(0, |sum, (_, used)| sum.saturating_add(field(used)))
    }

    fn service(&self, is_counted: impl Fn(u32) -> bool) -> u64 {
        self.used(
            |actor, op| is_counted(actor) && is_use(op),
            |used| used.service_ns,
        )
    }

    fn tell_service(&self, scales: &mut Scales, heavy: &[u32], larger: bool) {
        let all = self.service(|_| true);
        if let Some(share) = ratio(self.service(|actor| heavy.contains(&actor)), all) {
            let text = "of the device's work for reads and writes was for it";
            scales.put(
                larger,
                evidence::of_share(Fact::ServiceShare, share, None, text),
            );
        }
    }

    /// Whether they waited before the device had their requests, or for the device.
    fn tell_queue(&self, scales: &mut Scales, victims: &[&BlameRow]) {
        let is_victim = |actor: u32| victims.iter().any(|row| row.actor == actor);
        let waits = |actor, op| is_victim(actor) && is_waited_for(op);
        let queue = self.used(waits, |used| used.queue_ns);
        let total = self.used(waits, |used| used.total_ns);
        if let Some(share) = ratio(queue, total) {
            let text = "of the time others waited was before the device had their requests";
            scales.put(
                true,
                evidence::of_share(Fact::QueueShare, share, None, text),
            );
        }
    }

    fn flushes(&self) -> Hypothesis {
        let mut scales = Scales::default();
        let rows = self.known();
        let share = of_rows(&rows, |row| row.flush_ns);
        let outcome = share.map_or_else(
            || undecided("F1"),
            |share| {
                let text = "of the time waited in slow requests the device flushed its cache";
                put_share(&mut scales, share, rules::FLUSHES, text);
                rules::FLUSHES.decide("F1", share, count(&rows))
            },
        );
        let callers = self.callers();
        let text = format!(
            "{} processes asked for flushes",
            thousands(callers.len() as u64)
        );
        scales.put(
            !callers.is_empty(),
            evidence::of_count(Fact::FlushCallers, callers.len() as u64, None, text),
        );
        self.hypothesis(Kind::Flushes, callers, share, &outcome, scales)
    }

    /// Those with empty preflushes, the most first.
    fn callers(&self) -> Vec<u32> {
        let mut callers: Vec<(u64, u32)> = Vec::new();
        for actor in &self.findings.actors {
            let mut uses = actor.uses.iter();
            let asks =
                uses.find(|used| used.device == self.blame.device && used.op == Op::Preflush);
            callers.extend(asks.map(|used| (used.ops, actor.id)));
        }
        callers.sort_by_key(|(ops, actor)| (std::cmp::Reverse(*ops), *actor));
        callers.into_iter().map(|(_, actor)| actor).collect()
    }

    /// Slow for everybody: the row least laid on the device decides.
    fn itself(&self) -> Hypothesis {
        let mut scales = Scales::default();
        let mut rows = self.known();
        rows.retain(|row| row.slow_ops >= rules::HURT_SLOW_OPS);
        let least = rows
            .iter()
            .filter_map(|row| ratio(row.device_ns, slow(row)))
            .min_by(f64::total_cmp);
        let outcome = least.map_or_else(
            || undecided("T1"),
            |share| {
                put_share(&mut scales, share, rules::DEVICE, ITS_OWN);
                let mut outcome = rules::DEVICE.decide("T1", share, count(&rows));
                if self.is_crowded(&mut scales) {
                    outcome.confidence = outcome.confidence.min(Some(Confidence::Low));
                }
                outcome
            },
        );
        let (kind, rule, below) = if above::is_served(self.findings, self.device) {
            let below = above::stalled_below(self.findings, self.stalls);
            (Kind::AboveTheDisk, "A2", below)
        } else {
            let below = above::stalled_under(self.findings, self.stalls, self.device);
            (Kind::SlowDevice, "T3", below)
        };
        let outcome = look_below(outcome, rule, below, &mut scales);
        self.hypothesis(kind, Vec::new(), least, &outcome, scales)
    }

    /// Rule T2. Where many always wait, what an operation takes by itself was not seen.
    fn is_crowded(&self, scales: &mut Scales) -> bool {
        let total = self.used(|_, op| is_waited_for(op), |used| used.total_ns);
        let Some(mean) = ratio(total, self.findings.window.length_ns) else {
            return false;
        };
        let crowded = mean > rules::CROWDED;
        let text = "one request in flight or queued, on average";
        scales.put(
            !crowded,
            evidence::of_ratio(Fact::RequestsThere, mean, rules::CROWDED, text),
        );
        crowded
    }

    fn hypothesis(
        &self,
        kind: Kind,
        actors: Vec<u32>,
        share: Option<f64>,
        outcome: &Outcome,
        scales: Scales,
    ) -> Hypothesis {
        Hypothesis {
            device: Some(self.blame.device.clone()),
            actors,
            standing: outcome.standing,
            confidence: outcome.confidence,
            score: match outcome.standing {
                Standing::Refuted => Some(0.0),
                Standing::Supported | Standing::Undecided | Standing::NotWeighed => share,
            },
            rule: Some(outcome.rule.to_owned()),
            evidence_for: scales.evidence_for,
            evidence_against: scales.evidence_against,
            ..not_weighed(kind)
        }
    }
}

/// The layer rule, A2 and T3: what is wrong with a disk of this host reaches what lies on it.
fn look_below(
    outcome: Outcome,
    rule: &'static str,
    below: Option<&Device>,
    scales: &mut Scales,
) -> Outcome {
    let Some(below) = below else {
        return outcome;
    };
    tell_below(below, scales);
    match outcome.standing {
        Standing::Supported => undecided(rule),
        Standing::Undecided | Standing::Refuted | Standing::NotWeighed => outcome,
    }
}

pub(super) fn tell_below(below: &Device, scales: &mut Scales) {
    let slow_ops = below.stall.as_ref().map_or(0, |stall| stall.slow_ops);
    let text = format!("{} is slow as well: see there first", below.id);
    scales.put(
        false,
        evidence::of_count(Fact::StalledBelow, slow_ops, None, text),
    );
}

impl Share {
    fn decide(self, rule: &'static str, share: f64, slow_ops: u64) -> Outcome {
        if share >= self.high && slow_ops >= rules::TABLE_OPS {
            supported(rule, Confidence::High)
        } else if share >= self.medium && slow_ops >= rules::HURT_SLOW_OPS {
            supported(rule, Confidence::Medium)
        } else if share >= self.low {
            supported(rule, Confidence::Low)
        } else {
            refuted(rule)
        }
    }
}

/// Of each of them, on average.
fn is_larger(service_ns: u64, others_ns: u64, actors: usize) -> bool {
    let each = service_ns.checked_div(actors as u64).unwrap_or(0);
    each as f64 >= others_ns as f64 * rules::LARGER_USE
}

fn put_share(scales: &mut Scales, share: f64, bounds: Share, text: &str) {
    scales.put(
        share >= bounds.medium,
        evidence::of_share(Fact::BlamedShare, share, Some(bounds.medium), text),
    );
}

fn of_rows(rows: &[&BlameRow], part: impl Fn(&BlameRow) -> u64) -> Option<f64> {
    ratio(
        rows.iter().map(|row| part(row)).total(),
        rows.iter().map(|row| slow(row)).total(),
    )
}

fn laid(row: &BlameRow, is_counted: impl Fn(&BlameCell) -> bool) -> u64 {
    let cells = row.by.iter().filter(|cell| is_counted(cell));
    cells.map(|cell| cell.waited_ns).total()
}

fn count(rows: &[&BlameRow]) -> u64 {
    rows.iter().map(|row| row.slow_ops).total()
}

/// What a neighbour does with the device itself.
const fn is_use(op: Op) -> bool {
    matches!(
        op,
        Op::Read | Op::ReadAhead | Op::Write | Op::AsyncWrite | Op::WriteZeroes | Op::Other
    )
}
