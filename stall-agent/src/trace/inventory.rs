//! The look at what else is on the host, on a thread of its own: a `/proc` or a `/var/log` that hangs delays nothing.

use std::collections::HashSet;
use std::time::Duration;

use super::background::Aside;
use stall_capture::{Inventory, NameGap, OemFile};
use stall_host::{HostRoot, inventory, oem};

/// Each look is waited for at the end.
const PATIENCE: Duration = Duration::from_millis(300);

/// The looks of one run: when its window begins, and when it has ended.
pub(super) struct Looks {
    first: Look,
    last: Option<Look>,
    /// On a thread of its own: the list of names may wait for the disk that is looked into.
    oem: Aside<Option<Vec<OemFile>>>,
}

impl Looks {
    /// Begins the first.
    pub(super) fn begin(root: &HostRoot) -> Self {
        let of = root.clone();
        Self {
            first: look(root),
            last: None,
            oem: Aside::begin("oem", move || oem::look(&of)),
        }
    }

    /// Begins the last.
    pub(super) fn look_again(&mut self, root: &HostRoot) {
        self.last = Some(look(root));
    }

    /// Begins another in place of the first, which stays until the other is there: of a run that does not end.
    pub(super) fn refresh(&mut self, root: &HostRoot) {
        match self.last.take() {
            Some(last) if last.peek().is_some() => self.first = last,
            Some(last) => self.last = Some(last),
            None => self.look_again(root),
        }
    }

    /// What the first has seen by now, with the names that nobody could tell.
    pub(super) fn so_far(&self, gaps: &[NameGap]) -> Inventory {
        let mut inventory = self.first.peek().cloned().unwrap_or_default();
        inventory.name_gaps.extend_from_slice(gaps);
        inventory.oem = self.oem.peek().cloned().flatten();
        inventory
    }

    /// What they saw, with the names that nobody could tell.
    pub(super) fn end(self, gaps: &[NameGap]) -> Inventory {
        let mut inventory = both(self.first, self.last);
        inventory.name_gaps.extend_from_slice(gaps);
        if let Some(oem) = self.oem.end(PATIENCE) {
            inventory.oem = oem;
        } else {
            inventory.name_gaps.push(NameGap {
                what: "oem".to_owned(),
                reason: "/oem had not answered at the end".to_owned(),
                count: 1,
            });
        }
        inventory
    }
}

type Look = Aside<Inventory>;

fn look(root: &HostRoot) -> Look {
    let root = root.clone();
    Aside::begin("inventory", move || inventory::look(&root))
}

/// What both looks saw: disks are hot-plugged and VMs come while a trace runs. What the window began with stays
/// known when it has gone meanwhile.
fn both(first: Look, last: Option<Look>) -> Inventory {
    let (last, first) = (
        last.and_then(|look| look.end(PATIENCE)),
        first.end(PATIENCE),
    );
    let mut inventory = match (first, last) {
        (Some(first), Some(last)) => merge(first, last),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => Inventory::default(),
    };
    if inventory.processes_seen == 0 {
        inventory.name_gaps.push(NameGap {
            what: "inventory".to_owned(),
            reason: "/proc had not answered at the end".to_owned(),
            count: 1,
        });
    }
    inventory
}

/// Numbers of the disks that VMs and replicas use, whether there were requests or not.
pub(super) fn disks_of(inventory: &Inventory) -> HashSet<(u32, u32)> {
    let processes = inventory.processes.iter();
    let open = processes.clone().flat_map(|process| &process.open_disks);
    let replicas = processes.filter_map(|process| process.replica.as_ref());
    let replicas = replicas.filter_map(|replica| Some((replica.major?, replica.minor?)));
    open.map(|disk| (disk.major, disk.minor))
        .chain(replicas)
        .collect()
}

fn merge(first: Inventory, mut last: Inventory) -> Inventory {
    for old in first.processes {
        let same = |new: &&mut stall_capture::Process| {
            (new.pid, new.start_boottime_ns) == (old.pid, old.start_boottime_ns)
        };
        let Some(new) = last.processes.iter_mut().find(same) else {
            last.processes.push(old);
            continue;
        };
        for disk in old.open_disks {
            if !new.open_disks.contains(&disk) {
                new.open_disks.push(disk);
            }
        }
    }
    for volume in first.volumes {
        if !last.volumes.contains(&volume) {
            last.volumes.push(volume);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use stall_capture::{OpenDisk, Process};

    fn vm(pid: u32, minors: &[u32]) -> Inventory {
        let open_disks = minors.iter().map(|&minor| OpenDisk {
            minor,
            ..OpenDisk::default()
        });
        Inventory {
            processes: vec![Process {
                pid,
                open_disks: open_disks.collect(),
                ..Process::default()
            }],
            ..Inventory::default()
        }
    }

    #[test]
    fn disks_come_and_go() {
        let both = merge(vm(7, &[1, 2]), vm(7, &[2, 3]));
        assert_eq!(both.processes.len(), 1);
        let minors: Vec<_> = both.processes[0]
            .open_disks
            .iter()
            .map(|disk| disk.minor)
            .collect();
        assert_eq!(minors, [2, 3, 1]);
    }

    #[test]
    fn a_machine_that_ended_meanwhile_is_known() {
        assert_eq!(merge(vm(7, &[1]), vm(8, &[1])).processes.len(), 2);
    }
}
