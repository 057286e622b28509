//! Who used the disks, and how much of each.

use std::collections::HashMap;

use super::names::{Names, actor_label, nobody};
use crate::number::ratio;
use stall_capture as capture;
use stall_capture::{Capture, Owner, Use};
use stall_report::model::{Actor, ActorUse, UseOwner};

/// All submitters, those with the most device time first.
pub(super) fn actors(capture: &Capture, names: &Names<'_>) -> Vec<Actor> {
    let device_ns = device_time(&capture.uses);
    let mut uses: HashMap<u32, Vec<ActorUse>> = HashMap::new();
    let told = !capture.lacks_part("control_groups");
    for used in &capture.uses {
        let whole = device_ns.get(&used.disk).copied().unwrap_or(0);
        uses.entry(used.actor).or_default().push(ActorUse {
            owners: told.then(|| owners(&capture.owners, used)),
            ..actor_use(names, used, whole)
        });
    }
    let mut actors: Vec<Actor> = capture
        .actors
        .iter()
        .map(|actor| self::actor(names, actor, uses.remove(&actor.id).unwrap_or_default()))
        .collect();
    actors.extend(unlisted(uses));
    actors.sort_by_key(|actor| (std::cmp::Reverse(busy(&actor.uses)), actor.id));
    actors
}

fn actor(names: &Names<'_>, actor: &capture::Actor, mut uses: Vec<ActorUse>) -> Actor {
    uses.sort_by(|a, b| (&a.device, a.op).cmp(&(&b.device, b.op)));
    Actor {
        id: actor.id,
        label: actor_label(actor),
        process: actor.process.as_ref().map(|process| names.process(process)),
        uses,
    }
}

/// Rows of actors that the capture does not list: the two without a process, or one whose record was lost.
fn unlisted(uses: HashMap<u32, Vec<ActorUse>>) -> impl Iterator<Item = Actor> {
    uses.into_iter().map(|(id, uses)| Actor {
        id,
        label: nobody(id),
        process: None,
        uses,
    })
}

fn busy(uses: &[ActorUse]) -> u64 {
    uses.iter()
        .fold(0, |sum, used| sum.saturating_add(used.device_ns))
}

fn device_time(uses: &[Use]) -> HashMap<u16, u64> {
    let mut device_ns = HashMap::<u16, u64>::new();
    for used in uses {
        let sum = device_ns.entry(used.disk).or_default();
        *sum = sum.saturating_add(used.device_ns);
    }
    device_ns
}

fn actor_use(names: &Names<'_>, used: &Use, disk_device_ns: u64) -> ActorUse {
    ActorUse {
        device: names.device(used.disk),
        op: used.op,
        ops: used.ops,
        bytes: used.bytes,
        queue_ns: used.queue_ns,
        device_ns: used.device_ns,
        total_ns: used.total_ns,
        device_share: ratio(used.device_ns, disk_device_ns),
        service_ns: used.service_ns,
        slowest_ns: used.slowest_ns,
        slow_ops: used.slow_ops,
        exposed_ops: used.exposed_ops,
        exposed_slow_ops: used.exposed_slow_ops,
        exposed_total_ns: used.exposed_total_ns,
        overlap_ns: used.overlap_ns,
        owners: None,
    }
}

fn owners(owners: &[Owner], used: &Use) -> Vec<UseOwner> {
    let same = |row: &&Owner| (row.actor, row.disk, row.op) == (used.actor, used.disk, used.op);
    let rows = owners.iter().filter(same).map(|row| UseOwner {
        cgroup: row.cgroup.clone(),
        cgroup_id: row.cgroup_id,
        ops: row.ops,
        bytes: row.bytes,
    });
    let mut rows: Vec<UseOwner> = rows.collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.bytes), row.cgroup_id));
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analyze;
    use crate::test_capture::{Builder, Part, START, disk};
    use stall_capture::{Interval, IntervalUse, Op};

    /// Of actor, disk, operation, and device time.
    type Row = (u32, u16, bool, u64);

    fn capture(rows: &[Row]) -> Capture {
        let op = |write: bool| if write { Op::Write } else { Op::Read };
        let mut builder = Builder::of_disks(vec![disk("sda"), disk("sdb"), disk("sdc")]);
        for &(actor, disk, write, device_ns) in rows {
            builder = builder.flow(actor, disk, op(write), Part(0, 0, 0), Part(1, 0, device_ns));
        }
        let mut capture = builder.capture();
        let used = |&(actor, disk, write, device_ns): &Row| IntervalUse {
            actor,
            disk,
            op: op(write),
            ops: 1,
            bytes: 0,
            queue_ns: 0,
            device_ns,
            service_ns: 0,
            waited: None,
        };
        capture.intervals = vec![Interval {
            start_ns: START,
            end_ns: capture.window.end_ns,
            uses: rows.iter().map(used).collect(),
            ..Interval::default()
        }];
        capture
    }

    /// The shares of each disk, which are all there or none.
    fn sums(shares: impl Iterator<Item = (String, Option<f64>)>) -> HashMap<String, Option<f64>> {
        let mut sums = HashMap::new();
        for (device, share) in shares {
            let sum: &mut Option<f64> = sums.entry(device).or_insert(share.map(|_| 0.0));
            *sum = sum.zip(share).map(|(sum, share)| sum + share);
        }
        sums
    }

    /// Six digits of each are told, so that the sum is off by less than this.
    const ROUNDED: f64 = 1e-5;

    proptest! {
        /// Of each disk, in the window and in an interval, unless nothing took any time on it.
        #[test]
        fn shares_sum_to_one(rows in prop::collection::vec((0u32..6, 0u16..3, any::<bool>(), 0u64..1 << 50), 1..40)) {
            let report = analyze(&capture(&rows));
            let uses = report.actors.iter().flat_map(|actor| &actor.uses);
            let window = sums(uses.map(|used| (used.device.clone(), used.device_share)));
            let uses = report.intervals.iter().flat_map(|interval| &interval.uses);
            let interval = sums(uses.map(|used| (used.device.clone(), used.device_share)));
            prop_assert_eq!(window.len(), interval.len());
            for sum in window.into_values().chain(interval.into_values()).flatten() {
                prop_assert!((sum - 1.0).abs() < ROUNDED, "{}", sum);
            }
        }
    }
}
