//! The rustup way: a nightly with `rust-src`, and a bpf-linker of the LLVM it uses.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{linker, pins};
use crate::process;
use crate::toolchain::{self, Toolchain};
use crate::workspace::Workspace;

/// Every pair of a fitting nightly and a linker that may be of its LLVM.
pub(super) fn find(workspace: &Workspace) -> Vec<Toolchain> {
    nightlies()
        .iter()
        .flat_map(|nightly| nightly.toolchains(workspace))
        .collect()
}

/// Builds the linker for the first nightly that fits.
pub(super) fn install(workspace: &Workspace) -> Result<Option<Toolchain>> {
    let nightlies = nightlies();
    let known = |nightly: &&Nightly| pins::LLVM_KNOWN_TO_LINKER.contains(&nightly.llvm);
    let Some(nightly) = nightlies.iter().find(known) else {
        return Ok(None);
    };
    linker::install(workspace, &nightly.bin.join("rustc"), nightly.llvm)?;
    let dir =
        linker::find(workspace, nightly.llvm).context("bpf-linker is built, and does not run")?;
    Ok(Some(nightly.toolchain(dir)))
}

struct Nightly {
    bin: PathBuf,
    version: String,
    llvm: u32,
}

impl Nightly {
    fn toolchains(&self, workspace: &Workspace) -> Vec<Toolchain> {
        let own = linker::find(workspace, self.llvm);
        own.into_iter()
            .chain(linker::on_path())
            .map(|dir| self.toolchain(dir))
            .collect()
    }

    fn toolchain(&self, linker_dir: PathBuf) -> Toolchain {
        Toolchain {
            cargo: self.bin.join("cargo"),
            rustc: self.bin.join("rustc"),
            version: self.version.clone(),
            clippy_driver: Some(self.bin.join("clippy-driver")).filter(|path| path.exists()),
            build_std: true,
            linker_dir,
        }
    }
}

fn nightlies() -> Vec<Nightly> {
    let list =
        process::read(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| name.contains("nightly"))
        .filter_map(nightly)
        .collect()
}

/// That toolchain, if it has the sources of `core`.
fn nightly(name: &str) -> Option<Nightly> {
    let rustc =
        process::read(Command::new("rustup").args(["which", "--toolchain", name, "rustc"]))?;
    let bin = Path::new(&rustc).parent()?.to_path_buf();
    let sources = bin.parent()?.join("lib/rustlib/src/rust/library/core");
    let (version, llvm) = toolchain::identify(Path::new(&rustc))?;
    sources.is_dir().then_some(Nightly { bin, version, llvm })
}
