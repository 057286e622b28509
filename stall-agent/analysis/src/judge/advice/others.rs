//! Flushes, locks, nothing, and not enough.

use super::case::Case;
use super::step::{self, Step};
use super::{plain, stop};
use crate::judge::confidence;
use stall_report::model::Origin;

const LOCKS: &str = "docs/principles.md of stall-agent, Locks and chains";

/// Many ask for the device's cache to be written out, and each waits for all of it.
pub(super) fn flushes(case: &Case<'_>) -> Vec<Step> {
    let mut steps = vec![
        step::now("look at what those who ask for flushes commit so often: each waits for the whole device")
            .source("Documentation/block/writeback_cache_control.rst"),
    ];
    let disks = case.physical();
    let names = disks.iter().filter_map(|disk| plain::word(&disk.name));
    steps.extend(names.map(cache));
    steps.push(case.confirm("when that is less, trace again: the slow requests must be gone"));
    steps.push(
        step::for_good("put logs that are synced often on a device with a protected write cache, or on one of their own")
            .source("etcd.io/docs: hardware, disks"),
    );
    steps
}

fn cache(name: &str) -> Step {
    step::now(format!("whether {name} has a write cache that a flush empties; leave it as it is"))
        .command(format!("cat /sys/block/{name}/queue/write_cache"))
        .changes("nothing")
        .risk(
            "reading has none; writing 'write through' to it makes the kernel send no flushes, and what is in the \
             disk's cache is lost with the power",
        )
        .source("Documentation/ABI/stable/sysfs-block: write_cache")
}

pub(super) fn lock_holder(case: &Case<'_>) -> Vec<Step> {
    let is_trim =
        |culprit: &&stall_report::model::Culprit| culprit.origin == Some(Origin::FilesystemTrim);
    let mut steps = if case.culprits.iter().any(|culprit| is_trim(&culprit)) {
        stop::all(case)
    } else {
        Vec::new()
    };
    let now = "see chains for what it waits for while it holds the lock: that is what has to become faster, or to be stopped";
    steps.push(step::now(now).source(LOCKS));
    let processes = case
        .culprits
        .iter()
        .filter_map(|culprit| culprit.process.as_ref());
    let alive = processes.filter(|process| !process.kernel_thread && process.exited.is_none());
    for process in alive.take(1) {
        steps.push(
            step::now("where in the kernel its threads are")
                .command(format!("cat /proc/{}/task/*/stack", process.pid))
                .changes_nothing()
                .source("proc_pid_stack(5)"),
        );
    }
    steps.push(
        step::now("write all tasks in D with their stacks to the kernel's log, for whoever looks into the filesystem")
            .command("echo w > /proc/sysrq-trigger")
            .changes("nothing but the kernel's log (dmesg)")
            .risk("on a host with thousands of tasks in D the log runs over, and a serial console is slow with it")
            .source("Documentation/admin-guide/sysrq.rst"),
    );
    steps.push(case.confirm("when it has let go, trace again: the waits must be gone"));
    steps
}

pub(super) fn no_stall(case: &Case<'_>) -> Vec<Step> {
    let text = "trace while it is slow; if the guests are slow then and this stays so, look above the disks";
    let mut steps = vec![
        step::to_confirm(text)
            .command(
                "stall-agent trace --duration 60s --capture /run/stall.capture > /run/stall.json",
            )
            .changes("nothing but two files in /run, which is memory")
            .risk("none: it only watches")
            .source("docs/principles.md of stall-agent, Confidence"),
    ];
    let far = case.findings.vms.iter().flat_map(|vm| &vm.disks);
    if far
        .flat_map(|disk| &disk.replica_addresses)
        .any(|one| one.local == Some(false))
    {
        steps.push(
            step::to_confirm("volumes here have replicas on other nodes (see vms): trace there as well, while it is slow")
                .source("docs/principles.md of stall-agent, J5 and W1"),
        );
    }
    steps
}

pub(super) fn inconclusive(case: &Case<'_>) -> Vec<Step> {
    let findings = case.findings;
    let mut steps = Vec::new();
    if confidence::missing(&findings.hooks).next().is_some() {
        steps.push(
            step::now("see what this kernel lacks")
                .command("stall-agent check")
                .changes_nothing()
                .source("docs/kernels.md of stall-agent"),
        );
    }
    if !findings.discards.is_empty() {
        let text = "stop whoever sends discards and trace again: if it stays slow, the discards were not the cause";
        steps.push(step::now(text).source("docs/comparison.md of stall-agent"));
    }
    steps.push(
        step::now("see actors for who used the slow device most, blocked for who waited for what")
            .source("docs/report.md of stall-agent"),
    );
    steps.push(
        step::to_confirm("trace longer, so that there is time with and without")
            .command(
                "stall-agent trace --duration 5m --capture /run/longer.capture > /run/longer.json",
            )
            .changes("nothing but two files in /run, which is memory")
            .risk("none: it only watches")
            .source("docs/principles.md of stall-agent, D2"),
    );
    steps
}
