//! Advice on a Harvester host: the measurements of a staged incident, with the names of a tree.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use libtest_mimic::Failed;
use stall_agent::analysis::analyze;
use stall_agent::capture::Capture;
use stall_agent::host::HostRoot;
use stall_agent::report::Report;
use stall_agent::report::model::Kind;

use super::report::{actors, capture};
use super::tree::Tree;

type Check = fn() -> Result<(), Failed>;

pub(crate) const CHECKS: [(&str, Check); 6] = [
    ("the_timers_trim_is_stopped_and_kept_away", timers_trim),
    ("a_guests_trim_is_stopped_in_the_guest", guests_trim),
    ("a_unit_that_is_heavy_is_limited_by_systemd", heavy_unit),
    ("a_vm_that_is_heavy_is_limited_by_libvirt", heavy_vm),
    ("a_replica_is_limited_through_its_vm", heavy_replica),
    ("remote_replicas_are_looked_for", remote_replicas),
];

/// `incident`, on `device` of the tree, done by its process `pid` instead of the program called `program`.
fn staged(tree: &str, incident: &str, device: &str, who: Option<(&str, u32)>) -> Report {
    let tree = Tree::unpack(tree);
    let root = HostRoot::new(tree.root());
    let names = capture(&root, actors(&root));
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
    let file = File::open(path.join(format!("{incident}.json"))).expect("it is kept");
    let mut told = Capture::read(file).expect("it is a capture");
    let disk = names.disks.iter().find(|disk| disk.name == device);
    let disk = disk.expect("the tree has that disk").clone();
    let traced = told.disks.iter_mut().find(|disk| disk.index.is_some());
    let traced = traced.expect("a disk was traced");
    traced.name = disk.name;
    (traced.major, traced.minor) = (disk.major, disk.minor);
    traced.facts = disk.facts;
    if let Some(facts) = &mut traced.facts {
        // The incidents were staged without platters, where 35 ms would be no news.
        facts.rotational = Some(false);
    }
    let others = names.disks.into_iter().filter(|disk| disk.name != device);
    told.disks.extend(others);
    if let Some((program, pid)) = who {
        let mut known = names
            .actors
            .iter()
            .filter_map(|actor| actor.process.as_ref());
        let new = known.find(|process| process.pid == pid);
        let new = new.expect("the tree has that process");
        let of_actors = told
            .actors
            .iter_mut()
            .filter_map(|actor| actor.process.as_mut());
        let of_tasks = told.tasks.iter_mut();
        let of_tasks = of_tasks.map(|task| Arc::make_mut(&mut task.process));
        for old in of_actors.chain(of_tasks).filter(|old| old.comm == program) {
            old.clone_from(new);
        }
    }
    told.inventory = names.inventory;
    let of_actors = told
        .actors
        .iter_mut()
        .filter_map(|actor| actor.process.as_mut());
    for process in of_actors.chain(&mut told.inventory.processes) {
        for disk in &mut process.open_disks {
            disk.path = tree.as_on_the_host(&disk.path);
        }
    }
    told.host.os = Some("Harvester v1.7.0".to_owned());
    analyze(&told)
}

fn must(report: &Report, kind: Kind, commands: &[&str], never: &[&str]) -> Result<(), Failed> {
    let advice = report.verdict.advice.iter();
    let all: Vec<_> = advice.filter_map(|one| one.command.as_deref()).collect();
    let has = |part: &&&str| all.iter().any(|command| command.contains(**part));
    let lacks: Vec<_> = commands.iter().filter(|part| !has(part)).collect();
    let bad: Vec<_> = never.iter().filter(|part| has(part)).collect();
    if report.verdict.kind == kind && lacks.is_empty() && bad.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{:?}, lacks {lacks:?}, must not have {bad:?}: {all:#?}",
        report.verdict.kind
    )
    .into())
}

fn timers_trim() -> Result<(), Failed> {
    let report = staged("unified", "trim", "nvme0n1", Some(("fstrim", 5000)));
    must(
        &report,
        Kind::HostTrim,
        &[
            "systemctl stop fstrim.service",
            "/sys/block/nvme0n1/queue/discard_max_bytes",
            "systemctl mask --now fstrim.timer fstrim.service",
            "RandomizedDelaySec=12h",
            "grep -l fstrim /oem/*.yaml",
            "'    - systemctl: {mask: [fstrim.timer]}' > /oem/99_fstrim.yaml",
            "'kind: CloudInit'",
            "GiB --length 10GiB /var/lib/harvester/defaultdisk",
        ],
        &["kill "],
    )
}

fn guests_trim() -> Result<(), Failed> {
    let who = Some(("qemu-system-x86", 4200));
    let report = staged("unified", "guest_trims_own_volume", "sdd", who);
    let never = ["discard_max_bytes", "provisioning_mode", "kill "];
    let expected = [
        "virtctl console --namespace default kube-master-01",
        "systemctl stop fstrim.timer fstrim.service",
        "systemctl disable --now fstrim.timer",
    ];
    must(&report, Kind::GuestTrim, &expected, &never)
}

fn heavy_unit() -> Result<(), Failed> {
    let report = staged(
        "unified",
        "queue_of_a_neighbour",
        "sda",
        Some(("bulk", 1500)),
    );
    let expected = [
        "systemctl set-property --runtime rke2-server.service 'IO",
        "BandwidthMax=/dev/sda ",
        "ionice -c 3 -p 1500",
    ];
    must(&report, Kind::NoisyNeighbor, &expected, &["io.max"])
}

fn heavy_vm() -> Result<(), Failed> {
    let report = staged(
        "unified",
        "queue_of_a_neighbour",
        "sdd",
        Some(("bulk", 4200)),
    );
    let group = "kubepods-pod5d2b6a7f_1c1e_4b8a_9a77_0f3a1b5299aa.slice/cri-containerd-\
                 1f2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b.scope/io.max";
    let expected = [
        "kubectl exec -n default virt-launcher-kube-master-01-x7k2p -c compute -- virsh blkdeviotune \
         default_kube-master-01 /dev/disk-0 --total-bytes-sec ",
        "echo '8:48 ",
        group,
    ];
    must(&report, Kind::NoisyNeighbor, &expected, &["set-property"])?;
    let report = staged(
        "hybrid",
        "queue_of_a_neighbour",
        "sdd",
        Some(("bulk", 4200)),
    );
    let expected = ["/sys/fs/cgroup/blkio/kubepods", "blkio.throttle."];
    must(&report, Kind::NoisyNeighbor, &expected, &["io.max"])
}

fn heavy_replica() -> Result<(), Failed> {
    let report = staged(
        "unified",
        "queue_of_a_neighbour",
        "nvme0n1",
        Some(("bulk", 3400)),
    );
    let expected = ["virsh blkdeviotune default_kube-master-01 /dev/disk-0"];
    must(
        &report,
        Kind::NoisyNeighbor,
        &expected,
        &["io.max", "ionice", "set-property"],
    )
}

fn remote_replicas() -> Result<(), Failed> {
    let report = staged("remote", "slow_disk", "sdd", None);
    let expected = [
        "--selector longhornvolume=pvc-7a5a1b52-99aa-4c1d-8c1e-5d2b6a7f9e10",
        "sleep $(( 60 - $(date +%s) % 60 )); stall-agent trace --duration 60s",
        "ss --tcp --info dst 10.52.1.44",
        "ss --tcp --info dst 10.52.2.58",
    ];
    must(
        &report,
        Kind::UpstreamStorage,
        &expected,
        &["discard_max_bytes"],
    )?;
    let report = staged("unified", "slow_disk", "nvme0n1", None);
    let expected = [
        "smartctl -x /dev/nvme0n1",
        "nvme smart-log /dev/nvme0",
        "nvme error-log /dev/nvme0 --log-entries=64",
        "grep -iE 'nvme0n1|",
    ];
    must(&report, Kind::SlowDevice, &expected, &[])?;
    let report = staged("unified", "slow_disk", "sda", None);
    must(
        &report,
        Kind::SlowDevice,
        &["smartctl -x /dev/sda"],
        &["nvme "],
    )
}
