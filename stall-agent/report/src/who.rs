//! Who an actor is for people: the VM, pod or service it belongs to, or its program. What belongs to one workload is told
//! together.

use std::collections::BTreeMap;

use crate::Report;
use crate::model::{Actor, PartyKind, Process, RoleKind};

/// The workload of one actor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) kind: PartyKind,
    /// Of a VM or pod with its namespace; of a single thread of the kernel its label.
    pub(crate) name: String,
}

/// Workloads of the actors of a report.
pub(crate) struct Workloads<'a> {
    of_actor: BTreeMap<u32, Who>,
    actors: BTreeMap<Who, Vec<&'a Actor>>,
}

impl<'a> Workloads<'a> {
    pub(crate) fn new(report: &'a Report) -> Self {
        let mut new = Self {
            of_actor: BTreeMap::new(),
            actors: BTreeMap::new(),
        };
        for actor in &report.actors {
            let who = of(actor);
            new.of_actor.insert(actor.id, who.clone());
            new.actors.entry(who).or_default().push(actor);
        }
        new
    }

    /// `None` for an id that the report does not tell of.
    pub(crate) fn of(&self, actor: u32) -> Option<&Who> {
        self.of_actor.get(&actor)
    }

    pub(crate) fn actors(&self) -> impl Iterator<Item = (&Who, &[&'a Actor])> {
        self.actors.iter().map(|(who, all)| (who, all.as_slice()))
    }

    /// As the report calls a single process; of several how many.
    pub(crate) fn label(&self, who: &Who) -> String {
        match self.actors.get(who).map(Vec::as_slice) {
            Some([one]) => one.label.clone(),
            Some(several) if who.kind == PartyKind::Vm => several[0].label.clone(),
            Some(several) => {
                let name = match who.kind {
                    PartyKind::Pod => format!("pod {}", who.name),
                    _ => who.name.clone(),
                };
                format!("{name} ({} processes)", several.len())
            }
            None => who.name.clone(),
        }
    }
}

fn of(actor: &Actor) -> Who {
    let of = |kind, name: &str| Who {
        kind,
        name: name.to_owned(),
    };
    let Some(process) = &actor.process else {
        return of(PartyKind::Unknown, &actor.label);
    };
    if process.kernel_thread {
        return of(PartyKind::KernelWorker, &actor.label);
    }
    let role = process.role.as_ref();
    let vm = role.filter(|role| role.kind == RoleKind::Vm);
    if let Some(vm) = vm.and_then(|role| role.vm.as_deref()) {
        return of(PartyKind::Vm, vm);
    }
    if let Some(pod) = pod(process) {
        return of(PartyKind::Pod, &pod);
    }
    let unit = process.unit.as_deref();
    match unit.filter(|unit| unit.ends_with(".service") && !unit.starts_with("user@")) {
        Some(unit) => of(PartyKind::Unit, unit),
        None => of(PartyKind::Program, &process.comm),
    }
}

fn pod(process: &Process) -> Option<String> {
    let pod = process.pod.as_ref()?;
    match (&pod.namespace, &pod.name) {
        (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
        _ => pod.uid.clone(),
    }
}
