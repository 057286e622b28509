//! What machines are made of: emulators, kernels, Debian's programs for the guest, and our own static ones.
//!
//! Getting them from the mirror and building are apart: the one needs the network, the other must not fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::disks::Images;
use super::emulators::Emulators;
use crate::build::linker_variable;
use crate::lab::cpio::Archive;
use crate::lab::kernel::{self, Arch, Kernel, architectures};
use crate::lab::userland::Userland;
use crate::lab::{self, modules};
use crate::objcopy::Objcopy;
use crate::process;
use crate::workspace::Workspace;

/// Loaded at once. ext4 loads a checksum by name where the kernel does not say that it needs it.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "nvme",
    "crc32c_generic",
    "crc32c_cryptoapi",
    "libcrc32c",
    "ext4",
    "xfs",
];
/// Loaded when a check wants them, with parameters of its own.
const ON_DEMAND: &[&str] = &[
    "scsi_debug",
    "null_blk",
    "configfs",
    "dm_mod",
    "dm_crypt",
    "aes_generic",
    "ecb",
    "xts",
    "iscsi_tcp",
];

/// What the mirror has, on this machine now.
pub(crate) struct Downloads {
    folder: PathBuf,
    emulators: Emulators,
    /// By kernel, unpacked.
    kernels: BTreeMap<&'static str, PathBuf>,
    userlands: Vec<(Arch, Userland)>,
}

impl Downloads {
    /// Gets what is missing.
    pub(crate) fn get(workspace: &Workspace, kernels: &[Kernel]) -> Result<Self> {
        let folder = lab::folder(workspace)?;
        let emulators = Emulators::get(&folder, kernels)?;
        let mut apt = None;
        let mut unpacked = BTreeMap::new();
        for kernel in kernels {
            unpacked.insert(kernel.name, kernel.unpacked(&folder, &mut apt)?);
        }
        let mut userlands = Vec::new();
        for arch in architectures(kernels) {
            userlands.push((arch, Userland::get(&folder, arch, &mut apt)?));
        }
        Ok(Self {
            folder,
            emulators,
            kernels: unpacked,
            userlands,
        })
    }

    fn userland(&self, arch: Arch) -> Result<&Userland> {
        let found = self.userlands.iter().find(|(other, _)| *other == arch);
        Ok(&found.context("every architecture has a userland")?.1)
    }
}

/// Everything a machine needs.
pub(super) struct Parts {
    /// By kernel.
    pub(super) kernels: BTreeMap<&'static str, Boot>,
    pub(super) folder: PathBuf,
    pub(super) emulators: Emulators,
    pub(super) images: Images,
}

/// What one kernel boots.
pub(super) struct Boot {
    pub(super) image: PathBuf,
    pub(super) initramfs: PathBuf,
}

impl Parts {
    /// Builds what is ours.
    pub(super) fn build(
        workspace: &Workspace,
        kernels: &[Kernel],
        from: Downloads,
    ) -> Result<Self> {
        build(workspace, &architectures(kernels))?;
        let objcopy = Objcopy::find()?;
        let mut boots = BTreeMap::new();
        for arch in architectures(kernels) {
            let ours = Ours::of(workspace, &objcopy, arch)?;
            for kernel in kernels.iter().filter(|kernel| kernel.arch == arch) {
                boots.insert(kernel.name, boot(&from, &ours, kernel)?);
            }
        }
        Ok(Self {
            kernels: boots,
            images: Images::make(&from.folder)?,
            folder: from.folder,
            emulators: from.emulators,
        })
    }
}

/// Static programs for each architecture, all at once: the agent's own code is compiled in one piece, by one CPU.
pub(super) fn build(workspace: &Workspace, architectures: &[Arch]) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["build", "--release", "--locked"]);
    command.args(["--package", "stall-agent", "--bin", "stall-agent"]);
    command.args(["--package", "stall-tests", "--bin", "guest"]);
    for arch in architectures {
        let target = arch.target();
        // Where rustup is there it knows whether it has it; elsewhere the build says what is missing.
        let _no_rustup = process::read(Command::new("rustup").args(["target", "add", target]));
        command.args(["--target", target]);
        command.env(linker_variable(target), "rust-lld");
    }
    process::run(&mut command)
}

/// Our programs for an architecture, without symbols.
struct Ours {
    guest: Vec<u8>,
    agent: Vec<u8>,
}

impl Ours {
    fn of(workspace: &Workspace, objcopy: &Objcopy, arch: Arch) -> Result<Self> {
        let built = workspace.built_for(arch.target());
        Ok(Self {
            guest: objcopy.stripped(&built.join("guest"))?,
            agent: objcopy.stripped(&built.join("stall-agent"))?,
        })
    }
}

fn boot(from: &Downloads, ours: &Ours, kernel: &Kernel) -> Result<Boot> {
    let unpacked = from.kernels.get(kernel.name);
    let unpacked = unpacked.context("every kernel was unpacked")?;
    let image = kernel::image(unpacked).context("the kernel's packages have no image")?;
    let mut archive = Archive::new();
    for folder in [
        "bin", "dev", "etc", "modules", "mnt", "proc", "run", "sys", "tmp", "var",
    ] {
        archive.directory(folder);
    }
    archive.file("/init", &ours.guest);
    archive.file("/stall-agent", &ours.agent);
    for name in ["/bin/fstrim", "/bin/postgres", "/direct-io"] {
        archive.link(name, "/init");
    }
    add_modules(&mut archive, unpacked)?;
    from.userland(kernel.arch)?.add_to(&mut archive)?;
    let initramfs = from.folder.join(format!("{}.cpio", kernel.name));
    fs::write(&initramfs, archive.finish())
        .with_context(|| format!("writing {}", initramfs.display()))?;
    Ok(Boot { image, initramfs })
}

/// Each module once, and lists of those that are loaded together.
fn add_modules(archive: &mut Archive, kernel: &Path) -> Result<()> {
    let mut there = Vec::new();
    let mut add = |list: &str, wanted: &[&str]| -> Result<()> {
        let mut paths = String::new();
        for (name, contents) in modules::in_order(kernel, wanted)? {
            let path = format!("/modules/{name}.ko");
            paths.push_str(&format!("{path}\n"));
            if !there.contains(&path) {
                archive.file(&path, &contents);
                there.push(path);
            }
        }
        archive.file(list, paths.as_bytes());
        Ok(())
    };
    add("/modules.list", MODULES)?;
    for module in ON_DEMAND {
        add(&format!("/modules/{module}.list"), &[module])?;
    }
    Ok(())
}
