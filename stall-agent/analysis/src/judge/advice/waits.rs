//! Waits that no request shows, and loads without a single culprit.

use super::case::Case;
use super::plain;
use super::step::{self, Step};

const CGROUP: &str = "Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/blkio-controller.rst";

/// Nobody else is to blame: the load itself.
pub(super) fn load(case: &Case<'_>) -> Vec<Step> {
    vec![
        step::now("spread the load: run large jobs at another time, with fewer requests at once, or limit the largest in its unit or pod")
            .source("systemd.resource-control(5)"),
        case.confirm("when there is less load, trace again: the slow requests must be gone"),
        step::for_good("move a part of the workloads to another disk; this one is asked for more than it can do")
            .source("docs/principles.md of stall-agent"),
    ]
}

pub(super) fn array(case: &Case<'_>) -> Vec<Step> {
    let device = case.device();
    let above = device.and_then(|device| device.used_by.iter().find(|name| name.starts_with("md")));
    let name = above
        .map(String::as_str)
        .or_else(|| device.map(|device| device.name.as_str()));
    let mut steps = vec![
        step::now("how far it is")
            .command("cat /proc/mdstat")
            .changes_nothing()
            .source("md(4)"),
    ];
    if let Some(name) = name
        .and_then(plain::word)
        .filter(|name| name.starts_with("md"))
    {
        steps.push(
            step::now("slow it down while the machines need the disks")
                .command(format!("echo 10000 > /sys/block/{name}/md/sync_speed_max"))
                .changes("the array resyncs or checks with 10 MB/s at most, until the next boot")
                .risk("it takes longer; an array without redundancy stays so for longer")
                .undo(format!("echo system > /sys/block/{name}/md/sync_speed_max"))
                .source("Documentation/admin-guide/md.rst"),
        );
    }
    steps.push(
        step::for_good("run checks at a quiet hour (mdcheck_start.timer, /etc/cron.d/mdadm)")
            .source("mdadm(8)"),
    );
    steps
}

pub(super) fn limit() -> Vec<Step> {
    vec![
        step::now("look at the limits of its control group: io.max, or blkio.throttle.* (cgroup v1); raise or remove the one that holds it back")
            .source(CGROUP),
        step::for_good("change the limit where it is set: the unit, the pod's StorageClass or the VM's definition")
            .source(CGROUP),
    ]
}

pub(super) fn frozen() -> Vec<Step> {
    vec![
        step::now("find out who froze it (a snapshot or backup job) and let that finish; if it has died, thaw the filesystem: fsfreeze --unfreeze MOUNTPOINT")
            .source("fsfreeze(8)"),
        step::for_good("have the job that freezes thaw on every way out, with a time limit").source("fsfreeze(8)"),
    ]
}

pub(super) fn suspended() -> Vec<Step> {
    vec![
        step::now("which device mapper devices are suspended")
            .command("dmsetup info")
            .changes_nothing()
            .source("dmsetup(8)"),
        step::now("find out who suspended it (lvm, multipath, a snapshot) and let that finish; if it has died: dmsetup resume NAME")
            .source("dmsetup(8)"),
    ]
}

pub(super) fn dirty() -> Vec<Step> {
    vec![
        step::now("have whoever writes most do less, or write past the page cache (oflag=direct)").source("dd(1)"),
        step::for_good("bound what may be dirty: vm.dirty_bytes and vm.dirty_background_bytes, or memory.high of its group")
            .source("Documentation/admin-guide/sysctl/vm.rst"),
    ]
}

pub(super) fn memory() -> Vec<Step> {
    vec![
        step::now("who uses the memory").command("systemd-cgtop --order=memory --iterations=1").changes_nothing().source("systemd-cgtop(1)"),
        step::for_good("give it more memory, or a limit to whoever takes it (memory.max); a limit on I/O makes it worse")
            .source("Documentation/admin-guide/cgroup-v2.rst"),
    ]
}

pub(super) fn cpu() -> Vec<Step> {
    vec![
        step::now("who uses the CPUs, and the quota of its group (cpu.max, cpu.cfs_quota_us)")
            .command("systemd-cgtop --order=cpu --iterations=1")
            .changes_nothing()
            .source("systemd-cgtop(1)"),
    ]
}

pub(super) fn not_visible() -> Vec<Step> {
    vec![
        step::now("see blocked in the report: the functions its threads sleep in tell the layer")
            .source("docs/report.md of stall-agent"),
        step::now("what is stacked and mounted")
            .command("lsblk -s; findmnt -D")
            .changes_nothing()
            .source("lsblk(8), findmnt(8)"),
    ]
}
