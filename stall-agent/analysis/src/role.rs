//! What a process is for: by its command line, and by the name of a thread of the kernel.
//!
//! Threads need no rule of their own: whoever asks has the process (`worker` and `IO iothread1` are QEMU's).

use stall_capture::command::{self, Command, Vm};
use stall_capture::{Capture, Pod, Process};
use stall_report::model::{self, Role, RoleKind};

/// Pods of Longhorn are all in this namespace.
const LONGHORN: &str = "longhorn-system";

/// The role of a process; `None` for any other program.
pub(super) fn role(capture: &Capture, process: &Process) -> Option<Role> {
    if process.kernel_thread {
        return Some(of_kernel(capture, process));
    }
    let mut role = Role {
        kind: RoleKind::Vm,
        vm: None,
        volume: None,
        object: None,
    };
    role.kind = match command::read(process)? {
        Command::Vm(vm) => {
            role.vm = vm_label(&vm);
            RoleKind::Vm
        }
        Command::Launcher(vm) => {
            role.vm = vm_label(&vm);
            RoleKind::VmLauncher
        }
        Command::Engine(engine) => {
            role.volume = engine.volume;
            RoleKind::LonghornEngine
        }
        Command::Replica(replica) => {
            role.volume = replica.volume;
            role.object = replica.directory;
            RoleKind::LonghornReplica
        }
        Command::SyncAgent { volume } => {
            role.volume = volume;
            RoleKind::LonghornSyncAgent
        }
        Command::Longhorn => RoleKind::Longhorn,
        Command::Tgtd => RoleKind::Tgtd,
        Command::Spdk => RoleKind::SpdkTarget,
        Command::Iscsi => RoleKind::Iscsi,
        Command::Trim(_) => trim_kind(process),
        Command::Etcd => RoleKind::Etcd,
        Command::Kubernetes => RoleKind::Kubernetes,
        Command::Containerd => RoleKind::Containerd,
        Command::Kubelet => RoleKind::Kubelet,
        Command::Format => RoleKind::Format,
    };
    Some(role)
}

/// `namespace/name`; the bare name of one that Kubernetes did not make.
pub(super) fn vm_label(vm: &Vm) -> Option<String> {
    let name = vm.name.as_ref()?;
    Some(match &vm.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.clone(),
    })
}

/// What people call a process that serves a virtual machine or a volume, several of which share a name.
pub(super) fn label(process: &Process) -> Option<String> {
    let (role, name) = match command::read(process)? {
        Command::Vm(vm) => ("VM", vm_label(&vm)?),
        Command::Engine(engine) => ("Longhorn engine of", engine.volume?),
        Command::Replica(replica) => ("Longhorn replica of", replica.volume?),
        Command::SyncAgent { volume } => ("Longhorn maintenance of", volume?),
        _ => return None,
    };
    Some(format!("{role} {name} (pid {})", process.pid))
}

pub(super) fn pod(pod: &Pod) -> model::Pod {
    model::Pod {
        uid: pod.uid.clone(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        container: pod.container.clone(),
        container_id: pod.container_id.clone(),
        addresses: pod.addresses.clone(),
    }
}

fn trim_kind(process: &Process) -> RoleKind {
    let namespace = process
        .pod
        .as_ref()
        .and_then(|pod| pod.namespace.as_deref());
    if process.unit.as_deref() == Some("fstrim.service") {
        RoleKind::HostTrim
    } else if namespace == Some(LONGHORN) {
        RoleKind::LonghornTrim
    } else {
        RoleKind::Trim
    }
}

fn of_kernel(capture: &Capture, process: &Process) -> Role {
    let name = process.worker.as_deref().unwrap_or(&process.comm);
    let (kind, object) = kernel_kind(name);
    let named = |object: &str| match kind {
        RoleKind::LoopWorker => backing_file(capture, object),
        _ => Some(disk_name(capture, object)),
    };
    Role {
        kind,
        vm: None,
        volume: None,
        object: object.and_then(named),
    }
}

/// By the names the kernel gives its threads and work queues: fs/jbd2/journal.c, fs/xfs/xfs_super.c,
/// fs/btrfs/disk-io.c, fs/ext4/super.c, fs/fs-writeback.c, mm/backing-dev.c, mm/vmscan.c, block/blk-throttle.c,
/// drivers/block/loop.c, drivers/md/{dm-crypt,dm-kcopyd,dm-thin,md,raid1,raid5,raid10}.c, drivers/scsi/libiscsi.c.
fn kernel_kind(name: &str) -> (RoleKind, Option<&str>) {
    let after = |mark: char| name.split_once(mark).map(|(_, object)| object);
    let starts = |beginnings: &[&str]| beginnings.iter().any(|one| name.starts_with(one));
    if starts(&["jbd2/"]) {
        // jbd2/nvme0n1p6-8: the inode of the journal comes last.
        let object = after('/').map(|rest| rest.rsplit_once('-').map_or(rest, |(disk, _)| disk));
        (RoleKind::Journal, object)
    } else if starts(&["xfsaild/", "xfs-cil/", "xfs-log/", "xfs-sync/", "xfs-buf/"]) {
        (RoleKind::Journal, after('/'))
    } else if starts(&["btrfs-transacti"]) {
        (RoleKind::Journal, None)
    } else if starts(&["writeback", "flush-"]) {
        (RoleKind::Writeback, after('-'))
    } else if is_loop(name) {
        (RoleKind::LoopWorker, Some(name))
    } else if starts(&["kcryptd", "dmcrypt_write"]) {
        (RoleKind::CryptWorker, after('/').or_else(|| numbered(name)))
    } else if starts(&["iscsi_"]) {
        (RoleKind::Iscsi, None)
    } else if let Some((kind, array)) = of_array(name) {
        (kind, Some(array))
    } else if name == "ext4lazyinit" {
        (RoleKind::InodeTables, None)
    } else if starts(&["kcopyd"]) {
        (RoleKind::CopyWorker, None)
    } else if starts(&["dm-thin"]) {
        (RoleKind::ThinWorker, None)
    } else if name == "kthrotld" {
        (RoleKind::ThrottleWorker, None)
    } else if starts(&["kswapd"]) {
        (RoleKind::Reclaim, None)
    } else if starts(&["xfs-", "btrfs-"]) {
        // xfs-inodegc/sdb1; btrfs names its by what they do alone.
        (RoleKind::FilesystemWorker, after('/'))
    } else {
        (RoleKind::KernelWorker, None)
    }
}

/// `md0_resync`, which checks and rebuilds as well, `md127_reshape`, `md0_raid1`.
fn of_array(name: &str) -> Option<(RoleKind, &str)> {
    let (array, work) = name.split_once('_')?;
    array.strip_prefix("md")?;
    let kind = match work {
        "resync" | "reshape" => RoleKind::RaidSync,
        _ if work.starts_with("raid") => RoleKind::RaidWorker,
        _ => return None,
    };
    Some((kind, array))
}

/// Kernels from 6.11 on number the work queues: `kcryptd_io-254:1-7` serves `254:1`.
fn numbered(name: &str) -> Option<&str> {
    let (_, rest) = name.split_once('-')?;
    let (device, _) = rest.rsplit_once('-')?;
    Some(device)
}

fn is_loop(name: &str) -> bool {
    let number = name.strip_prefix("loop");
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn backing_file(capture: &Capture, name: &str) -> Option<String> {
    let disk = capture.disks.iter().find(|disk| disk.name == name)?;
    disk.facts.as_ref()?.backing_file.clone()
}

/// `8:48` is told by name where it is known.
fn disk_name(capture: &Capture, object: &str) -> String {
    let by_number = || {
        let (major, minor) = object.split_once(':')?;
        let number = (major.parse().ok()?, minor.parse().ok()?);
        let mut disks = capture.disks.iter();
        disks.find(|disk| (disk.major, disk.minor) == number)
    };
    by_number().map_or_else(|| object.to_owned(), |disk| disk.name.clone())
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::{Builder, disk, process};
    use super::*;

    fn kernel(name: &str) -> (RoleKind, Option<String>) {
        let mut loop3 = disk("loop3");
        loop3.facts.get_or_insert_default().backing_file = Some("/images/a".to_owned());
        let mut sdd = disk("sdd");
        (sdd.major, sdd.minor) = (8, 48);
        let capture = Builder::of_disks(vec![loop3, sdd]).capture();
        let thread = Process {
            kernel_thread: true,
            ..process(9, name)
        };
        let role = role(&capture, &thread).unwrap();
        (role.kind, role.object)
    }

    #[test]
    fn threads_of_the_kernel_are_told_by_their_names() {
        let cases = [
            ("jbd2/nvme0n1p6-8", RoleKind::Journal, Some("nvme0n1p6")),
            ("jbd2/dm-3-8", RoleKind::Journal, Some("dm-3")),
            ("xfsaild/sdb1", RoleKind::Journal, Some("sdb1")),
            ("flush-8:48", RoleKind::Writeback, Some("sdd")),
            ("flush-9:9", RoleKind::Writeback, Some("9:9")),
            ("loop3", RoleKind::LoopWorker, Some("/images/a")),
            ("kcryptd/254:0", RoleKind::CryptWorker, Some("254:0")),
            ("kcryptd-8:48-3", RoleKind::CryptWorker, Some("sdd")),
            ("kcryptd", RoleKind::CryptWorker, None),
            ("iscsi_q_3", RoleKind::Iscsi, None),
            ("ext4lazyinit", RoleKind::InodeTables, None),
            ("md0_resync", RoleKind::RaidSync, Some("md0")),
            ("md127_reshape", RoleKind::RaidSync, Some("md127")),
            ("md0_raid5", RoleKind::RaidWorker, Some("md0")),
            ("md_misc", RoleKind::KernelWorker, None),
            ("kcopyd", RoleKind::CopyWorker, None),
            ("dm-thin", RoleKind::ThinWorker, None),
            ("kthrotld", RoleKind::ThrottleWorker, None),
            ("kswapd0", RoleKind::Reclaim, None),
            ("xfs-inodegc/sdb1", RoleKind::FilesystemWorker, Some("sdb1")),
            ("btrfs-cleaner", RoleKind::FilesystemWorker, None),
            ("ksoftirqd/0", RoleKind::KernelWorker, None),
            ("loopback", RoleKind::KernelWorker, None),
        ];
        for (name, kind, object) in cases {
            assert_eq!(kernel(name), (kind, object.map(str::to_owned)), "{name}");
        }
    }

    #[test]
    fn a_trim_belongs_to_whoever_started_it() {
        let fstrim = process(7, "fstrim");
        assert_eq!(trim_kind(&fstrim), RoleKind::Trim);
        let service = Process {
            unit: Some("fstrim.service".to_owned()),
            ..fstrim.clone()
        };
        assert_eq!(trim_kind(&service), RoleKind::HostTrim);
        let in_pod = Process {
            pod: Some(Pod {
                namespace: Some(LONGHORN.to_owned()),
                ..Pod::default()
            }),
            ..fstrim
        };
        assert_eq!(trim_kind(&in_pod), RoleKind::LonghornTrim);
    }
}
