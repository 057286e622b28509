//! Foreign text, mutated from what hosts really have: no parser panics, and none gives more than it was given.
//!
//! Command lines, mount tables, control groups, `volume.meta`, and the names of directories of pods' logs; the last two
//! are read from files, as on a host.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use stall_agent::capture::{Pod, Process};
use stall_agent::command::{self, Command, Vm};
use stall_agent::host::container::{self, Place};
use stall_agent::host::mounts::Mounts;
use stall_agent::host::pods::Pods;
use stall_agent::host::{HostRoot, cgroup, longhorn};

const UID: &str = "0f3a1b52-99aa-4c1d-8c1e-5d2b6a7f9e10";
const ID: &str = "5f2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b";

const COMMANDS: [&str; 8] = [
    "/usr/bin/qemu-system-x86_64\0-name\0guest=default_kube-master-01,debug-threads=on\0-S",
    "qemu-kvm\0-name\0guest=a,,b_c,process=x",
    "/usr/bin/virt-launcher\0--name\0vm1\0--uid\x003\0--namespace=prod",
    "longhorn\0--engine-instance-name\0pvc-1-e-0\0controller\0pvc-1\0--replica\0tcp://10.52.0.9:10000\0--replica=tcp://[fd00::1]:1",
    "/host/bin/longhorn\0--volume-name\0pvc-1\0replica\0/host/var/lib/harvester/defaultdisk/replicas/pvc-1-0a1b2c3d\0--size\x001",
    "longhorn\0--volume-name\0pvc-1\0sync-agent\0--replica-instance-name\0pvc-1-r-2",
    "/sbin/fstrim\0--listed-in\0/etc/fstab:/proc/self/mountinfo\0-o1G\0--length=2G\0-v\0/data",
    "fstrim\0-Av\0--\0-m",
];
const MOUNTS: [&str; 3] = [
    "60 40 259:6 / /var/lib/harvester/defaultdisk rw,relatime shared:31 master:2 - ext4 /dev/nvme0n1p6 rw,stripe=32\n",
    "62 27 259:6 /replicas /mnt/a\\040b\\134c\\377 rw,noatime - ext4 /dev/nvme0n1p6 rw\n27 1 7:0 / / ro - ext2 /dev/loop0 ro\n",
    "63 27 0:50 /sub /data rw shared:1 - btrfs /dev/vdb1 rw,discard=async\n",
];
const CGROUPS: [&str; 4] = [
    "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f3a1b52_99aa_4c1d_8c1e_5d2b6a7f9e10.slice/cri-containerd-5f2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b.scope\n",
    "12:memory:/kubepods/pod0f3a1b52-99aa-4c1d-8c1e-5d2b6a7f9e10/5f2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b\n1:name=systemd:/\n0::/system.slice/rke2-server.service\n",
    "0::/user.slice/user-1000.slice/user@1000.service/app.slice/tmux.service\n",
    "0::/../../system.slice/a:b\\x2dc.service/x\n",
];
const METAS: [&str; 2] = [
    r#"{"Size":42949672960,"Head":"volume-head-001.img","Dirty":true,"Rebuilding":false,"Error":"","Parent":""}"#,
    r#"{"Size":-1,"Dirty":1,"Rebuilding":"x","Error":"failed \u001b[2J","Size":18446744073709551616}"#,
];
const NAMES: [&str; 2] = ["vm-1", "virt-launcher-x7k2p"];
const LOGS: [&str; 3] = [
    "default_virt-launcher-kube-master-01-x7k2p_0f3a1b52-99aa-4c1d-8c1e-5d2b6a7f9e10",
    "kube-system_etcd-ampere-01_0f3a1b52-99aa-4c1d-8c1e-5d2b6a7f9e10",
    "a_b_0f3a1b52-99aa-4c1d-8c1e-5d2b6a7f9e10",
];
const LINKS: [&str; 2] = [
    "virt-launcher-x7k2p_default_compute-5f2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b.log",
    "a_b_c-5f2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b.log",
];

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    /// A part, so many times more.
    Repeat(Index, Index, u16),
    Truncate(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![any::<u8>(), select(b"\0\n\\/:_-,= .\x1b\"{[\xff".to_vec())];
    prop_oneof![
        (any::<Index>(), byte).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 0..16))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        any::<(Index, Index)>().prop_map(|(from, to)| Change::Remove(from, to)),
        (any::<(Index, Index)>(), 0u16..512)
            .prop_map(|((from, to), times)| Change::Repeat(from, to, times)),
        any::<Index>().prop_map(Change::Truncate),
    ]
}

fn mutated(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    (select(samples), prop::collection::vec(change(), 0..6)).prop_map(|(sample, changes)| {
        let mut text = sample.as_bytes().to_vec();
        for change in changes {
            apply(&mut text, change);
            text.truncate(256 << 10);
        }
        text
    })
}

fn apply(text: &mut Vec<u8>, change: Change) {
    let at = |index: Index| index.index(text.len() + 1);
    let range = |from, to| at(from).min(at(to))..at(from).max(at(to));
    match change {
        Change::Set(index, byte) => {
            let at = at(index);
            if let Some(old) = text.get_mut(at) {
                *old = byte;
            }
        }
        Change::Insert(index, bytes) => {
            let at = at(index);
            text.splice(at..at, bytes);
        }
        Change::Remove(from, to) => drop(text.drain(range(from, to))),
        Change::Repeat(from, to, times) => {
            let range = range(from, to);
            let part = text[range.clone()].repeat(usize::from(times));
            text.splice(range.end..range.end, part);
        }
        Change::Truncate(index) => {
            let at = at(index);
            text.truncate(at);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Bytes of all that a command says.
fn said(command: Command) -> usize {
    let of_vm = |vm: Vm| [vm.namespace, vm.name].into_iter().flatten().collect();
    let words: Vec<String> = match command {
        Command::Vm(vm) | Command::Launcher(vm) => of_vm(vm),
        Command::Engine(engine) => engine.replicas.into_iter().chain(engine.volume).collect(),
        Command::Replica(replica) => [replica.volume, replica.directory]
            .into_iter()
            .flatten()
            .collect(),
        Command::SyncAgent { volume } => volume.into_iter().collect(),
        Command::Trim(trim) => {
            let values = [trim.offset, trim.length, trim.minimum]
                .into_iter()
                .flatten();
            values
                .chain(trim.listed_in)
                .chain(trim.mount_points)
                .collect()
        }
        _ => Vec::new(),
    };
    words.iter().map(String::len).sum()
}

/// RFC 1123.
fn is_name(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(plain)
}

fn names_that_are_none(pod: Pod) -> Vec<String> {
    assert_eq!(pod.uid.as_deref(), Some(UID), "what was asked for");
    let names = [pod.namespace, pod.name, pod.container];
    names
        .into_iter()
        .flatten()
        .filter(|name| !is_name(name))
        .collect()
}

/// A file of this name, where a name can be one; whatever it holds, it is foreign too.
fn put(root: &Path, directory: &str, name: &[u8], content: &[u8]) {
    let at = root.join(directory);
    fs::create_dir_all(&at).expect("there is room");
    let odd = |byte: &u8| matches!(byte, 0 | b'/');
    if !name.iter().any(odd) {
        // Too long a name, or none, is no file's.
        let _ = fs::write(at.join(OsStr::from_bytes(name)), content);
    }
}

fn pod(root: &Path) -> Pod {
    let place = Place {
        pod_uid: Some(UID.to_owned()),
        container_id: Some(ID.to_owned()),
    };
    Pods::new(HostRoot::new(root))
        .pod(&place)
        .expect("a place in a pod has one")
}

proptest! {
    #[test]
    fn a_command_line_says_no_more_than_it_has(line in mutated(&COMMANDS)) {
        let args: Vec<String> = line.split(|byte| *byte == 0).map(text).collect();
        let length: usize = args.iter().map(String::len).sum();
        let process = Process { args, ..Process::default() };
        // A replica's directory names its volume as well.
        prop_assert!(command::read(&process).map_or(0, said) <= 2 * length);
        let _ = command::names_foreign_vm(&process);
    }

    #[test]
    fn a_mount_table_has_no_more_than_its_lines(table in mutated(&MOUNTS)) {
        let table = text(&table);
        let mounts = Mounts::parse(&table);
        prop_assert!(mounts.entries().len() <= table.lines().count());
        let said: usize = mounts.entries().iter().map(|entry| {
            let mount = &entry.mount;
            let fields = [&mount.mount_point, &mount.root, &mount.filesystem, &mount.source, &mount.options];
            fields.iter().map(|field| field.len()).sum::<usize>() + mount.super_options.len()
        }).sum();
        prop_assert!(said <= table.len());
        prop_assert!(mounts.of(259, 6).len() <= 64);
        let _ = mounts.device_of("/var/lib/harvester/defaultdisk/x");
    }

    #[test]
    fn a_control_group_names_parts_of_its_path(lines in mutated(&CGROUPS)) {
        let all = text(&lines);
        let lines: Vec<&str> = all.lines().collect();
        if let Some(unit) = cgroup::unit(&lines) {
            prop_assert!(all.contains(&unit) && !unit.contains('/'));
        }
        let place = container::place(&lines);
        let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        prop_assert!(place.pod_uid.is_none_or(|uid| uid.len() <= 36 && hex(&uid)));
        prop_assert!(place.container_id.is_none_or(|id| id.len() == 64 && hex(&id)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_volumes_meta_says_little(meta in mutated(&METAS)) {
        let root = tempfile::tempdir().expect("there is room");
        put(root.path(), "replica", b"volume.meta", &meta);
        let found = longhorn::directory(&HostRoot::new(root.path()), &Mounts::default(), "/replica");
        let error = found.meta.and_then(|meta| meta.error);
        prop_assert!(error.is_none_or(|error| error.chars().count() <= 256));
    }

    #[test]
    fn a_pod_has_a_name_that_kubernetes_gives_or_none(logs in mutated(&LOGS), link in mutated(&LINKS)) {
        let root = tempfile::tempdir().expect("there is room");
        put(root.path(), "var/log/pods", &logs, b"");
        put(root.path(), "var/log/containers", &link, b"");
        prop_assert_eq!(names_that_are_none(pod(root.path())), [""; 0]);
    }

    #[test]
    fn a_containers_configuration_names_it_as_kubernetes_would(name in mutated(&NAMES)) {
        let root = tempfile::tempdir().expect("there is room");
        put(root.path(), &task(), b"config.json", config(&text(&name)).as_bytes());
        prop_assert_eq!(names_that_are_none(pod(root.path())), [""; 0]);
    }
}

/// Where containerd keeps what a container was made with.
fn task() -> String {
    format!("run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}")
}

fn config(name: &str) -> String {
    let annotations = ["sandbox-name", "sandbox-namespace", "container-name"]
        .map(|key| (format!("io.kubernetes.cri.{key}"), name.into()));
    let annotations = serde_json::Map::from_iter(annotations);
    serde_json::json!({ "annotations": annotations }).to_string()
}

/// Without any change, each of the samples is what it looks like: the mutations start from something.
#[test]
fn the_samples_are_understood() {
    for line in COMMANDS {
        let args = line.split('\0').map(str::to_owned).collect();
        let process = Process {
            args,
            ..Process::default()
        };
        let command = command::read(&process).expect(line);
        assert!(said(command) > 0, "{line}");
    }
    let task = task();
    let logs = LOGS.map(|name| ("var/log/pods", name, String::new()));
    let links = LINKS.map(|name| ("var/log/containers", name, String::new()));
    let configs = NAMES.map(|name| (task.as_str(), "config.json", config(name)));
    for (directory, name, content) in logs.into_iter().chain(links).chain(configs) {
        let root = tempfile::tempdir().expect("there is room");
        put(root.path(), directory, name.as_bytes(), content.as_bytes());
        assert!(pod(root.path()).name.is_some(), "{name}");
    }
}
