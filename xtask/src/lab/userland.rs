//! Programs of Debian's for a guest: an iSCSI target and initiator, and the device mapper's, with their libraries.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::apt::Apt;
use super::cpio::Archive;
use super::kernel::Arch;
use crate::setup::say;

/// All of one suite, so that they fit each other.
const SUITE: &str = "bookworm";
/// What [`PROGRAMS`] need, down to libc.
const PACKAGES: &[&str] = &[
    "dmsetup",
    "libaio1",
    "libc6",
    "libcap2",
    "libdevmapper1.02.1",
    "libgcrypt20",
    "libgpg-error0",
    "libibverbs1",
    "libkmod2",
    "liblz4-1",
    "liblzma5",
    "libnl-3-200",
    "libnl-route-3-200",
    "libopeniscsiusr",
    "libpcre2-8-0",
    "librdmacm1",
    "libselinux1",
    "libssl3",
    "libsystemd0",
    "libudev1",
    "libzstd1",
    "open-iscsi",
    "tgt",
];
const PROGRAMS: &[&str] = &[
    "sbin/dmsetup",
    "sbin/iscsistart",
    "usr/sbin/tgtadm",
    "usr/sbin/tgtd",
];

/// Unpacked packages of one architecture.
pub(crate) struct Userland {
    root: PathBuf,
    arch: Arch,
}

impl Userland {
    /// Downloaded when it is not there.
    pub(crate) fn get(lab: &Path, arch: Arch, apt: &mut Option<Apt>) -> Result<Self> {
        let root = lab.join("userland").join(arch.debian());
        if !root.exists() {
            if apt.is_none() {
                *apt = Some(Apt::new(lab)?);
            }
            let apt = apt.as_ref().context("apt was just made")?;
            say(&format!(
                "downloading an iSCSI target and initiator for {}",
                arch.debian()
            ));
            let partial = root.with_extension("partial");
            let _absent = fs::remove_dir_all(&partial);
            let packages = PACKAGES
                .iter()
                .map(|name| format!("{name}:{}", arch.debian()));
            let there = apt.unpack_from(SUITE, &packages.collect::<Vec<_>>(), &partial)?;
            ensure!(
                there,
                "the mirror does not have all of {}",
                PACKAGES.join(", ")
            );
            fs::rename(&partial, &root)?;
        }
        Ok(Self { root, arch })
    }

    /// The programs, and all libraries: which are needed the loader finds out.
    pub(crate) fn add_to(&self, archive: &mut Archive) -> Result<()> {
        for folder in ["lib", "lib64", "sbin", "usr", "usr/lib", "usr/sbin"] {
            archive.directory(folder);
        }
        for program in PROGRAMS {
            archive.file_from(program, &self.root.join(program))?;
        }
        let triple = match self.arch {
            Arch::Amd64 => "x86_64-linux-gnu",
            Arch::Arm64 => "aarch64-linux-gnu",
        };
        for folder in [format!("lib/{triple}"), format!("usr/lib/{triple}")] {
            archive.directory(&folder);
            self.add_libraries(archive, &folder)?;
        }
        // The loader stands here by name.
        ["lib", "lib64"]
            .iter()
            .filter(|folder| self.root.join(folder).exists())
            .try_for_each(|folder| self.add_libraries(archive, folder))
    }

    /// Those right in a folder.
    fn add_libraries(&self, archive: &mut Archive, folder: &str) -> Result<()> {
        let path = self.root.join(folder);
        let listing = fs::read_dir(&path).with_context(|| format!("listing {}", path.display()))?;
        for entry in listing {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            let inside = format!("{folder}/{name}");
            if kind.is_symlink() {
                let target = fs::read_link(entry.path())?;
                archive.link(&inside, target.to_str().context("a path that is text")?);
            } else if kind.is_file() && name.contains(".so") {
                archive.file_from(&inside, &entry.path())?;
            }
        }
        Ok(())
    }
}
