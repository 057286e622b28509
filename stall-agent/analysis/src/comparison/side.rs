//! The two runs and what is the same in them: rule K1 of `docs/principles.md`.

use std::collections::{BTreeMap, HashMap};

use stall_common::actor::UNKNOWN;

use crate::analyze;
use stall_capture::Capture;
use stall_report::Report;
use stall_report::model::{Actor, BlockedTask, Device, Process};

/// One of the two runs.
pub(super) struct Side<'a> {
    pub(super) capture: &'a Capture,
    pub(super) report: Report,
}

impl<'a> Side<'a> {
    pub(super) fn new(capture: &'a Capture) -> Self {
        Self {
            capture,
            report: analyze(capture),
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.report.window.length_ns as f64 / 1e9
    }

    /// The rows of the report and of the capture are in the same order.
    pub(super) fn row_of(&self, device: &str) -> Option<usize> {
        self.report.devices.iter().position(|one| one.id == device)
    }

    fn traced(&self) -> impl Iterator<Item = &Device> {
        self.report.devices.iter().filter(|device| device.traced)
    }
}

/// A disk: its id before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DiskPair(pub(super) [Option<String>; 2]);

/// Traced disks of either side.
pub(super) fn disks(sides: &[Side<'_>; 2]) -> Vec<DiskPair> {
    let mut left: Vec<&Device> = sides[1].traced().collect();
    let mut pairs = Vec::new();
    for before in sides[0].traced() {
        let same = left.iter().position(|after| is_same_disk(before, after));
        let after = same.map(|index| left.remove(index).id.clone());
        pairs.push(DiskPair([Some(before.id.clone()), after]));
    }
    pairs.extend(
        left.into_iter()
            .map(|after| DiskPair([None, Some(after.id.clone())])),
    );
    pairs
}

/// By serial number and model; of disks that have none, by everything else that tells them apart.
fn is_same_disk(one: &Device, other: &Device) -> bool {
    let serial = |disk: &Device| {
        disk.serial
            .clone()
            .map(|serial| (serial, disk.model.clone()))
    };
    match (serial(one), serial(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => place(one) == place(other),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

type Place<'a> = (u32, u32, &'a str, Option<u64>, [Option<&'a str>; 3]);

fn place(disk: &Device) -> Place<'_> {
    let names = [&disk.backing_file, &disk.mapper_name, &disk.iscsi_target];
    (
        disk.major,
        disk.minor,
        &disk.name,
        disk.size_bytes,
        names.map(Option::as_deref),
    )
}

/// A process, or all of one name, on both sides.
#[derive(Debug, Default)]
pub(super) struct Party<'a> {
    pub(super) same_process: bool,
    pub(super) members: [Vec<Member<'a>>; 2],
}

/// A process of one run that used disks or was in D.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) process: &'a Process,
    pub(super) actor: Option<u32>,
    label: &'a str,
    /// Its threads that were in D.
    pub(super) tasks: Vec<&'a BlockedTask>,
}

impl Party<'_> {
    /// As the run before calls it where it is there.
    pub(super) fn label(&self) -> String {
        let [before, after] = &self.members;
        let members = if before.is_empty() { after } else { before };
        match members.as_slice() {
            [] => String::new(),
            [one] => one.label.to_owned(),
            [first, ..] => format!(
                "{} ({} processes)",
                short_name(first.process),
                members.len()
            ),
        }
    }

    pub(super) fn actors(&self, side: usize) -> Vec<u32> {
        let actors = self.members[side].iter();
        actors.filter_map(|member| member.actor).collect()
    }
}

/// All processes of both sides: first those that are the same process, then by name.
pub(super) fn parties<'a>(sides: &'a [Side<'_>; 2]) -> Vec<Party<'a>> {
    let [mut before, mut after] = [members(&sides[0].report), members(&sides[1].report)];
    let mut parties = Vec::new();
    let mut by_pid: HashMap<u32, Vec<Member<'_>>> = HashMap::new();
    for member in after.drain(..) {
        by_pid.entry(member.process.pid).or_default().push(member);
    }
    before.retain(|one| {
        let Some(candidates) = by_pid.get_mut(&one.process.pid) else {
            return true;
        };
        let same = candidates
            .iter()
            .position(|other| is_same_process(one.process, other.process));
        let Some(index) = same else { return true };
        parties.push(Party {
            same_process: true,
            members: [vec![one.clone()], vec![candidates.remove(index)]],
        });
        false
    });
    parties.extend(by_name(before, by_pid.into_values().flatten().collect()));
    parties
}

fn by_name<'a>(before: Vec<Member<'a>>, after: Vec<Member<'a>>) -> Vec<Party<'a>> {
    let mut named: BTreeMap<Name<'a>, Party<'a>> = BTreeMap::new();
    for (side, members) in [before, after].into_iter().enumerate() {
        for member in members {
            let party = named.entry(name(member.process)).or_default();
            party.members[side].push(member);
        }
    }
    let mut parties: Vec<Party<'_>> = named.into_values().collect();
    for members in parties.iter_mut().flat_map(|party| &mut party.members) {
        members.sort_by_key(|member| (member.process.start_boottime_ns, member.process.pid));
    }
    parties
}

/// `/proc` tells the start in ticks of 10 ms, the kernel's structures to the nanosecond.
const TICK_NS: u64 = 10_000_000;

fn is_same_process(one: &Process, other: &Process) -> bool {
    one.pid == other.pid && one.start_boottime_ns.abs_diff(other.start_boottime_ns) <= TICK_NS
}

fn members(report: &Report) -> Vec<Member<'_>> {
    let known = report.actors.iter().filter(|actor| actor.id != UNKNOWN);
    let mut members: Vec<Member<'_>> = known.filter_map(member_of).collect();
    let mut rows: HashMap<(u32, u64), usize> = HashMap::new();
    let mut by_actor: HashMap<u32, usize> = HashMap::new();
    for (row, member) in members.iter().enumerate() {
        by_actor.extend(member.actor.map(|actor| (actor, row)));
    }
    for task in &report.blocked {
        let key = (task.process.pid, task.process.start_boottime_ns);
        let of_actor = task.actor.and_then(|actor| by_actor.get(&actor).copied());
        let row = of_actor.or_else(|| rows.get(&key).copied());
        let row = row.unwrap_or_else(|| {
            members.push(Member {
                process: &task.process,
                actor: None,
                label: &task.label,
                tasks: Vec::new(),
            });
            members.len() - 1
        });
        rows.insert(key, row);
        members[row].tasks.push(task);
    }
    members
}

fn member_of(actor: &Actor) -> Option<Member<'_>> {
    Some(Member {
        process: actor.process.as_ref()?,
        actor: Some(actor.id),
        label: &actor.label,
        tasks: Vec::new(),
    })
}

/// What a process is called when it is not the same one: nothing in it changes when a program or its pod is restarted.
type Name<'a> = (bool, &'a str, [Option<&'a str>; 6]);

fn name(process: &Process) -> Name<'_> {
    let role = process.role.as_ref();
    let pod = process.pod.as_ref();
    // The unit of a container has the container's id in it.
    let unit = process.unit.as_deref().filter(|_| pod.is_none());
    (
        process.kernel_thread,
        short_name(process),
        [
            process.exe.as_deref(),
            unit,
            role.and_then(|role| role.vm.as_deref()),
            role.and_then(|role| role.volume.as_deref()),
            pod.and_then(|pod| pod.namespace.as_deref()),
            pod.and_then(|pod| pod.container.as_deref()),
        ],
    )
}

/// Workers of the kernel have numbers, and do now this and now that.
fn short_name(process: &Process) -> &str {
    match &process.worker {
        Some(worker) => worker,
        None if process.kernel_thread && process.comm.starts_with("kworker/") => "kworker",
        None => &process.comm,
    }
}
