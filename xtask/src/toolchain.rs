//! The compiler and linker of the BPF side, and `.toolchain/bpf`, which tells the build of them.
//!
//! The file is `KEY=VALUE` lines; `stall-agent/programs/build.rs` reads it. It is written only once these
//! very tools have built a BPF program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

pub(crate) const TARGET: &str = "bpfel-unknown-none";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// What `rustc` calls itself; another version has to prove itself again.
    pub(crate) version: String,
    pub(crate) clippy_driver: Option<PathBuf>,
    /// Whether `core` is built from source, there being no built one.
    pub(crate) build_std: bool,
    pub(crate) linker_dir: PathBuf,
}

impl Toolchain {
    pub(crate) fn file(toolchain_dir: &Path) -> PathBuf {
        toolchain_dir.join("bpf")
    }

    /// The one written before, whether or not it is still there.
    pub(crate) fn read(toolchain_dir: &Path) -> Option<Self> {
        parse(&fs::read_to_string(Self::file(toolchain_dir)).ok()?)
    }

    /// Replaces the file in one step.
    pub(crate) fn write(&self, toolchain_dir: &Path) -> Result<()> {
        let file = Self::file(toolchain_dir);
        let new = file.with_extension("new");
        fs::write(&new, self.text())
            .with_context(|| format!("{} cannot be written", new.display()))?;
        fs::rename(&new, &file).with_context(|| format!("{} cannot be written", file.display()))
    }

    fn text(&self) -> String {
        let mut text = format!(
            "CARGO={}\nRUSTC={}\n",
            self.cargo.display(),
            self.rustc.display()
        );
        if let Some(driver) = &self.clippy_driver {
            text += &format!("CLIPPY_DRIVER={}\n", driver.display());
        }
        text += &format!("BUILD_STD={}\n", u8::from(self.build_std));
        text += &format!(
            "LINKER_DIR={}\nVERSION={}\n",
            self.linker_dir.display(),
            self.version
        );
        text
    }

    /// `program` with this compiler, and nothing of the host's.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for name in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "LD_LIBRARY_PATH",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ] {
            command.env_remove(name);
        }
        command
            .env("CARGO", &self.cargo)
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_WORKSPACE_WRAPPER", "")
            .env(
                "CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER",
                self.linker_dir.join("bpf-linker"),
            );
        command
    }

    /// The options that make cargo build for BPF.
    pub(crate) fn options(&self) -> Vec<&'static str> {
        let build_std = self.build_std.then_some("-Zbuild-std=core");
        ["--release", "--target", TARGET]
            .into_iter()
            .chain(build_std)
            .collect()
    }
}

/// The first line and the LLVM major of `rustc -vV`.
pub(crate) fn identify(rustc: &Path) -> Option<(String, u32)> {
    let text = process::read(Command::new(rustc).arg("-vV").env_remove("LD_LIBRARY_PATH"))?;
    Some((text.lines().next()?.to_owned(), llvm_major(&text)?))
}

fn llvm_major(text: &str) -> Option<u32> {
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

fn parse(text: &str) -> Option<Toolchain> {
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(str::to_owned)
    };
    Some(Toolchain {
        cargo: value("CARGO")?.into(),
        rustc: value("RUSTC")?.into(),
        version: value("VERSION")?,
        clippy_driver: value("CLIPPY_DRIVER").map(PathBuf::from),
        build_std: value("BUILD_STD")? == "1",
        linker_dir: value("LINKER_DIR")?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(clippy_driver: Option<&str>) -> Toolchain {
        Toolchain {
            cargo: "/usr/bin/cargo".into(),
            rustc: "/usr/bin/rustc".into(),
            version: "rustc 1.96.0 (ac68faa20 2026-05-25)".into(),
            clippy_driver: clippy_driver.map(PathBuf::from),
            build_std: clippy_driver.is_none(),
            linker_dir: "/a path/bin".into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for driver in [None, Some("/usr/bin/clippy-driver")] {
            let toolchain = toolchain(driver);
            assert_eq!(parse(&toolchain.text()), Some(toolchain));
        }
    }

    #[test]
    fn a_file_cut_short_is_no_toolchain() {
        let text = toolchain(None).text();
        assert_eq!(parse(&text[..text.len() / 2]), None);
    }

    #[test]
    fn reads_the_llvm_major() {
        assert_eq!(llvm_major("rustc 1.96.0\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.96.0\n"), None);
    }
}
