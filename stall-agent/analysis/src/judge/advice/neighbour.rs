//! A noisy neighbor: limit what it may do on this disk, in the way that fits who it is.

use super::case::Case;
use super::guest::machine;
use super::plain;
use super::step::{self, Step};
use stall_report::model::{Culprit, Device, Op, Process, RoleKind, Vm};

const SHOWN: usize = 3;
const SMALLEST: u64 = 1 << 20;
const HELD: &str = "it gets slower; what it holds meanwhile (locks, a journal) others wait for";

/// What it may read and write a second.
struct Rates {
    read: Option<u64>,
    write: Option<u64>,
}

pub(super) fn steps(case: &Case<'_>) -> Vec<Step> {
    let culprits = case.culprits.iter().take(SHOWN);
    let mut steps: Vec<Step> = culprits.flat_map(|culprit| limits(case, culprit)).collect();
    let less = "have it do less: end or pause that job where it is started";
    steps.push(step::now(alternative(less, steps.is_empty())).source("its own manual"));
    steps.push(case.confirm("when it does less, trace again: the slow requests must be gone"));
    steps.push(
        step::for_good("give it a disk of its own, or a limit in its unit or definition that leaves room for the others")
            .source("systemd.resource-control(5)"),
    );
    steps
}

fn limits(case: &Case<'_>, culprit: &Culprit) -> Vec<Step> {
    let (Some(process), Some(device)) = (&culprit.process, case.device()) else {
        return Vec::new();
    };
    let rates = rates(case, culprit, device);
    let volume = process.role.as_ref();
    let volume = volume
        .filter(|role| role.kind == RoleKind::LonghornReplica)
        .map(|role| role.volume.as_deref());
    if let Some(volume) = volume {
        return replica(case, volume, &rates);
    }
    if let Some(vm) = machine(case, culprit) {
        let mut steps = iotune(vm, Some(&device.id), &rates);
        steps.extend(cgroup(process, device, &rates));
        return steps;
    }
    let mut steps: Vec<Step> = unit(process, device, &rates).into_iter().collect();
    if steps.is_empty() {
        steps.extend(cgroup(process, device, &rates));
    }
    steps.extend(ionice(process, device, steps.is_empty()));
    steps
}

/// What is advised beside something else.
fn alternative(text: &str, is_first: bool) -> String {
    let or = if is_first { "" } else { "or " };
    format!("{or}{text}")
}

/// Half of what it did, by direction, of what it did at all.
fn rates(case: &Case<'_>, culprit: &Culprit, device: &Device) -> Rates {
    let actors = case.findings.actors.iter();
    let uses: Vec<_> = actors
        .filter(|actor| Some(actor.id) == culprit.actor)
        .flat_map(|actor| &actor.uses)
        .filter(|used| used.device == device.id)
        .collect();
    let half = |op: Op| {
        let bytes = uses.iter().filter(|used| used.op == op);
        let bytes: u128 = bytes.map(|used| u128::from(used.bytes)).sum();
        let window = u128::from(case.findings.window.length_ns);
        let rate = (bytes * 1_000_000_000).checked_div(window * 2)?;
        (rate > 0).then(|| u64::try_from(rate).unwrap_or(u64::MAX).max(SMALLEST))
    };
    Rates {
        read: half(Op::Read),
        write: half(Op::Write),
    }
}

/// systemd keeps the limits of its units itself.
fn unit(process: &Process, device: &Device, rates: &Rates) -> Option<Step> {
    let unit = process.unit.as_deref().and_then(plain::word)?;
    if !unit.ends_with(".service") || process.pod.is_some() {
        return None;
    }
    let name = plain::word(&device.name)?;
    let limit =
        |key: &str, rate: Option<u64>| rate.map(|rate| format!(" '{key}=/dev/{name} {rate}'"));
    let limits: String = [
        limit("IOReadBandwidthMax", rates.read),
        limit("IOWriteBandwidthMax", rates.write),
    ]
    .into_iter()
    .flatten()
    .collect();
    if limits.is_empty() {
        return None;
    }
    Some(
        step::now(format!("limit {unit} to half of what it did on {name}"))
            .command(format!("systemctl set-property --runtime {unit}{limits}"))
            .changes("all processes of the unit read and write no more than that a second, until the next boot")
            .risk(HELD)
            .undo(format!(
                "systemctl set-property --runtime {unit} IOReadBandwidthMax= IOWriteBandwidthMax="
            ))
            .source("systemd.resource-control(5)"),
    )
}

/// The limits of a control group, in the hierarchy that the I/O controller is in.
fn cgroup(process: &Process, device: &Device, rates: &Rates) -> Option<Step> {
    let (first, unified) = place(&process.cgroup)?;
    let number = format!("{}:{}", device.major, device.minor);
    let path = plain::path(&first)?;
    let (folder, write, undo) = if unified {
        let set = |rate: Option<u64>, key: &str| rate.map(|rate| format!(" {key}={rate}"));
        let limits: String = [set(rates.read, "rbps"), set(rates.write, "wbps")]
            .into_iter()
            .flatten()
            .collect();
        if limits.is_empty() {
            return None;
        }
        let folder = format!("/sys/fs/cgroup{path}/io.max");
        (
            folder.clone(),
            format!("echo '{number}{limits}' > {folder}"),
            format!("echo '{number} rbps=max wbps=max' > {folder}"),
        )
    } else {
        let (key, rate) = rates
            .write
            .map(|rate| ("write", rate))
            .or_else(|| rates.read.map(|rate| ("read", rate)))?;
        let folder = format!("/sys/fs/cgroup/blkio{path}/blkio.throttle.{key}_bps_device");
        (
            folder.clone(),
            format!("echo '{number} {rate}' > {folder}"),
            format!("echo '{number} 0' > {folder}"),
        )
    };
    let source = if unified {
        "Documentation/admin-guide/cgroup-v2.rst: io.max"
    } else {
        "Documentation/admin-guide/cgroup-v1/blkio-controller.rst; writes that go through the page cache are not limited there"
    };
    let where_to = if process.pod.is_some() {
        "its container"
    } else {
        "its control group"
    };
    Some(
        step::now(format!("limit {where_to} to half of what it did on {}", device.id))
            .command(write)
            .changes(format!("everything in that group reads and writes no more than that a second, as {folder} says, until the group is gone"))
            .risk(format!("{HELD}; where there is no such file the group has no I/O controller"))
            .undo(undo)
            .source(source),
    )
}

/// Path of the group that limits work on, and whether it is in the unified hierarchy. Of a container, that of its scope.
fn place(lines: &[String]) -> Option<(String, bool)> {
    let parts = |line: &'_ String| {
        let mut parts = line.splitn(3, ':').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?))
    };
    let mut all = lines.iter().filter_map(parts);
    let legacy = all
        .clone()
        .find(|(_, controllers, _)| controllers.split(',').any(|one| one == "blkio"));
    let unified = all.find(|(id, controllers, _)| id == "0" && controllers.is_empty());
    let (path, is_unified) = match (legacy, unified) {
        (Some((_, _, path)), _) => (path, false),
        (None, Some((_, _, path))) => (path, true),
        (None, None) => return None,
    };
    let end = path
        .find(".scope/")
        .map_or(path.len(), |at| at + ".scope".len());
    let path = path[..end].to_owned();
    (path != "/").then_some((path, is_unified))
}

/// Where the scheduler has classes.
fn ionice(process: &Process, device: &Device, is_first: bool) -> Option<Step> {
    let scheduler = device.queue.scheduler.as_deref()?;
    if !["bfq", "mq-deadline"].contains(&scheduler)
        || process.kernel_thread
        || process.exited.is_some()
    {
        return None;
    }
    let text = format!(
        "let others go first: {scheduler} of {} knows classes",
        device.id
    );
    Some(
        step::now(alternative(&text, is_first))
            .command(format!("ionice -c 3 -p {}", process.pid))
            .changes("its reads and direct writes are served when nobody else has any; not what goes through the page cache")
            .risk("it may get nothing at all while others are busy; threads it has already keep their class")
            .undo(format!("ionice -c 0 -p {}", process.pid))
            .source("ionice(1), Documentation/block/ioprio.rst"),
    )
}

/// A replica works for a VM, in a pod that works for all volumes of this node.
fn replica(case: &Case<'_>, volume: Option<&str>, rates: &Rates) -> Vec<Step> {
    let mut steps = vec![
        step::now("limit the VM that writes to that volume; leave the replica's own control group as it is")
            .risk("the replicas of all volumes on this node share one pod, and an engine gives a replica up after 8 s")
            .source("longhorn.io/docs: engine replica timeout"),
    ];
    let vms = case.findings.vms.iter();
    let found = vms.flat_map(|vm| vm.disks.iter().map(move |disk| (vm, disk)));
    let mut found = found.filter(|(_, disk)| volume.is_some() && disk.volume.as_deref() == volume);
    if let Some((vm, disk)) = found.next() {
        steps.extend(iotune(vm, disk.device.as_deref(), rates));
    }
    steps
}

/// libvirt's own limit, in the pod that runs the VM.
fn iotune(vm: &Vm, device: Option<&str>, rates: &Rates) -> Vec<Step> {
    let part = |text: &Option<String>| text.as_deref().and_then(plain::word).map(str::to_owned);
    let pod = vm.pod.as_ref().and_then(|pod| part(&pod.name));
    let disk = vm
        .disks
        .iter()
        .find(|disk| disk.device.as_deref() == device);
    let disk = disk.and_then(|disk| plain::path(&disk.path));
    let (Some(namespace), Some(name), Some(pod), Some(disk)) =
        (part(&vm.namespace), part(&vm.name), pod, disk)
    else {
        return vec![
            step::now("limit that disk in the VM's definition, or with virsh blkdeviotune in its virt-launcher pod")
                .source("virsh(1)"),
        ];
    };
    let rate = rates
        .read
        .unwrap_or(0)
        .saturating_add(rates.write.unwrap_or(0))
        .max(SMALLEST);
    let tune = |rate: u64| {
        format!(
            "kubectl exec -n {namespace} {pod} -c compute -- virsh blkdeviotune {namespace}_{name} {disk} --total-bytes-sec {rate} --live"
        )
    };
    vec![
        step::now(format!("limit the disk of VM {namespace}/{name} to half of what it did"))
            .command(tune(rate))
            .changes("QEMU reads and writes no more than that a second on this disk, until the VM is started anew")
            .risk("the guest's own work gets slower; KubeVirt does not know of it")
            .undo(tune(0))
            .source("virsh(1): blkdeviotune"),
    ]
}
