//! Workloads: whom a process belongs to, and for whom a thread of the kernel works.
//!
//! The base is the processes of one program with the same arguments in the same VM, pod or service. What is
//! named in the end is the smallest group of bases that accounts for the share: a process, a program, a
//! service, a pod or a VM.

use crate::total::Total as _;
use std::collections::{BTreeMap, HashMap};

use stall_capture::command::{self, Command};
use stall_capture::{Capture, Op, Process};
use stall_common::actor::{FLUSH_MACHINERY, UNKNOWN};
use stall_report::model::{Party, PartyKind};

use super::rules;
use crate::names::process_label;
use crate::role;

/// A base, by its place in [`Workloads`].
pub(super) type Base = usize;

/// Where a workload runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Scope {
    /// `namespace/name`
    Vm(String),
    /// `namespace/name`, or the uid.
    Pod(String),
    Unit(String),
    /// A control group of which no process was seen.
    Cgroup(String),
    None,
}

/// Processes of one program with the same arguments in one scope.
#[derive(Clone, Debug)]
pub(super) struct Workload<'a> {
    pub(super) scope: Scope,
    pub(super) program: String,
    pub(super) processes: Vec<&'a Process>,
    /// Ids of actors.
    pub(super) actors: Vec<u32>,
    pub(super) is_kernel: bool,
    /// Who it is, is not known.
    pub(super) is_unknown: bool,
    /// The agent itself.
    pub(super) is_self: bool,
}

impl Workload<'_> {
    /// Of workers of the kernel, the work queue where it is known.
    fn worker_names(&self) -> impl Iterator<Item = &str> {
        let processes = self.processes.iter();
        processes.map(|process| process.worker.as_deref().unwrap_or(&process.comm))
    }
}

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    scope: Scope,
    program: String,
    args: Vec<String>,
    /// Threads of the kernel are one each.
    thread: Option<u32>,
}

/// All of a capture.
pub(super) struct Workloads<'a> {
    all: Vec<Workload<'a>>,
    of_key: BTreeMap<Key, Base>,
    of_actor: HashMap<u32, Base>,
    of_pid: HashMap<u32, Base>,
    /// Who wrote into the page cache beside what they sent to the disks themselves, bytes.
    dirtiers: Vec<(Base, u64)>,
    of_owner: HashMap<u32, Vec<(Base, u64)>>,
    unknown: Base,
}

impl<'a> Workloads<'a> {
    pub(super) fn new(capture: &'a Capture) -> Self {
        let mut new = Self {
            all: Vec::new(),
            of_key: BTreeMap::new(),
            of_actor: HashMap::new(),
            of_pid: HashMap::new(),
            dirtiers: Vec::new(),
            of_owner: HashMap::new(),
            unknown: 0,
        };
        new.unknown = new.nobody("unknown submitter");
        let flushes = new.nobody("flushes");
        new.of_actor.insert(UNKNOWN, new.unknown);
        new.of_actor.insert(FLUSH_MACHINERY, flushes);
        for actor in &capture.actors {
            if let Some(process) = &actor.process {
                let base = new.add(process);
                new.of_actor.insert(actor.id, base);
                new.all[base].actors.push(actor.id);
            }
        }
        for task in &capture.tasks {
            new.add(&task.process);
        }
        let inventory = capture.inventory.processes.iter();
        let cpu = capture.host_waits.cpu.iter().map(|row| &row.process);
        for process in inventory.chain(cpu) {
            new.add(process);
        }
        new.owners(capture);
        new.dirtied(capture);
        new
    }

    fn nobody(&mut self, name: &str) -> Base {
        self.all.push(Workload {
            scope: Scope::None,
            program: name.to_owned(),
            processes: Vec::new(),
            actors: Vec::new(),
            is_kernel: true,
            is_unknown: true,
            is_self: false,
        });
        self.all.len() - 1
    }

    fn add(&mut self, process: &'a Process) -> Base {
        let key = key(process);
        let next = self.all.len();
        let base = *self.of_key.entry(key).or_insert(next);
        if base == next {
            self.all.push(Workload {
                scope: scope(process),
                program: process.comm.clone(),
                processes: Vec::new(),
                actors: Vec::new(),
                is_kernel: process.kernel_thread,
                is_unknown: false,
                is_self: process.comm == "stall-agent",
            });
        }
        let seen = &mut self.all[base].processes;
        let is_same = |one: &&Process| one.pid == process.pid;
        if !seen.iter().any(is_same) {
            seen.push(process);
        }
        self.of_pid.insert(process.pid, base);
        base
    }

    /// For which control groups threads of the kernel worked.
    fn owners(&mut self, capture: &'a Capture) {
        for row in &capture.owners {
            let Some(path) = row.cgroup.as_deref().filter(|path| *path != "/") else {
                continue;
            };
            let base = self.in_cgroup(path);
            let of_actor = self.of_owner.entry(row.actor).or_default();
            match of_actor.iter_mut().find(|(one, _)| *one == base) {
                Some((_, bytes)) => *bytes = bytes.saturating_add(row.bytes),
                None => of_actor.push((base, row.bytes)),
            }
        }
    }

    /// The workload of a control group: that of the process in it or below it, the busiest if there are several.
    fn in_cgroup(&mut self, path: &str) -> Base {
        let is_in = |process: &&Process| {
            process.cgroup.iter().any(|line| {
                let of = line.splitn(3, ':').nth(2).unwrap_or("");
                of == path
                    || of
                        .strip_prefix(path)
                        .is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let bases = self.all.iter().enumerate();
        let found = bases
            .filter(|(_, one)| !one.is_kernel && one.processes.iter().any(&is_in))
            .max_by_key(|(_, one)| one.processes.len());
        if let Some((base, _)) = found {
            return base;
        }
        let key = Key {
            scope: Scope::Cgroup(path.to_owned()),
            program: String::new(),
            args: Vec::new(),
            thread: None,
        };
        let next = self.all.len();
        let base = *self.of_key.entry(key).or_insert(next);
        if base == next {
            self.all.push(Workload {
                scope: Scope::Cgroup(path.to_owned()),
                program: String::new(),
                processes: Vec::new(),
                actors: Vec::new(),
                is_kernel: false,
                is_unknown: false,
                is_self: false,
            });
        }
        base
    }

    /// What a process wrote less what it sent to disks by itself went through the page cache.
    fn dirtied(&mut self, capture: &'a Capture) {
        let mut direct = HashMap::<Base, u64>::new();
        for used in capture.uses.iter().filter(|used| used.op == Op::Write) {
            if let Some(base) = self.of_actor.get(&used.actor) {
                let sum = direct.entry(*base).or_default();
                *sum = sum.saturating_add(used.bytes);
            }
        }
        let mut bytes = BTreeMap::<Base, u64>::new();
        for row in &capture.host_waits.dirtied {
            let base = self.add(&row.process);
            let sum = bytes.entry(base).or_default();
            *sum = sum.saturating_add(row.bytes);
        }
        let buffered = bytes.into_iter().map(|(base, bytes)| {
            let sent = direct.get(&base).copied().unwrap_or(0);
            (base, bytes.saturating_sub(sent))
        });
        self.dirtiers = buffered
            .filter(|(base, bytes)| *bytes > 0 && !self.all[*base].is_kernel)
            .collect();
        self.dirtiers
            .sort_by_key(|(base, bytes)| (std::cmp::Reverse(*bytes), *base));
    }

    pub(super) fn get(&self, base: Base) -> &Workload<'a> {
        &self.all[base]
    }

    /// The workload of an actor's own.
    pub(super) fn of_actor(&self, actor: u32) -> Base {
        self.of_actor.get(&actor).copied().unwrap_or(self.unknown)
    }

    pub(super) fn of_pid(&self, pid: u32) -> Option<Base> {
        self.of_pid.get(&pid).copied()
    }

    pub(super) const fn unknown(&self) -> Base {
        self.unknown
    }

    /// Those who wrote most into the page cache.
    pub(super) fn dirtiers(&self) -> &[(Base, u64)] {
        &self.dirtiers
    }

    /// For whom an actor's requests of one operation were: itself, or of a thread of the kernel the control groups they
    /// were charged to, or who dirtied the pages; with shares that sum to 1.
    pub(super) fn behind(&self, actor: u32, op: Op) -> Vec<(Base, f64)> {
        let own = self.of_actor(actor);
        let worker = self.get(own);
        if !worker.is_kernel || worker.is_unknown {
            return vec![(own, 1.0)];
        }
        if let Some(owners) = self.of_owner.get(&actor) {
            let sum: u64 = owners.iter().map(|(_, bytes)| bytes).total();
            if sum > 0 {
                let part = |(base, bytes): &(Base, u64)| (*base, *bytes as f64 / sum as f64);
                return owners.iter().map(part).collect();
            }
        }
        let writes = matches!(op, Op::Write | Op::AsyncWrite);
        if writes && (self.is_hand(own) || self.is_journal(own)) && !self.dirtiers.is_empty() {
            let sum: u64 = self.dirtiers.iter().map(|(_, bytes)| bytes).total();
            let part = |(base, bytes): &(Base, u64)| (*base, *bytes as f64 / sum as f64);
            return self.dirtiers.iter().map(part).collect();
        }
        vec![(own, 1.0)]
    }

    /// A thread that commits a filesystem's journal (fs/jbd2), for which others wait.
    pub(super) fn is_journal(&self, base: Base) -> bool {
        let one = self.get(base);
        one.is_kernel && one.program.starts_with("jbd2/")
    }

    /// Threads that write what others wrote before: writeback, encryption, thin pools, throttled requests.
    pub(super) fn is_hand(&self, base: Base) -> bool {
        let one = self.get(base);
        let hands = [
            "kworker", "flush-", "kcryptd", "dmcrypt", "kthrotld", "dm-thin", "loop", "md",
        ];
        let is_one = |name: &str| hands.iter().any(|hand| name.starts_with(hand));
        one.is_kernel
            && !one.is_unknown
            && one
                .worker_names()
                .any(|name| is_one(name) || one.program.starts_with("kworker"))
    }

    /// A loop device's workers wait for the disk that has its file: whoever uses the loop device waits as long.
    pub(super) fn is_loop_worker(&self, base: Base) -> bool {
        let one = self.get(base);
        let is_loops = |name: &str| {
            let number = name.strip_prefix("loop");
            number.is_some_and(|rest| rest.starts_with(|at: char| at.is_ascii_digit()))
        };
        one.is_kernel && one.worker_names().any(is_loops)
    }

    /// Workloads that belong to the same program, and those of the same scope.
    pub(super) fn same_program(&self, one: Base, other: Base) -> bool {
        let (one, other) = (self.get(one), self.get(other));
        !one.is_kernel && (&one.scope, &one.program) == (&other.scope, &other.program)
    }

    pub(super) fn same_scope(&self, one: Base, other: Base) -> bool {
        let (one, other) = (self.get(one), self.get(other));
        one.scope != Scope::None && one.scope == other.scope
    }

    /// As the report names a group of bases, the one that did most first.
    pub(super) fn party(&self, bases: &[Base]) -> Party {
        let Some(first) = bases.first().map(|base| self.get(*base)) else {
            return Party::default();
        };
        let processes: Vec<&Process> = bases
            .iter()
            .flat_map(|base| self.get(*base).processes.iter().copied())
            .collect();
        let main = first.processes.first();
        let one_program = bases
            .iter()
            .all(|base| self.get(*base).program == first.program);
        let mut party = Party {
            processes: processes.len() as u64,
            main_pid: main.map(|process| process.pid),
            unit: main.and_then(|process| process.unit.clone()),
            pod: main.and_then(|process| pod(process)),
            ..Party::default()
        };
        let split = |name: &str| {
            let (namespace, name) = name
                .split_once('/')
                .map_or((None, name), |(namespace, name)| {
                    (Some(namespace.to_owned()), name)
                });
            (namespace, name.to_owned())
        };
        (party.kind, party.namespace, party.name) = match &first.scope {
            _ if first.is_unknown => (PartyKind::Unknown, None, first.program.clone()),
            _ if first.is_kernel => (PartyKind::KernelWorker, None, first.program.clone()),
            Scope::Vm(name) => {
                party.vm = Some(name.clone());
                let (namespace, name) = split(name);
                (PartyKind::Vm, namespace, name)
            }
            Scope::Pod(name) if !one_program => {
                let (namespace, name) = split(name);
                (PartyKind::Pod, namespace, name)
            }
            Scope::Unit(name) if !one_program => (PartyKind::Unit, None, name.clone()),
            Scope::Cgroup(path) => (PartyKind::Cgroup, None, path.clone()),
            _ if processes.len() > 1 => (PartyKind::Program, None, first.program.clone()),
            _ => (PartyKind::Process, None, first.program.clone()),
        };
        party.label = label(&party, main.copied(), one_program.then_some(&first.program));
        party
    }
}

fn label(party: &Party, main: Option<&Process>, program: Option<&String>) -> String {
    let place = party.pod.as_ref().map(|pod| format!("pod {pod}"));
    let place = place.or_else(|| party.unit.clone());
    let within = |place: &Option<String>| {
        place
            .as_ref()
            .map_or_else(String::new, |place| format!(", {place}"))
    };
    match (party.kind, main, program) {
        (PartyKind::Process | PartyKind::KernelWorker, Some(process), _) => process_label(process),
        (PartyKind::Vm, Some(process), _) => match role::label(process) {
            Some(label) => label,
            None => format!("VM {}", party.name),
        },
        (PartyKind::Pod, ..) => format!("pod {}", party.pod.as_ref().unwrap_or(&party.name)),
        (PartyKind::Cgroup, ..) => format!("control group {}", party.name),
        (PartyKind::Unit, ..) => format!("{} ({} processes)", party.name, party.processes),
        (PartyKind::Program, _, Some(program)) => {
            format!(
                "{program} ({} processes{})",
                party.processes,
                within(&place)
            )
        }
        _ => party.name.clone(),
    }
}

fn key(process: &Process) -> Key {
    if process.kernel_thread {
        return Key {
            scope: Scope::None,
            program: process.comm.clone(),
            args: Vec::new(),
            thread: Some(process.pid),
        };
    }
    let scope = scope(process);
    // A VM is one workload whatever its arguments; of others they tell one job from another.
    let args = match scope {
        Scope::Vm(_) => Vec::new(),
        _ => process.args.clone(),
    };
    Key {
        program: match scope {
            Scope::Vm(_) => String::new(),
            _ => process.comm.clone(),
        },
        scope,
        args,
        thread: None,
    }
}

fn scope(process: &Process) -> Scope {
    if process.kernel_thread {
        return Scope::None;
    }
    if let Some(Command::Vm(vm)) = command::read(process)
        && let Some(name) = role::vm_label(&vm)
    {
        return Scope::Vm(name);
    }
    if let Some(pod) = pod(process) {
        return Scope::Pod(pod);
    }
    match &process.unit {
        Some(unit) if unit.ends_with(".service") && !unit.starts_with("user@") => {
            Scope::Unit(unit.clone())
        }
        _ => Scope::None,
    }
}

fn pod(process: &Process) -> Option<String> {
    let pod = process.pod.as_ref()?;
    match (&pod.namespace, &pod.name) {
        (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
        _ => pod.uid.clone(),
    }
}

/// The smallest group that accounts for most of a share: a base, its program, or its scope. In: shares by base,
/// and those that may not be part of it. Out: the group with its share, the largest base first.
pub(super) fn smallest_group(
    workloads: &Workloads<'_>,
    shares: &BTreeMap<Base, f64>,
    top: Base,
) -> (Vec<Base>, f64) {
    let of = |is_in: &dyn Fn(Base) -> bool| {
        let mut group: Vec<(Base, f64)> = shares
            .iter()
            .filter(|(base, share)| (**base == top || is_in(**base)) && **share > 0.0)
            .map(|(base, share)| (*base, *share))
            .collect();
        group.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        let sum: f64 = group.iter().map(|(_, share)| share).sum();
        (
            group.into_iter().map(|(base, _)| base).collect::<Vec<_>>(),
            sum,
        )
    };
    let alone = shares.get(&top).copied().unwrap_or(0.0);
    let program = of(&|base| workloads.same_program(base, top));
    let scope = of(&|base| workloads.same_scope(base, top));
    let mut best = (vec![top], alone);
    for larger in [program, scope] {
        if larger.1 * rules::OF_GROUP > best.1 {
            best = larger;
        }
    }
    best
}
