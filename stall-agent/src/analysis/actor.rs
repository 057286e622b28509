//! Who used the disks, and how much of each.

use std::collections::HashMap;

use super::names::{Names, actor_label, nobody};
use super::ratio;
use crate::capture::{self, Capture, Owner, Use};
use crate::report::model::{Actor, ActorUse, UseOwner};

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
