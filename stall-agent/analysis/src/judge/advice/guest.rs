//! Discards that guests ask for: what to do inside of them, and what not to do outside.

use std::collections::BTreeSet;

use super::case::Case;
use super::step::{self, Step};
use super::{limit, plain};
use stall_report::model::{Culprit, Vm};

const RISK: &str = "Harvester knowledge base, The potential risk with filesystem trim";
const SHOWN: usize = 3;

pub(super) fn steps(case: &Case<'_>) -> Vec<Step> {
    let vms = machines(case);
    let mut steps: Vec<Step> = vms
        .iter()
        .filter_map(|vm| console(vm))
        .take(SHOWN)
        .collect();
    steps.push(stop());
    steps.extend(limit::discards(case).into_iter().next());
    if case.physical().iter().all(|disk| disk.volume.is_none()) {
        steps.push(limit::leave_volumes_alone());
    }
    steps.push(case.confirm("when it has ended, trace again: the slow requests must be gone"));
    steps.extend(at_once(case));
    steps.push(spread());
    steps.push(disable());
    steps.push(mounts());
    steps.push(rebuild());
    steps
}

/// The virtual machines among the culprits.
fn machines<'a>(case: &Case<'a>) -> Vec<&'a Vm> {
    let culprits = case.culprits.iter();
    culprits
        .filter_map(|culprit| machine(case, culprit))
        .collect()
}

/// Which virtual machine a process is the monitor of.
pub(super) fn machine<'a>(case: &Case<'a>, culprit: &Culprit) -> Option<&'a Vm> {
    let pid = culprit.process.as_ref()?.pid;
    case.findings.vms.iter().find(|vm| vm.pid == pid)
}

fn console(vm: &Vm) -> Option<Step> {
    let (namespace, name) = (
        plain::word(vm.namespace.as_deref()?)?,
        plain::word(vm.name.as_deref()?)?,
    );
    Some(
        step::now(format!("log in to the guest of {namespace}/{name}"))
            .command(format!("virtctl console --namespace {namespace} {name}"))
            .changes("nothing")
            .risk("none; ctrl-] leaves it")
            .source("kubevirt.io/user-guide, virtctl"),
    )
}

fn stop() -> Step {
    step::now("in the guest: stop fstrim and its timer")
        .command("systemctl stop fstrim.timer fstrim.service")
        .changes("in the guest: ends this run of its trim, until its next boot")
        .risk("none for data; the fstrim that is running ends when its discard does")
        .undo("systemctl start fstrim.timer")
        .source("systemctl(1)")
}

/// Guests made from one template trim in the same minute.
fn at_once(case: &Case<'_>) -> Option<Step> {
    let guests = case.findings.discards.iter();
    let guests = guests.filter(|group| group.origin == stall_report::model::Origin::Guest);
    let guests: BTreeSet<u32> = guests.map(|group| group.actor).collect();
    (guests.len() > 1).then(|| {
        step::for_good(format!(
            "{} guests discarded within this window: those of one template trim at the same hour, so spread their timers",
            guests.len()
        ))
        .source(RISK)
    })
}

fn spread() -> Step {
    let file = "/etc/systemd/system/fstrim.timer.d/10-spread.conf";
    step::for_good("in each guest: spread the timer, so that not all trim at midnight on Monday")
        .command(format!(
            "mkdir -p /etc/systemd/system/fstrim.timer.d && printf '%s\\n' '[Timer]' 'RandomizedDelaySec=12h' > {file} && systemctl daemon-reload"
        ))
        .changes("in the guest: its trim begins at a random time within twelve hours")
        .risk("none; each trim is as hard on its volume as before")
        .undo(format!("rm {file} && systemctl daemon-reload"))
        .source(RISK)
}

fn disable() -> Step {
    step::for_good(
        "or in the guest: no trim at all (Windows: fsutil behavior set DisableDeleteNotify 1)",
    )
    .command("systemctl disable --now fstrim.timer")
    .changes("in the guest: its filesystems are no longer trimmed")
    .risk("its volume no longer gives back the space that files gave up")
    .undo("systemctl enable --now fstrim.timer")
    .source(RISK)
}

fn mounts() -> Step {
    step::for_good("in the guest: see what is mounted with discard, and take it out of /etc/fstab")
        .command("findmnt --options discard")
        .changes_nothing()
        .source("findmnt(8), fstab(5)")
}

fn rebuild() -> Step {
    step::for_good("let no guest trim while a replica of its volume is rebuilt")
        .risk(
            "up to Harvester 1.2.1 and in 1.3.0 a trim then is an I/O error that pauses the VM; from Longhorn 1.8.2 on a \
             trim holds up all reads and writes of its volume while it lasts",
        )
        .source("Harvester knowledge base; longhorn/longhorn-engine, pkg/controller/control.go: UnmapAt")
}
