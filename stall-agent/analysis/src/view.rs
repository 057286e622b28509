//! From where the host was seen, what that costs, and which names could not be had.

use std::collections::{BTreeMap, HashSet};

use super::vm::processes;
use stall_capture as capture;
use stall_capture::command::{self, Command, Replica};
use stall_capture::{Capture, Disk, Process, ReplicaDirectory};
use stall_report::model::{NameGap, View};

pub(super) fn view(view: &capture::View) -> View {
    let root = &view.host_root;
    let mut costs = Vec::new();
    if view.proc_is_hosts == Some(false) {
        costs.push(format!(
            "the /proc below {root} shows another pid namespace than the host's: processes outside of it have no \
             command line, unit, pod or role here; give --host-root where the host's / is mounted, or run with hostPID"
        ));
    }
    if view.pid_namespace_is_hosts == Some(false) && view.proc_is_hosts == Some(true) {
        costs.push(format!(
            "the agent is not in the host's pid namespace: names come from {root}, where its own pid differs"
        ));
    }
    if view.mount_namespace_is_hosts == Some(false) {
        costs.push(format!(
            "the agent is not in the host's mount namespace: mounts are those of the host's first process, and files \
             below {root} are found where the host's mounts reach into the container"
        ));
    }
    View {
        host_root: root.clone(),
        pid_namespace_is_hosts: view.pid_namespace_is_hosts,
        mount_namespace_is_hosts: view.mount_namespace_is_hosts,
        proc_is_hosts: view.proc_is_hosts,
        costs,
    }
}

/// Names that are missing, counted by kind and reason, the most first.
pub(super) fn gaps(capture: &Capture) -> Vec<NameGap> {
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for gap in &capture.inventory.name_gaps {
        let count = counts
            .entry((gap.what.clone(), gap.reason.clone()))
            .or_default();
        *count = count.saturating_add(gap.count);
    }
    let numbers = numbers(capture);
    let of_processes = processes(capture)
        .into_iter()
        .flat_map(|process| of_process(process, &numbers));
    let of_disks = capture.disks.iter().filter_map(of_disk);
    for (what, reason) in of_processes.chain(of_disks) {
        let key = (what.to_owned(), reason.to_owned());
        *counts.entry(key).or_default() += 1;
    }
    let mut gaps: Vec<NameGap> = counts
        .into_iter()
        .map(|((what, reason), count)| NameGap {
            what,
            reason,
            count,
        })
        .collect();
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.count));
    gaps
}

/// What is missing, and why.
type Gap = (&'static str, &'static str);

const NO_DISK: &str = "no disk of this report has its number";

fn of_process(process: &Process, numbers: &HashSet<(u32, u32)>) -> Vec<Gap> {
    let command = command::read(process);
    let open = process.open_disks.iter();
    let unknown = open.filter(|disk| !numbers.contains(&(disk.major, disk.minor)));
    let is_replica = matches!(command, Some(Command::Replica(_)));
    let mut gaps = vec![of_pod(process), of_command(process, command)];
    gaps.extend(unknown.map(|_| Some(("disk of a VM", NO_DISK))));
    match &process.replica {
        None if is_replica => gaps.push(Some(("replica directory", "its command line names none"))),
        None => {}
        Some(replica) => gaps.extend(of_replica(replica, numbers)),
    }
    gaps.into_iter().flatten().collect()
}

fn of_pod(process: &Process) -> Option<Gap> {
    const NO_FILE: &str = "no file of kubelet or containerd names it";
    let pod = process.pod.as_ref()?;
    if pod.name.is_none() {
        Some(("pod", NO_FILE))
    } else {
        let nameless = pod.container.is_none() && pod.container_id.is_some();
        nameless.then_some(("container", NO_FILE))
    }
}

fn of_command(process: &Process, command: Option<Command>) -> Option<Gap> {
    const NO_VOLUME: Gap = ("volume", "its command line names none");
    match command? {
        Command::Vm(_) if command::names_foreign_vm(process) => Some((
            "VM",
            "its command line names a guest of another namespace than its pod's",
        )),
        Command::Vm(vm) if vm.name.is_none() => Some(("VM", "its command line names no guest")),
        Command::Engine(engine) if engine.volume.is_none() => Some(NO_VOLUME),
        Command::Engine(engine) => {
            let pod = process.pod.as_ref();
            let known = pod.is_some_and(|pod| !pod.addresses.is_empty());
            let unknown = !known && !engine.replicas.is_empty();
            unknown.then_some((
                "replicas here or elsewhere",
                "no file tells the addresses of the controller's pod",
            ))
        }
        Command::Replica(Replica { volume: None, .. }) | Command::SyncAgent { volume: None } => {
            Some(NO_VOLUME)
        }
        _ => None,
    }
}

fn of_replica(replica: &ReplicaDirectory, numbers: &HashSet<(u32, u32)>) -> [Option<Gap>; 2] {
    let Some(number) = replica.major.zip(replica.minor) else {
        return [Some(("replica directory", "it cannot be looked at")), None];
    };
    let no_disk = !numbers.contains(&number);
    let no_meta = replica.meta.is_none();
    [
        no_disk.then_some(("disk of a replica", NO_DISK)),
        no_meta.then_some(("volume.meta", "it cannot be read")),
    ]
}

fn of_disk(disk: &Disk) -> Option<Gap> {
    let facts = disk.facts.as_ref()?;
    let nameless = facts.transport.as_deref() == Some("iscsi") && facts.iscsi_target.is_none();
    nameless.then_some(("iSCSI target", "its session names none"))
}

/// Of the disks and partitions of the report.
fn numbers(capture: &Capture) -> HashSet<(u32, u32)> {
    let disks = capture.disks.iter();
    let numbers = disks.flat_map(|disk| {
        let facts = disk.facts.iter();
        let partitions = facts.flat_map(|facts| &facts.partitions);
        let parts = partitions.map(|partition| (partition.major, partition.minor));
        parts.chain([(disk.major, disk.minor)])
    });
    // What has no number was not found in sysfs.
    numbers.filter(|number| *number != (0, 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::{Builder, disk, process};
    use super::*;
    use stall_capture::Pod;

    #[test]
    fn what_is_missing_is_counted_with_its_reason() {
        let mut capture = Builder::of_disks(vec![]).capture();
        let in_pod = |pid| Process {
            pod: Some(Pod::default()),
            ..process(pid, "x")
        };
        capture.inventory.processes = vec![in_pod(1), in_pod(2), process(3, "qemu-kvm")];
        let gaps = gaps(&capture);
        let told: Vec<_> = gaps
            .iter()
            .map(|gap| (gap.what.as_str(), gap.count))
            .collect();
        assert_eq!(told, [("pod", 2), ("VM", 1)]);
    }

    #[test]
    fn links_of_a_volume_that_are_missing_are_counted() {
        let mut nameless = disk("sdd");
        nameless.facts.get_or_insert_default().transport = Some("iscsi".to_owned());
        let mut capture = Builder::of_disks(vec![nameless]).capture();
        let command = |pid, line: &str| Process {
            args: line.split(' ').map(str::to_owned).collect(),
            ..process(pid, "longhorn")
        };
        capture.inventory.processes = vec![
            command(1, "longhorn controller pvc-1 --replica tcp://10.0.0.1:1"),
            command(2, "longhorn controller --replica tcp://10.0.0.1:1"),
            command(3, "longhorn replica"),
            Process {
                replica: Some(ReplicaDirectory {
                    major: Some(9),
                    minor: Some(9),
                    meta: Some(capture::VolumeMeta::default()),
                    ..ReplicaDirectory::default()
                }),
                ..command(4, "longhorn replica /host/r/pvc-1-0123abcd")
            },
        ];
        let mut told: Vec<_> = gaps(&capture)
            .into_iter()
            .map(|gap| (gap.what, gap.count))
            .collect();
        told.sort_unstable();
        let expected = [
            ("disk of a replica", 1),
            ("iSCSI target", 1),
            ("replica directory", 1),
            ("replicas here or elsewhere", 1),
            ("volume", 2),
        ];
        assert_eq!(told, expected.map(|(what, count)| (what.to_owned(), count)));
    }

    #[test]
    fn a_foreign_namespace_costs_names_and_the_hosts_costs_nothing() {
        let seen = |hosts| {
            view(&capture::View {
                host_root: "/".to_owned(),
                pid_namespace_is_hosts: Some(hosts),
                mount_namespace_is_hosts: Some(hosts),
                proc_is_hosts: Some(hosts),
            })
        };
        assert!(seen(true).costs.is_empty());
        assert_eq!(seen(false).costs.len(), 2);
    }
}
