//! Command lines as the programs of a Harvester host have them, and ones that mean harm.

use proptest::prelude::*;

use super::*;

fn process(line: &str) -> Process {
    of(&line.split(' ').collect::<Vec<_>>())
}

fn of(args: &[&str]) -> Process {
    Process {
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        ..Process::default()
    }
}

fn vm_of(args: &[&str]) -> Vm {
    match read(&of(args)) {
        Some(Command::Vm(vm)) => vm,
        other => panic!("{other:?}"),
    }
}

fn name(namespace: Option<&str>, name: &str) -> Vm {
    Vm {
        namespace: namespace.map(str::to_owned),
        name: Some(name.to_owned()),
    }
}

#[test]
fn qemu_names_its_guest() {
    let kubevirt = name(Some("default"), "kube-master-01");
    for program in [
        "/usr/bin/qemu-system-x86_64",
        "/usr/bin/qemu-system-aarch64",
        "/usr/libexec/qemu-kvm",
    ] {
        let vm = vm_of(&[
            program,
            "-name",
            "guest=default_kube-master-01,debug-threads=on",
            "-S",
        ]);
        assert_eq!(vm, kubevirt);
    }
    assert_eq!(
        vm_of(&["qemu-kvm", "-name", "default_kube-master-01"]),
        kubevirt
    );
    assert_eq!(
        vm_of(&["qemu-kvm", "-name", "guest=a_b_c"]),
        name(Some("a"), "b_c")
    );
    assert_eq!(
        vm_of(&["qemu-kvm", "-name", "guest=x,,y,process=p"]),
        name(None, "x,y")
    );
    assert_eq!(vm_of(&["qemu-kvm", "-name", "guest=_x"]), name(None, "_x"));
    assert_eq!(vm_of(&["qemu-kvm", "-name"]), Vm::default());
    assert_eq!(vm_of(&["qemu-kvm", "-name", "guest="]), Vm::default());
}

#[test]
fn a_program_is_known_by_its_file_when_its_arguments_are_gone() {
    let renamed = Process {
        comm: "CPU 0/KVM".to_owned(),
        exe: Some("/usr/bin/qemu-system-x86_64 (deleted)".to_owned()),
        ..Process::default()
    };
    assert_eq!(read(&renamed), Some(Command::Vm(Vm::default())));
}

#[test]
fn a_pod_cannot_say_it_is_a_machine_of_another_namespace() {
    let in_pod = |namespace: &str| Process {
        pod: Some(crate::Pod {
            namespace: Some(namespace.to_owned()),
            ..crate::Pod::default()
        }),
        ..of(&["qemu-kvm", "-name", "guest=prod_db"])
    };
    assert_eq!(
        read(&in_pod("prod")),
        Some(Command::Vm(name(Some("prod"), "db")))
    );
    assert!(!names_foreign_vm(&in_pod("prod")));
    assert_eq!(read(&in_pod("ci")), Some(Command::Vm(Vm::default())));
    assert!(names_foreign_vm(&in_pod("ci")));
}

#[test]
fn spdk_is_found_by_the_name_it_gives_its_first_thread() {
    assert!(is_worth_reading("reactor_0"));
    let target = Process {
        comm: "reactor_0".to_owned(),
        exe: Some("/usr/local/bin/spdk_tgt".to_owned()),
        ..of(&["spdk_tgt", "-m", "0x1"])
    };
    assert_eq!(read(&target), Some(Command::Spdk));
}

#[test]
fn a_launcher_names_its_vm() {
    let launcher =
        process("/usr/bin/virt-launcher --qemu-timeout 331s --name vm1 --uid 3 --namespace prod");
    assert_eq!(
        read(&launcher),
        Some(Command::Launcher(name(Some("prod"), "vm1")))
    );
}

#[test]
fn an_engine_names_its_volume_and_its_replicas() {
    let lines = [
        "/engine-binaries/rancher-longhorn-engine-v1.8.1/longhorn --engine-instance-name pvc-7a5a-e-0 controller pvc-7a5a --frontend tgt-blockdev --size 10 --replica tcp://10.52.0.9:10000 --replica tcp://10.52.1.7:10010",
        "longhorn controller pvc-7a5a --replica=tcp://10.52.0.9:10000 --replica=tcp://10.52.1.7:10010",
        "longhorn --engine-instance-name pvc-7a5a-e-0 controller --replica tcp://10.52.0.9:10000 --replica tcp://10.52.1.7:10010",
    ];
    for line in lines {
        let Some(Command::Engine(engine)) = read(&process(line)) else {
            panic!("{line}");
        };
        assert_eq!(engine.volume.as_deref(), Some("pvc-7a5a"), "{line}");
        assert_eq!(
            engine.replicas,
            ["tcp://10.52.0.9:10000", "tcp://10.52.1.7:10010"]
        );
    }
}

#[test]
fn a_replica_names_its_volume_and_its_directory_on_the_host() {
    let directory = "/var/lib/harvester/defaultdisk/replicas/pvc-7a5a-0123abcd";
    let binary = "/host/var/lib/longhorn/engine-binaries/x/longhorn";
    let lines = [
        format!(
            "{binary} --volume-name pvc-7a5a replica /host{directory} --size 10 --replica-instance-name pvc-7a5a-r-1 --sync-agent-port-count 7"
        ),
        format!("{binary} replica /host{directory} --size 10"),
        format!("{binary} --volume-name pvc-7a5a replica {directory}"),
    ];
    for line in lines {
        let Some(Command::Replica(replica)) = read(&process(&line)) else {
            panic!("{line}");
        };
        assert_eq!(replica.volume.as_deref(), Some("pvc-7a5a"), "{line}");
        assert_eq!(replica.directory.as_deref(), Some(directory), "{line}");
    }
}

#[test]
fn a_sync_agent_is_maintenance() {
    let line = "longhorn --volume-name pvc-1 sync-agent --listen 0.0.0.0:10002 --replica 10.0.0.1:10000 --replica-instance-name pvc-1-r-2";
    let volume = Some("pvc-1".to_owned());
    assert_eq!(read(&process(line)), Some(Command::SyncAgent { volume }));
}

#[test]
fn a_volume_called_like_a_subcommand_is_a_volume() {
    let line = "longhorn --volume-name controller replica /host/d/replicas/controller-0123abcd";
    let Some(Command::Replica(replica)) = read(&process(line)) else {
        panic!();
    };
    assert_eq!(replica.volume.as_deref(), Some("controller"));
}

#[test]
fn a_trim_tells_what_it_was_asked() {
    let service = Trim::read(&process("/sbin/fstrim --listed-in /etc/fstab:/proc/self/mountinfo --verbose --quiet-unsupported").args);
    assert_eq!(service.listed_in, ["/etc/fstab", "/proc/self/mountinfo"]);
    assert!(service.mount_points.is_empty());
    let old = Trim::read(&process("fstrim -Av").args);
    assert!(old.fstab && !old.all);
    let piece = Trim::read(&process("fstrim -v -o1G --length=2G -m 64M /data").args);
    assert_eq!(piece.offset.as_deref(), Some("1G"));
    assert_eq!(piece.length.as_deref(), Some("2G"));
    assert_eq!(piece.minimum.as_deref(), Some("64M"));
    assert_eq!(piece.mount_points, ["/data"]);
    assert_eq!(
        Trim::read(&process("fstrim -- -odd").args).mount_points,
        ["-odd"]
    );
}

#[test]
fn other_programs_are_told_by_their_names() {
    let cases = [
        ("/usr/sbin/tgtd -f", Command::Tgtd),
        ("/sbin/iscsid", Command::Iscsi),
        ("etcd --config-file=/x", Command::Etcd),
        ("/opt/rke2/bin/rke2 server", Command::Kubernetes),
        ("k3s-server", Command::Kubernetes),
        ("containerd-shim-runc-v2 -id 1", Command::Containerd),
        ("kubelet --v=2", Command::Kubelet),
        ("longhorn-instance-manager daemon", Command::Longhorn),
        ("mkfs.ext4 /dev/sdb", Command::Format),
        ("spdk_tgt -m 1", Command::Spdk),
    ];
    for (line, command) in cases {
        assert_eq!(read(&process(line)), Some(command), "{line}");
    }
    for line in ["etcdctl get x", "bash -c fstrim", "rke2x", "kvmtool", ""] {
        assert_eq!(read(&process(line)), None, "{line}");
    }
}

#[test]
fn a_hostile_name_is_kept_as_data() {
    let evil = "guest=a\"b\n\u{1b}[2J_c\u{202e}\u{fffd},x=1";
    assert_eq!(
        vm_of(&["qemu-kvm", "-name", evil]).name.as_deref(),
        Some("c\u{202e}\u{fffd}")
    );
}

proptest! {
    #[test]
    fn any_command_line_is_read(
        program in "(/[a-z]{1,5}){0,2}/?(longhorn|fstrim|qemu-kvm|virt-launcher|.{0,8})",
        args in prop::collection::vec("(-{0,2}(name|listed-in|replica|volume-name|o|-)=?|controller|replica|sync-agent|guest=|,,|.{0,12})", 0..12),
    ) {
        let mut all = vec![program];
        all.extend(args);
        let _ = read(&Process { args: all, ..Process::default() });
    }
}
