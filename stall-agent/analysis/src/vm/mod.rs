//! Virtual machines joined with their disks: QEMU's open device -> Longhorn volume -> local replica -> physical disk,
//! with the latency at each layer. Pure.
//!
//! A volume is known by the iSCSI target of the device or of what it is made of, else by the number of a node in
//! `/dev/longhorn`. A link that is not there is `None`, and what hangs on it is left out: nothing is inferred from
//! names that look alike.

mod latency;
mod replica;

use std::collections::{BTreeMap, BTreeSet};

use super::layers::Stacking;
use super::names::Names;
use super::role::{self, vm_label};
use stall_capture::command::{self, Command, Engine};
use stall_capture::{Capture, OpenDisk, Process};
use stall_report::model::{DataEngine, LayerKind, Vm, VmDisk, VmLayer, VmReplica};

/// Targets of Longhorn (`longhorn/go-iscsi-helper`).
pub(super) const TARGET: &str = "iqn.2019-10.io.longhorn:";

/// What all virtual machines are joined with.
pub(super) struct Join<'a> {
    capture: &'a Capture,
    names: &'a Names<'a>,
    stacking: Stacking,
    /// Processes that told of themselves, once each.
    processes: Vec<&'a Process>,
    /// Rows of disks by their numbers and those of their partitions.
    rows: BTreeMap<(u32, u32), usize>,
}

/// All virtual machines, by label.
pub(super) fn vms(capture: &Capture, names: &Names<'_>) -> Vec<Vm> {
    let join = Join::new(capture, names);
    let mut vms: Vec<Vm> = join
        .processes
        .iter()
        .filter_map(|process| match command::read(process)? {
            Command::Vm(vm) => Some(join.vm(process, &vm)),
            _ => None,
        })
        .collect();
    vms.sort_by(|a, b| (&a.label, a.pid).cmp(&(&b.label, b.pid)));
    vms
}

impl<'a> Join<'a> {
    fn new(capture: &'a Capture, names: &'a Names<'a>) -> Self {
        Self {
            capture,
            names,
            stacking: Stacking::new(capture, names),
            processes: processes(capture),
            rows: rows(capture),
        }
    }

    fn vm(&self, process: &Process, vm: &command::Vm) -> Vm {
        let label = vm_label(vm).unwrap_or_else(|| format!("unnamed VM (pid {})", process.pid));
        Vm {
            namespace: vm.namespace.clone(),
            name: vm.name.clone(),
            label,
            pid: process.pid,
            actor: self.names.actor_of(process),
            pod: process.pod.as_ref().map(role::pod),
            disks: process
                .open_disks
                .iter()
                .map(|open| self.disk(process, open))
                .collect(),
        }
    }

    fn disk(&self, process: &Process, open: &OpenDisk) -> VmDisk {
        let row = self.rows.get(&(open.major, open.minor)).copied();
        let chain = row.map_or_else(Vec::new, |row| self.stacking.chain(row));
        let volume = self.volume(open, &chain);
        let engine = volume.as_deref().and_then(|volume| self.engine(volume));
        let replicas = volume
            .as_deref()
            .map_or_else(Vec::new, |volume| self.replicas(volume));
        let physical = self.physical(row, &chain, volume.is_some(), &replicas);
        let id = |row: &usize| self.names.device_of_row(*row);
        VmDisk {
            path: open.path.clone(),
            major: open.major,
            minor: open.minor,
            device: row.as_ref().map(id),
            data_engine: volume.as_ref().and_then(|_| self.data_engine(&chain)),
            encrypted: self.encrypted(&chain),
            engine_pid: engine.as_ref().map(|(process, _)| process.pid),
            replica_addresses: engine.map_or_else(Vec::new, |(process, engine)| {
                self.addresses(process, &engine)
            }),
            layers: self.layers(process, &chain, &replicas, &physical),
            physical: physical.iter().map(id).collect(),
            replicas,
            volume,
        }
    }

    fn volume(&self, open: &OpenDisk, chain: &[usize]) -> Option<String> {
        let facts = || {
            chain
                .iter()
                .filter_map(|row| self.capture.disks[*row].facts.as_ref())
        };
        let targets = facts().filter_map(|facts| facts.iscsi_target.as_deref());
        let target = targets
            .filter_map(|target| target.strip_prefix(TARGET))
            .next();
        if let Some(volume) = target.filter(|volume| !volume.is_empty()) {
            return Some(volume.to_owned());
        }
        let disks = chain.iter().map(|row| &self.capture.disks[*row]);
        let mut numbers = disks.map(|disk| (disk.major, disk.minor));
        numbers
            .find_map(|number| self.node(number))
            .or_else(|| self.node((open.major, open.minor)))
    }

    fn node(&self, number: (u32, u32)) -> Option<String> {
        let mut volumes = self.capture.inventory.volumes.iter();
        let volume = volumes.find(|volume| (volume.major, volume.minor) == number)?;
        Some(volume.name.clone())
    }

    /// v2 shows its volumes as NVMe over TCP or ublk, below a linear mapping.
    fn data_engine(&self, chain: &[usize]) -> Option<DataEngine> {
        let disks = || chain.iter().map(|row| &self.capture.disks[*row]);
        let is_v1 = disks().any(|disk| {
            let facts = disk.facts.as_ref();
            facts.is_some_and(|facts| facts.iscsi_target.is_some())
        });
        let is_v2 =
            || disks().any(|disk| disk.name.starts_with("nvme") || disk.name.starts_with("ublk"));
        if is_v1 {
            Some(DataEngine::V1)
        } else {
            is_v2().then_some(DataEngine::V2)
        }
    }

    /// Not known for a disk of which nothing is.
    fn encrypted(&self, chain: &[usize]) -> Option<bool> {
        let facts = |row: &usize| self.capture.disks[*row].facts.as_ref();
        let known = chain.first().is_some_and(|row| facts(row).is_some());
        let is_crypt = |uuid: &str| uuid.starts_with("CRYPT-");
        known.then(|| {
            let mut uuids = chain
                .iter()
                .filter_map(|row| facts(row)?.mapper_uuid.as_deref());
            uuids.any(is_crypt)
        })
    }

    fn engine(&self, volume: &str) -> Option<(&'a Process, Engine)> {
        self.processes
            .iter()
            .find_map(|process| match command::read(process)? {
                Command::Engine(engine) if engine.volume.as_deref() == Some(volume) => {
                    Some((*process, engine))
                }
                _ => None,
            })
    }

    /// Below the replicas where there are any; below the device itself when it is not the front of something that
    /// keeps its data elsewhere.
    fn physical(
        &self,
        row: Option<usize>,
        chain: &[usize],
        is_volume: bool,
        replicas: &[VmReplica],
    ) -> Vec<usize> {
        let of_replica = |replica: &VmReplica| {
            let name = replica.device.as_deref()?;
            self.stacking.row_of(name)
        };
        let below: Vec<usize> = replicas.iter().filter_map(of_replica).collect();
        let is_front = is_volume || chain.iter().any(|row| self.is_remote(*row));
        let below = match row {
            Some(row) if below.is_empty() && !is_front => vec![row],
            _ => below,
        };
        let disks: BTreeSet<usize> = below
            .into_iter()
            .flat_map(|row| self.stacking.physical(row))
            .collect();
        disks.into_iter().collect()
    }

    /// Over a network, or served by a program.
    fn is_remote(&self, row: usize) -> bool {
        let disk = &self.capture.disks[row];
        let transport = disk
            .facts
            .as_ref()
            .and_then(|facts| facts.transport.as_deref());
        disk.name.starts_with("ublk")
            || transport.is_some_and(|transport| {
                transport == "iscsi" || (transport.starts_with("nvme/") && transport != "nvme/loop")
            })
    }

    fn layers(
        &self,
        process: &Process,
        chain: &[usize],
        replicas: &[VmReplica],
        physical: &[usize],
    ) -> Vec<VmLayer> {
        let actor = self.names.actor_of(process);
        let mut layers = Vec::new();
        for row in chain {
            layers.extend(latency::of_actor(
                self.capture,
                self.names,
                LayerKind::Guest,
                *row,
                actor,
            ));
            layers.extend(latency::of_disk(
                self.capture,
                self.names,
                LayerKind::Volume,
                *row,
            ));
        }
        let below: Vec<&usize> = physical.iter().filter(|row| !chain.contains(row)).collect();
        for row in below {
            for replica in replicas {
                let actor = replica.actor;
                layers.extend(latency::of_actor(
                    self.capture,
                    self.names,
                    LayerKind::Replica,
                    *row,
                    actor,
                ));
            }
            layers.extend(latency::of_disk(
                self.capture,
                self.names,
                LayerKind::Physical,
                *row,
            ));
        }
        layers.sort_by_key(|layer| layer.layer);
        layers
    }
}

/// Those who did I/O come first: of them the start is known exactly.
pub(super) fn processes(capture: &Capture) -> Vec<&Process> {
    const TICK_NS: u64 = 10_000_000;
    let actors = capture
        .actors
        .iter()
        .filter_map(|actor| actor.process.as_ref());
    let mut found: Vec<&Process> = Vec::new();
    let mut by_pid: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for process in actors.chain(&capture.inventory.processes) {
        let start = process.start_boottime_ns;
        let namesakes = by_pid.entry(process.pid).or_default();
        let same = |at: &&mut usize| found[**at].start_boottime_ns.abs_diff(start) <= TICK_NS;
        match namesakes.iter_mut().find(same) {
            // The one that tells more of its disks.
            Some(at) if found[*at].open_disks.len() < process.open_disks.len() => {
                found[*at] = process;
            }
            Some(_) => {}
            None => {
                namesakes.push(found.len());
                found.push(process);
            }
        }
    }
    found
}

fn rows(capture: &Capture) -> BTreeMap<(u32, u32), usize> {
    let mut rows = BTreeMap::new();
    for (row, disk) in capture.disks.iter().enumerate() {
        // What has no number was not found in sysfs.
        if (disk.major, disk.minor) != (0, 0) {
            rows.insert((disk.major, disk.minor), row);
        }
        for partition in disk.facts.iter().flat_map(|facts| &facts.partitions) {
            rows.insert((partition.major, partition.minor), row);
        }
    }
    rows
}
