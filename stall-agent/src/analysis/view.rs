//! From where the host was seen, what that costs, and which names could not be had.

use std::collections::BTreeMap;

use super::vm::processes;
use crate::capture::{self, Capture};
use crate::command::{self, Command};
use crate::report::model::{NameGap, View};

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
            "the agent is not in the host's pid namespace: names come from {root}, its own pid is another there"
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
    let mut add = |what: &str, reason: &str| {
        *counts
            .entry((what.to_owned(), reason.to_owned()))
            .or_default() += 1;
    };
    for process in processes(capture) {
        let pod = process.pod.as_ref();
        if pod.is_some_and(|pod| pod.name.is_none()) {
            add("pod", "no file of kubelet or containerd names it");
        } else if pod.is_some_and(|pod| pod.container.is_none() && pod.container_id.is_some()) {
            add("container", "no file of kubelet or containerd names it");
        }
        let replica = process.replica.as_ref();
        if replica.is_some_and(|replica| replica.major.is_none()) {
            add("replica directory", "it cannot be looked at");
        } else if replica.is_some_and(|replica| replica.meta.is_none()) {
            add("volume.meta", "it cannot be read");
        }
        if matches!(command::read(process), Some(Command::Vm(vm)) if vm.name.is_none()) {
            add("VM", "its command line names no guest");
        }
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

#[cfg(test)]
mod tests {
    use super::super::test_capture::{Builder, process};
    use super::*;
    use crate::capture::{Pod, Process};

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
