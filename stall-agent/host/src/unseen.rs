//! Disks of virtual machines that this host's block layer never sees: devices handed over whole, queues that another process
//! serves, libraries inside QEMU that talk to a server, images on a filesystem that has one, limits inside QEMU.
//!
//! Told by QEMU's command line (qemu(1): `-blockdev`, `-drive`, `-device`, `-chardev`, `-object`) and its open files. libvirt of
//! today sets limits when the machine has started, by a message that no command line shows.

use std::collections::BTreeMap;

use serde_json::Value;

use super::HostRoot;
use super::mounts::Mounts;
use super::{procfs, served};
use stall_capture::{Process, UnseenDisk, UnseenKind, command};

/// libvirt's command lines take some 10 KiB, and one of 100 disks some 60.
const MAX_ARGS: usize = 512 << 10;
/// A monitor has some 100 files open.
const MAX_FILES: usize = 4096;
/// Rows of one virtual machine.
const MOST: usize = 64;
/// Machines looked at.
const MAX_MACHINES: usize = 512;
/// How deep a description of a disk may be: filters on filters on a file.
const MAX_DEPTH: usize = 16;

/// Drivers of QEMU that talk to a server by themselves.
const LIBRARIES: [&str; 14] = [
    "rbd", "nfs", "iscsi", "nbd", "ssh", "curl", "http", "https", "ftp", "ftps", "gluster",
    "sheepdog", "vxhs", "vitastor",
];
/// Drivers that have a device to themselves, past the host's own.
const OWN: [&str; 4] = [
    "nvme",
    "nvme-io_uring",
    "virtio-blk-vfio-pci",
    "io_uring_cmd",
];
/// Drivers whose queues another process serves.
const SERVED: [&str; 3] = [
    "virtio-blk-vhost-user",
    "virtio-blk-vhost-vdpa",
    "vhost-user",
];

/// Of all of the processes that are virtual machines.
pub fn disks<'a>(
    root: &HostRoot,
    processes: impl IntoIterator<Item = &'a Process>,
) -> Vec<UnseenDisk> {
    let machines = processes.into_iter().filter(|process| {
        let command = command::read(process);
        matches!(command, Some(command::Command::Vm(_)))
    });
    let rows = machines
        .take(MAX_MACHINES)
        .flat_map(|machine| of_machine(root, machine.pid));
    rows.collect()
}

fn of_machine(root: &HostRoot, pid: u32) -> Vec<UnseenDisk> {
    let line = root.at_once(format!("proc/{pid}/cmdline"), MAX_ARGS);
    let line = procfs::all_arguments(&line.unwrap_or_default());
    let mut found = Found::default();
    found.read(root, &line);
    found.open_files(root, pid);
    let mut rows = found.rows;
    rows.dedup();
    rows.truncate(MOST);
    let rows = rows.into_iter();
    rows.map(|(kind, what)| UnseenDisk { pid, kind, what })
        .collect()
}

#[derive(Default)]
struct Found {
    rows: Vec<(UnseenKind, String)>,
}

impl Found {
    fn add(&mut self, kind: UnseenKind, what: String) {
        if !self.rows.contains(&(kind, what.clone())) {
            self.rows.push((kind, what));
        }
    }

    fn read(&mut self, root: &HostRoot, args: &[String]) {
        let options = || {
            let pairs = args.iter().zip(args.iter().skip(1));
            pairs.filter_map(|(name, value)| {
                let name = name.strip_prefix('-')?;
                Some((
                    name.strip_prefix('-').unwrap_or(name),
                    Description::read(value),
                ))
            })
        };
        let sockets: BTreeMap<String, String> = options()
            .filter(|(name, _)| *name == "chardev")
            .filter_map(|(_, it)| Some((it.text("id")?, it.text("path")?)))
            .collect();
        for (name, description) in options() {
            match name {
                "device" => self.device(root, &description, &sockets),
                "blockdev" | "drive" => self.disk(&description),
                "object" => self.group(&description),
                _ => {}
            }
        }
    }

    fn device(
        &mut self,
        root: &HostRoot,
        device: &Description,
        sockets: &BTreeMap<String, String>,
    ) {
        let driver = device.text("driver").unwrap_or_default();
        if driver == "vfio-pci" {
            if let Some(address) = device.text("host")
                && may_be_a_disk(root, &address)
            {
                self.add(UnseenKind::Vfio, address);
            }
        } else if driver.starts_with("vhost-user-blk") || driver.starts_with("vhost-user-scsi") {
            let chardev = device.text("chardev").unwrap_or_default();
            let socket = sockets.get(&chardev).cloned();
            self.add(UnseenKind::VhostUser, socket.unwrap_or(chardev));
        }
    }

    fn disk(&mut self, disk: &Description) {
        for driver in disk.drivers() {
            let kind = if LIBRARIES.contains(&driver.as_str()) {
                UnseenKind::Library
            } else if OWN.contains(&driver.as_str()) {
                UnseenKind::Vfio
            } else if SERVED.contains(&driver.as_str()) {
                UnseenKind::VhostUser
            } else if driver == "throttle" {
                let group = disk.text("throttle-group").unwrap_or_default();
                self.add(UnseenKind::Throttled, format!("throttle group {group}"));
                continue;
            } else {
                continue;
            };
            let image = disk.image();
            self.add(
                kind,
                format!("{driver}{}{image}", if image.is_empty() { "" } else { ":" }),
            );
        }
        if let Some(file) = disk.text("file").filter(|file| is_url(file)) {
            self.add(UnseenKind::Library, file);
        }
        let limits = disk.limits();
        if !limits.is_empty() {
            self.add(UnseenKind::Throttled, limits.join(","));
        }
    }

    fn group(&mut self, object: &Description) {
        let is_group = ["qom-type", "driver"]
            .iter()
            .any(|key| object.text(key).as_deref() == Some("throttle-group"));
        let limits = object.limits();
        if is_group && !limits.is_empty() {
            let id = object.text("id").unwrap_or_default();
            self.add(
                UnseenKind::Throttled,
                format!("throttle group {id}: {}", limits.join(",")),
            );
        }
    }

    /// Neither the files nor their servers are touched: `fdinfo` names the mount.
    fn open_files(&mut self, root: &HostRoot, pid: u32) {
        let mounts = Mounts::of_process(root, pid);
        for name in root.names(format!("proc/{pid}/fd")).iter().take(MAX_FILES) {
            let path = root.link(format!("proc/{pid}/fd/{name}"));
            let Some(path) = path.filter(|path| path.starts_with('/')) else {
                continue;
            };
            if let Some(group) = path.strip_prefix("/dev/vfio/")
                && group != "vfio"
                && !self.rows.iter().any(|(kind, _)| *kind == UnseenKind::Vfio)
                && devices_of(root, group)
                    .iter()
                    .any(|address| may_be_a_disk(root, address))
            {
                self.add(UnseenKind::Vfio, path);
                continue;
            }
            let mount = mount_of(root, pid, name).and_then(|id| {
                let mut entries = mounts.entries().iter();
                entries.find(|entry| entry.id == id)
            });
            if let Some(entry) = mount
                && served::is_served(&entry.mount.filesystem)
            {
                let source = &entry.mount.source;
                self.add(UnseenKind::ServedFile, format!("{path} ({source})"));
            }
        }
    }
}

/// `mnt_id` of an open file that is no directory.
fn mount_of(root: &HostRoot, pid: u32, descriptor: &str) -> Option<u64> {
    const DIRECTORY: u64 = 0o200_000;
    let text = root.text(format!("proc/{pid}/fdinfo/{descriptor}"), 4096)?;
    let value = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(key)).map(str::trim)
    };
    let flags = u64::from_str_radix(value("flags:")?, 8).ok()?;
    let id = value("mnt_id:")?.parse().ok()?;
    (flags & DIRECTORY == 0).then_some(id)
}

/// Class 01 is mass storage; what cannot be told may be one.
fn may_be_a_disk(root: &HostRoot, address: &str) -> bool {
    let is_plain = !address.contains('/') && !address.contains("..");
    let class =
        is_plain.then(|| root.value(format!("sys/bus/pci/devices/{}/class", full(address))));
    class
        .flatten()
        .is_none_or(|class| class.starts_with("0x01"))
}

/// `01:00.0` is in the first domain.
fn full(address: &str) -> String {
    if address.matches(':').count() == 1 {
        format!("0000:{address}")
    } else {
        address.to_owned()
    }
}

/// PCI addresses of an IOMMU group.
fn devices_of(root: &HostRoot, group: &str) -> Vec<String> {
    if group.parse::<u32>().is_err() {
        return Vec::new();
    }
    root.names(format!("sys/kernel/iommu_groups/{group}/devices"))
}

/// `rbd:pool/image`, `nbd://host/export`, `iscsi://...`
fn is_url(file: &str) -> bool {
    let scheme = file.split(':').next().unwrap_or_default();
    let scheme = scheme.split('+').next().unwrap_or_default();
    file.contains(':') && LIBRARIES.contains(&scheme)
}

/// What one option describes: JSON, or `key=value` pairs.
enum Description {
    Json(Value),
    Pairs(Vec<(String, String)>),
}

impl Description {
    fn read(text: &str) -> Self {
        let json = text.strip_prefix("json:").unwrap_or(text);
        if json.trim_start().starts_with('{')
            && let Ok(value) = serde_json::from_str(json)
        {
            return Self::Json(value);
        }
        // A comma in a value is doubled.
        const COMMA: &str = "\u{0}";
        let text = text.replace(",,", COMMA);
        let parts = text.split(',').enumerate().map(|(number, part)| {
            let part = part.replace(COMMA, ",");
            match part.split_once('=') {
                Some((key, value)) => (key.to_owned(), value.to_owned()),
                // `-device vfio-pci,host=...`, `-object throttle-group,id=...`
                None if number == 0 => ("driver".to_owned(), part),
                None => (part, String::new()),
            }
        });
        let pairs: Vec<(String, String)> = parts.collect();
        // `-drive file=json:{...}` is cut at its commas: it is JSON all the same.
        let inner = text.replace(COMMA, ",");
        if let Some(at) = inner.find("file=json:")
            && let Some(end) = inner.rfind('}')
            && let Some(json) = inner.get(at + "file=json:".len()..=end)
            && let Ok(value) = serde_json::from_str(json)
        {
            return Self::Json(value);
        }
        Self::Pairs(pairs)
    }

    /// The value of a key, of the outermost that has it.
    fn text(&self, key: &str) -> Option<String> {
        match self {
            Self::Json(value) => find(value, key, 0),
            Self::Pairs(pairs) => {
                let value = pairs.iter().find(|(name, _)| name == key);
                value.map(|(_, value)| value.clone())
            }
        }
    }

    /// All drivers that it names, those inside of others too.
    fn drivers(&self) -> Vec<String> {
        match self {
            Self::Json(value) => {
                let mut drivers = Vec::new();
                collect(value, "driver", 0, &mut drivers);
                drivers
            }
            Self::Pairs(pairs) => {
                let drivers = pairs
                    .iter()
                    .filter(|(name, _)| name == "driver" || name.ends_with(".driver"));
                drivers.map(|(_, value)| value.clone()).collect()
            }
        }
    }

    /// What a library opens.
    fn image(&self) -> String {
        let of_pairs = |key: &str| match self {
            Self::Json(_) => None,
            Self::Pairs(pairs) => {
                let end = format!(".{key}");
                let value = pairs.iter().find(|(name, _)| name.ends_with(&end));
                value.map(|(_, value)| value.clone())
            }
        };
        let value = |key: &str| self.text(key).or_else(|| of_pairs(key));
        let image = [["pool", "image"], ["host", "export"], ["portal", "target"]]
            .iter()
            .find_map(|[of, name]| Some(format!("{}/{}", value(of)?, value(name)?)));
        image
            .or_else(|| {
                ["image", "export", "target", "path", "url", "device"]
                    .iter()
                    .find_map(|key| value(key))
            })
            .unwrap_or_default()
    }

    /// Limits that are set: `throttling.iops-total=5`, `bps=1000`, `x-iops-total=5`, or those of a throttle group.
    fn limits(&self) -> Vec<String> {
        match self {
            Self::Json(value) => {
                let limits = value.get("limits").and_then(Value::as_object);
                let limits = limits.into_iter().flatten();
                let set = limits.filter(|(_, value)| value.as_u64().is_some_and(|value| value > 0));
                set.map(|(key, value)| format!("{key}={value}")).collect()
            }
            Self::Pairs(pairs) => {
                let set = pairs.iter().filter(|(key, value)| {
                    is_limit(key) && value.parse::<f64>().is_ok_and(|value| value > 0.0)
                });
                set.map(|(key, value)| format!("{key}={value}")).collect()
            }
        }
    }
}

fn is_limit(key: &str) -> bool {
    let plain = key
        .strip_prefix("throttling.")
        .or_else(|| key.strip_prefix("x-"));
    let plain = plain.or_else(|| key.strip_prefix("limits.")).unwrap_or(key);
    ["bps", "iops"].iter().any(|kind| {
        let rest = plain.strip_prefix(kind);
        rest.is_some_and(|rest| matches!(rest, "" | "-total" | "-read" | "-write" | "_rd" | "_wr"))
    })
}

fn find(value: &Value, key: &str, depth: usize) -> Option<String> {
    if let Some(found) = value.get(key) {
        match found {
            Value::String(text) => return Some(text.clone()),
            Value::Number(number) => return Some(number.to_string()),
            _ => {}
        }
    }
    let inner = value.as_object().filter(|_| depth < MAX_DEPTH)?;
    inner.values().find_map(|value| find(value, key, depth + 1))
}

fn collect(value: &Value, key: &str, depth: usize, to: &mut Vec<String>) {
    let Some(object) = value.as_object().filter(|_| depth < MAX_DEPTH) else {
        return;
    };
    if let Some(text) = object.get(key).and_then(Value::as_str) {
        to.push(text.to_owned());
    }
    for value in object.values() {
        collect(value, key, depth + 1, to);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn machine(fixture: &Fixture, args: &[&str]) -> Vec<(UnseenKind, String)> {
        let line: String = args.iter().map(|arg| format!("{arg}\0")).collect();
        fixture.file("proc/7/cmdline", line);
        let vm = Process {
            pid: 7,
            comm: "qemu-system-x86".to_owned(),
            args: vec!["/usr/bin/qemu-system-x86_64".to_owned()],
            ..Process::default()
        };
        let other = Process {
            pid: 8,
            comm: "bash".to_owned(),
            ..Process::default()
        };
        let rows = disks(&fixture.root(), [&vm, &other]);
        assert!(rows.iter().all(|row| row.pid == 7));
        rows.into_iter().map(|row| (row.kind, row.what)).collect()
    }

    fn told(args: &[&str]) -> Vec<(UnseenKind, String)> {
        machine(&Fixture::new(), args)
    }

    fn row(kind: UnseenKind, what: &str) -> (UnseenKind, String) {
        (kind, what.to_owned())
    }

    #[test]
    fn disks_of_the_host_are_none() {
        let args = [
            "qemu-system-x86_64",
            "-name",
            "guest=ns_vm",
            "-blockdev",
            r#"{"driver":"host_device","filename":"/dev/vol-0","aio":"native","node-name":"s1"}"#,
            "-drive",
            "file=/img/a.qcow2,format=qcow2,if=virtio,bps=0",
            "-device",
            "virtio-blk-pci,drive=s1",
        ];
        assert!(told(&args).is_empty());
    }

    #[test]
    fn devices_handed_over_are_told_if_they_may_be_disks() {
        let fixture = Fixture::new();
        fixture
            .file("sys/bus/pci/devices/0000:01:00.0/class", "0x010802\n")
            .file("sys/bus/pci/devices/0000:02:00.0/class", "0x030000\n");
        let args = [
            "qemu-system-x86_64",
            "-device",
            r#"{"driver":"vfio-pci","host":"0000:01:00.0","id":"ua-nvme"}"#,
            "-device",
            "vfio-pci,host=02:00.0,id=gpu",
            "-device",
            "vfio-pci,host=03:00.0",
        ];
        assert_eq!(
            machine(&fixture, &args),
            [
                row(UnseenKind::Vfio, "0000:01:00.0"),
                row(UnseenKind::Vfio, "03:00.0")
            ]
        );
    }

    #[test]
    fn queues_that_another_process_serves_are_told_by_their_socket() {
        let args = [
            "qemu-system-x86_64",
            "-chardev",
            "socket,id=spdk0,path=/var/tmp/vhost.0",
            "-device",
            "vhost-user-blk-pci,chardev=spdk0,num-queues=4",
        ];
        assert_eq!(
            told(&args),
            [row(UnseenKind::VhostUser, "/var/tmp/vhost.0")]
        );
    }

    #[test]
    fn libraries_are_told_with_what_they_open() {
        let args = [
            "qemu-system-x86_64",
            "-blockdev",
            r#"{"driver":"raw","node-name":"f","file":{"driver":"rbd","pool":"vms","image":"disk-1"}}"#,
            "-drive",
            "file=nbd+unix:///export?socket=/tmp/s,format=raw",
            "-drive",
            "file.driver=iscsi,file.portal=10.0.0.1,file.target=iqn.x,format=raw",
            "-drive",
            r#"file=json:{"driver":"raw",,"file":{"driver":"nfs",,"path":"/export/a"}},if=none"#,
        ];
        assert_eq!(
            told(&args),
            [
                row(UnseenKind::Library, "rbd:vms/disk-1"),
                row(UnseenKind::Library, "nbd+unix:///export?socket=/tmp/s"),
                row(UnseenKind::Library, "iscsi:10.0.0.1/iqn.x"),
                row(UnseenKind::Library, "nfs:/export/a"),
            ]
        );
    }

    #[test]
    fn limits_inside_of_qemu_are_told() {
        let args = [
            "qemu-system-x86_64",
            "-drive",
            "file=/a.img,throttling.iops-total=5,throttling.bps-read=0,bps_wr=1000",
            "-object",
            r#"{"qom-type":"throttle-group","id":"g","limits":{"iops-total":7,"bps-total":0}}"#,
            "-object",
            "throttle-group,id=h,x-iops-total=9",
        ];
        assert_eq!(
            told(&args),
            [
                row(UnseenKind::Throttled, "throttling.iops-total=5,bps_wr=1000"),
                row(UnseenKind::Throttled, "throttle group g: iops-total=7"),
                row(UnseenKind::Throttled, "throttle group h: x-iops-total=9"),
            ]
        );
    }

    #[test]
    fn images_on_a_servers_filesystem_are_told_with_the_server() {
        let fixture = Fixture::new();
        let table = "31 1 8:1 / / rw - ext4 /dev/sda1 rw\n32 31 0:50 / /images rw - nfs4 10.0.0.5:/vms rw\n";
        fixture
            .file("proc/7/mountinfo", table)
            .link("proc/7/fd/3", "/images/a.qcow2")
            .file("proc/7/fdinfo/3", "pos:\t0\nflags:\t0100002\nmnt_id:\t32\n")
            .link("proc/7/fd/4", "/images")
            .file("proc/7/fdinfo/4", "pos:\t0\nflags:\t0300000\nmnt_id:\t32\n")
            .link("proc/7/fd/5", "/var/b.img")
            .file("proc/7/fdinfo/5", "pos:\t0\nflags:\t0100002\nmnt_id:\t31\n")
            .link("proc/7/fd/6", "socket:[1]")
            .link("proc/7/fd/7", "/dev/vfio/14");
        assert_eq!(
            machine(&fixture, &["qemu-system-x86_64"]),
            [row(
                UnseenKind::ServedFile,
                "/images/a.qcow2 (10.0.0.5:/vms)"
            )]
        );
        fixture
            .directory("sys/kernel/iommu_groups/14/devices/0000:01:00.0")
            .file("sys/bus/pci/devices/0000:01:00.0/class", "0x010802\n");
        let rows = machine(&fixture, &["qemu-system-x86_64"]);
        assert!(rows.contains(&row(UnseenKind::Vfio, "/dev/vfio/14")));
    }

    #[test]
    fn foreign_text_is_only_that() {
        let deep = "{\"file\":".repeat(200) + "1" + &"}".repeat(200);
        let args = [
            "qemu-system-x86_64",
            "-drive",
            "",
            "-blockdev",
            "{",
            "-device",
            &deep,
            "-drive",
        ];
        assert!(told(&args).is_empty());
    }
}
