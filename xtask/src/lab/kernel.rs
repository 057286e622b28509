//! Debian's kernels: which, and where their parts are once unpacked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::apt::Apt;
use crate::setup::say;

/// An architecture, by Debian's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub(crate) const fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The target static programs are built for.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }
}

/// A kernel that can be had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    /// As it is asked for, such as `6.12-arm64`.
    pub(crate) name: &'static str,
    pub(crate) arch: Arch,
    /// Beginnings of its packages' names: the one with the image first.
    packages: &'static [&'static str],
}

const IMAGE_5_10: &[&str] = &["linux-image-5.10.0-"];
const IMAGE_6_1: &[&str] = &["linux-image-6.1.0-"];
const IMAGE_6_12: &[&str] = &["linux-image-6.12."];
const IMAGE_6_18: &[&str] = &["linux-image-6.18."];
/// From 7 on the image, its modules and the rest are packages of their own.
const IMAGE_7: &[&str] = &["linux-binary-7.", "linux-modules-7."];

/// All of them.
pub(crate) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "5.10",
        arch: Arch::Amd64,
        packages: IMAGE_5_10,
    },
    Kernel {
        name: "6.1",
        arch: Arch::Amd64,
        packages: IMAGE_6_1,
    },
    Kernel {
        name: "6.12",
        arch: Arch::Amd64,
        packages: IMAGE_6_12,
    },
    Kernel {
        name: "6.18",
        arch: Arch::Amd64,
        packages: IMAGE_6_18,
    },
    Kernel {
        name: "7",
        arch: Arch::Amd64,
        packages: IMAGE_7,
    },
    Kernel {
        name: "5.10-arm64",
        arch: Arch::Arm64,
        packages: IMAGE_5_10,
    },
    Kernel {
        name: "6.1-arm64",
        arch: Arch::Arm64,
        packages: IMAGE_6_1,
    },
    Kernel {
        name: "6.12-arm64",
        arch: Arch::Arm64,
        packages: IMAGE_6_12,
    },
];

/// How many versions are tried: the newest may be gone from the mirror.
const TRIES: usize = 6;

impl Kernel {
    /// The folder it is unpacked in, downloaded when it is not there.
    pub(crate) fn unpacked(&self, lab: &Path, apt: &mut Option<Apt>) -> Result<PathBuf> {
        let folder = lab.join("kernels").join(self.name);
        if image(&folder).is_some() {
            return Ok(folder);
        }
        if apt.is_none() {
            *apt = Some(Apt::new(lab)?);
        }
        let apt = apt.as_ref().context("apt was just made")?;
        self.download(apt, &folder)?;
        Ok(folder)
    }

    fn download(&self, apt: &Apt, folder: &Path) -> Result<()> {
        let suffix = format!("-{}", self.arch.debian());
        let (first, rest) = self
            .packages
            .split_first()
            .context("a kernel has packages")?;
        for package in apt.named(first, &suffix)?.iter().take(TRIES) {
            say(&format!("downloading {package}"));
            let partial = folder.with_extension("partial");
            let _absent = fs::remove_dir_all(&partial);
            let version = &package[first.len()..];
            let others = rest.iter().map(|beginning| format!("{beginning}{version}"));
            let mut all = std::iter::once(package.clone()).chain(others);
            let qualified = |name: String| format!("{name}:{}", self.arch.debian());
            if all.try_fold(true, |whole, name| {
                Ok::<_, anyhow::Error>(whole && apt.unpack(&qualified(name), &partial)?)
            })? {
                fs::rename(&partial, folder)?;
                return Ok(());
            }
        }
        bail!("no {first}...{suffix} can be downloaded")
    }
}

/// The image in an unpacked kernel.
pub(crate) fn image(folder: &Path) -> Option<PathBuf> {
    let modules = ["lib/modules", "usr/lib/modules"].map(|name| folder.join(name));
    let versions = modules
        .iter()
        .filter_map(|path| fs::read_dir(path).ok())
        .flatten();
    let beside: Vec<PathBuf> = versions
        .flatten()
        .map(|entry| entry.path().join("vmlinuz"))
        .collect();
    let boot = fs::read_dir(folder.join("boot"))
        .into_iter()
        .flatten()
        .flatten();
    let boot = boot.map(|entry| entry.path());
    let mut all = beside.into_iter().chain(boot);
    all.find(|path| {
        path.is_file()
            && path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    })
}

/// Those of some kernels, each once.
pub(crate) fn architectures(kernels: &[Kernel]) -> Vec<Arch> {
    let all = [Arch::Amd64, Arch::Arm64].into_iter();
    all.filter(|arch| kernels.iter().any(|kernel| kernel.arch == *arch))
        .collect()
}
