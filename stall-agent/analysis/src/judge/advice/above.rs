//! What lies above the disks of this host: where to look next, and with what, at the same time.

use std::collections::BTreeSet;

use super::case::Case;
use super::step::{self, Step};
use super::{limit, plain};
use stall_report::model::{Reason, VmDisk};

const SHOWN: usize = 3;

pub(super) fn steps(case: &Case<'_>) -> Vec<Step> {
    let disks = disks(case);
    let volumes: BTreeSet<&str> = disks
        .iter()
        .filter_map(|disk| disk.volume.as_deref())
        .chain(case.device().and_then(|device| device.volume.as_deref()))
        .filter_map(plain::word)
        .collect();
    let mut steps: Vec<Step> = case.doubt().into_iter().collect();
    steps.extend(volumes.iter().take(SHOWN).map(|one| replicas(one)));
    steps.push(other_host(case, volumes.is_empty()));
    for address in addresses(&disks).into_iter().take(SHOWN) {
        steps.push(connection(&address));
    }
    if volumes.is_empty() && case.device().is_none() {
        steps.push(mounts(case));
    }
    if case
        .device()
        .is_some_and(|device| device.iscsi_target.is_some())
    {
        steps.push(limit::leave_volumes_alone());
    }
    steps.push(
        case.confirm("when it has been changed, trace again: the slow requests must be gone"),
    );
    steps
}

/// Disks of VMs that are the device of the verdict.
fn disks<'a>(case: &Case<'a>) -> Vec<&'a VmDisk> {
    let id = case.device().map(|device| &device.id);
    let all = case.findings.vms.iter().flat_map(|vm| &vm.disks);
    all.filter(|disk| id.is_some() && disk.device.as_ref() == id)
        .collect()
}

/// Of replicas that are not here.
fn addresses(disks: &[&VmDisk]) -> BTreeSet<String> {
    let all = disks.iter().flat_map(|disk| &disk.replica_addresses);
    let far = all.filter(|one| one.local != Some(true));
    far.filter_map(|one| Some(plain::address(&one.address)?.to_string()))
        .collect()
}

fn replicas(volume: &str) -> Step {
    step::now(format!("on which nodes the replicas of {volume} are"))
        .command(format!(
            "kubectl -n longhorn-system get replicas.longhorn.io --selector longhornvolume={volume} -o wide"
        ))
        .changes_nothing()
        .source("longhorn.io/docs, concepts: engine and replicas")
}

/// Two traces that begin on the full minute see the same requests from both ends.
fn other_host(case: &Case<'_>, unknown: bool) -> Step {
    let window = &case.findings.window;
    let whom = if unknown {
        "on the host of the server, and here at the same time"
    } else {
        "on those nodes, and here at the same time"
    };
    step::now(format!(
        "{whom} (this window was {} to {})",
        window.start, window.end
    ))
    .command(
        "sleep $(( 60 - $(date +%s) % 60 )); stall-agent trace --duration 60s --capture /run/stall.capture > /run/stall.json",
    )
    .changes("nothing but two files in /run; it begins at the next full minute, so that the windows are the same")
    .risk("none: it only watches; clocks must agree (chronyc tracking)")
    .source("docs/principles.md of stall-agent, J5 and W1")
}

fn connection(address: &str) -> Step {
    step::now(format!(
        "retransmissions and round trip to the replica at {address}"
    ))
    .command(format!("ss --tcp --info dst {address}"))
    .changes_nothing()
    .source("ss(8); in the engine's network namespace: nsenter --target PID --net")
}

fn mounts(case: &Case<'_>) -> Step {
    let waits_for = |reason| {
        let tasks = case.findings.blocked.iter();
        tasks
            .flat_map(|task| &task.reasons)
            .any(|row| row.reason == reason)
    };
    let types = if waits_for(Reason::UserSpaceServer) {
        "fuse,fuseblk,virtiofs"
    } else {
        "nfs,nfs4,cifs,smb3,ceph,9p,lustre"
    };
    step::now("which servers are mounted")
        .command(format!("findmnt --types {types}"))
        .changes_nothing()
        .source("findmnt(8)")
}
