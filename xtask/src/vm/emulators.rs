//! The programs that make a machine: QEMU, and what serves its disks; the machine's own, or unpacked in the lab.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::lab::apt::Apt;
use crate::lab::kernel::{Arch, Kernel, architectures};
use crate::process;
use crate::setup;

/// Where the emulators are.
pub(super) struct Emulators {
    /// What the machine does not have, unpacked.
    root: PathBuf,
}

/// Of a disk, the outermost first: it stands still when it is told to, does one thing at a time, and discards slowly.
const FILTERS: [&str; 3] = ["pause", "noparallel", "delay"];

impl Emulators {
    /// Downloads those that this machine does not have.
    pub(super) fn get(lab: &Path, kernels: &[Kernel]) -> Result<Self> {
        let root = lab.join("programs");
        let wanted = architectures(kernels).into_iter().map(emulator);
        for (program, package) in wanted.chain([DISK_SERVER]) {
            let places = ["usr/bin", "usr/sbin"].map(|folder| root.join(folder).join(program));
            if process::find(program).is_none() && !places.iter().any(|path| path.exists()) {
                setup::say(&format!("downloading {package}"));
                Apt::unpack_program(package, lab, &root)?;
            }
        }
        Ok(Self { root })
    }

    /// The emulator of an architecture.
    pub(super) fn command(&self, arch: Arch) -> Command {
        let (program, _) = emulator(arch);
        let path = self.root.join("usr/bin").join(program);
        if !path.exists() {
            return Command::new(program);
        }
        let mut command = self.unpacked(&path);
        for data in ["qemu", "seabios"] {
            command
                .arg("-L")
                .arg(self.root.join("usr/share").join(data));
        }
        // What the machine has already is not unpacked a second time.
        command.args(["-L", "/usr/share/qemu", "-L", "/usr/share/seabios"]);
        command
    }

    /// What serves a disk, with the filters that make it slow.
    pub(super) fn disk_server(&self) -> Command {
        let (program, _) = DISK_SERVER;
        let path = self.root.join("usr/bin").join(program);
        let mut command = Command::new(program);
        let mut filters = FILTERS.map(str::to_owned);
        if path.exists() {
            command = self.unpacked(&path);
            let folder = self.root.join("usr/lib/x86_64-linux-gnu/nbdkit/filters");
            filters = filters.map(|name| {
                let file = format!("nbdkit-{name}-filter.so");
                folder.join(file).display().to_string()
            });
        }
        command.args(["--foreground", "--exit-with-parent"]);
        command.args(filters.map(|filter| format!("--filter={filter}")));
        command
    }

    /// The plugin of a disk server: a file.
    pub(super) fn file_plugin(&self) -> String {
        let path = self
            .root
            .join("usr/lib/x86_64-linux-gnu/nbdkit/plugins/nbdkit-file-plugin.so");
        if path.exists() {
            path.display().to_string()
        } else {
            "file".to_owned()
        }
    }

    fn unpacked(&self, path: &Path) -> Command {
        let mut command = Command::new(path);
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
        let libraries = libraries.map(|folder| self.root.join(folder).display().to_string());
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        command
    }
}

/// Program and package of what serves disks.
const DISK_SERVER: (&str, &str) = ("nbdkit", "nbdkit");

const fn emulator(arch: Arch) -> (&'static str, &'static str) {
    match arch {
        Arch::Amd64 => ("qemu-system-x86_64", "qemu-system-x86"),
        Arch::Arm64 => ("qemu-system-aarch64", "qemu-system-arm"),
    }
}
