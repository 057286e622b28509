//! What a process was started to do, by its command line. Pure: both the readers of the host, which look further
//! at some, and analysis, which names roles, ask here; a command line is foreign text and may be anything.
//!
//! Sources of the forms: `longhorn-manager/engineapi/instance_manager.go`, `longhorn-engine/app/cmd`, `KubeVirt`'s
//! `virtwrap/util/libvirt_helper.go` and `virt-controller/services/template.go`, QEMU's `-name`, fstrim(8).

mod arguments;
mod longhorn;
mod trim;

pub use longhorn::{Engine, Replica};
pub use trim::Trim;

use crate::Process;
use arguments::value_of;
use longhorn::Longhorn;

/// What a program is known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A virtual machine monitor.
    Vm(Vm),
    /// `KubeVirt`'s virt-launcher.
    Launcher(Vm),
    Engine(Engine),
    Replica(Replica),
    /// Rebuilds, purges, backs up: Longhorn's maintenance of one volume.
    SyncAgent {
        volume: Option<String>,
    },
    /// Longhorn's instance manager and other daemons of it.
    Longhorn,
    Tgtd,
    Spdk,
    Iscsi,
    Trim(Trim),
    Etcd,
    /// RKE2 or k3s.
    Kubernetes,
    Containerd,
    Kubelet,
    /// Makes a filesystem, or wipes one.
    Format,
}

/// Which virtual machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vm {
    /// Of Kubernetes; `None` for a name that `KubeVirt` did not make.
    pub namespace: Option<String>,
    pub name: Option<String>,
}

/// Reads a process. Kernel threads have no command.
#[must_use]
pub fn read(process: &Process) -> Option<Command> {
    if process.kernel_thread {
        return None;
    }
    let args = &process.args;
    let program = program(process);
    let command = match program {
        "tgtd" => Command::Tgtd,
        "spdk_tgt" => Command::Spdk,
        "iscsid" | "iscsiadm" | "iscsiuio" => Command::Iscsi,
        "fstrim" => Command::Trim(Trim::read(args)),
        "etcd" => Command::Etcd,
        "kubelet" => Command::Kubelet,
        "longhorn" => match longhorn::read(args)? {
            Longhorn::Engine(engine) => Command::Engine(engine),
            Longhorn::Replica(replica) => Command::Replica(replica),
            Longhorn::SyncAgent { volume } => Command::SyncAgent { volume },
            Longhorn::Other => Command::Longhorn,
        },
        "virt-launcher" | "virt-launcher-monitor" => {
            Command::Launcher(own(launcher(args), process))
        }
        _ if is_emulator(program) => Command::Vm(own(vm(args), process)),
        _ if has_stem(program, &["rke2", "k3s"]) => Command::Kubernetes,
        _ if has_stem(program, &["containerd"]) => Command::Containerd,
        _ if program.starts_with("longhorn-") => Command::Longhorn,
        _ if is_maker(program) => Command::Format,
        _ => return None,
    };
    Some(command)
}

/// Whether a process in a pod says it is the virtual machine of another namespace than the pod's: whoever runs a pod
/// calls its programs as they like, and `KubeVirt` runs a machine in its own namespace.
#[must_use]
pub fn names_foreign_vm(process: &Process) -> bool {
    is_emulator(program(process)) && is_foreign(&vm(&process.args), process)
}

fn own(vm: Vm, process: &Process) -> Vm {
    if is_foreign(&vm, process) {
        Vm::default()
    } else {
        vm
    }
}

fn is_foreign(vm: &Vm, process: &Process) -> bool {
    let pod = process.pod.as_ref().and_then(|pod| pod.namespace.as_ref());
    let said = vm.namespace.as_ref();
    pod.zip(said).is_some_and(|(pod, said)| pod != said)
}

/// Whether a name of at most 15 characters may be that of a program whose command line says more about VMs and
/// volumes: what a first look at all processes goes by.
#[must_use]
pub fn is_worth_reading(comm: &str) -> bool {
    is_emulator(comm)
        || comm.starts_with("longhorn")
        || comm.starts_with("virt-launcher")
        // SPDK calls its threads, the first too, `reactor_<cpu>`.
        || comm.starts_with("reactor_")
        || matches!(comm, "tgtd" | "spdk_tgt" | "fstrim")
}

/// File name of the executable, else of the first argument, else the process's own name.
fn program(process: &Process) -> &str {
    let exe = process.exe.as_deref();
    let exe = exe.map(|exe| exe.trim_end_matches(" (deleted)"));
    let known = [exe, process.args.first().map(String::as_str)];
    let names = known.into_iter().flatten().map(file_name);
    // A program that runs under the name of another (busybox, a loader) is known by what it was called.
    let mut names = names.chain([process.comm.as_str()]);
    let first = names.clone().next().unwrap_or_default();
    names.find(|name| is_known(name)).unwrap_or(first)
}

fn is_known(program: &str) -> bool {
    const NAMES: [&str; 9] = [
        "tgtd",
        "spdk_tgt",
        "iscsid",
        "iscsiadm",
        "fstrim",
        "etcd",
        "kubelet",
        "longhorn",
        "containerd",
    ];
    NAMES.contains(&program)
        || is_emulator(program)
        || is_maker(program)
        || has_stem(
            program,
            &["rke2", "k3s", "virt-launcher", "longhorn", "containerd"],
        )
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// QEMU as Debian, SUSE and upstream `KubeVirt` call it; a `comm` is cut to 15 characters.
fn is_emulator(program: &str) -> bool {
    program.starts_with("qemu-system-")
        || matches!(program, "qemu-kvm" | "cloud-hypervisor" | "firecracker")
}

fn is_maker(program: &str) -> bool {
    program.starts_with("mkfs.")
        || matches!(
            program,
            "mkfs"
                | "mke2fs"
                | "mkswap"
                | "wipefs"
                | "blkdiscard"
                | "mkntfs"
                | "mkdosfs"
                | "pvcreate"
        )
}

/// `rke2` and `rke2-server`, not `rke2x`.
fn has_stem(program: &str, stems: &[&str]) -> bool {
    stems.iter().any(|stem| {
        let rest = program.strip_prefix(stem);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

/// QEMU's `-name [guest=]NAME[,key=value]...`, a comma in the name doubled; `KubeVirt` names guests
/// `<namespace>_<vm>`, and no namespace has an underscore.
fn vm(args: &[String]) -> Vm {
    let guest = value_of(args, &["-name", "--name"]).and_then(guest_name);
    let Some(guest) = guest else {
        return Vm::default();
    };
    match guest.split_once('_') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Vm {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
        },
        _ => Vm {
            namespace: None,
            name: Some(guest),
        },
    }
}

fn guest_name(value: &str) -> Option<String> {
    const COMMA: &str = "\u{0}";
    let value = value.replace(",,", COMMA);
    let mut parts = value.split(',');
    let guest = parts
        .clone()
        .find_map(|part| part.strip_prefix("guest="))
        .or_else(|| parts.next().filter(|first| !first.contains('=')))?;
    (!guest.is_empty()).then(|| guest.replace(COMMA, ","))
}

fn launcher(args: &[String]) -> Vm {
    let value = |name| value_of(args, &[name]).map(str::to_owned);
    Vm {
        namespace: value("--namespace"),
        name: value("--name"),
    }
}

#[cfg(test)]
mod tests;
