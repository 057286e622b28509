//! bpf-linker, built from source into `.toolchain/` for the LLVM of one compiler.
//!
//! It is linked with that compiler's own `libLLVM`, so LLVM's development files (400 MB) are not needed, and is not optimized: what
//! takes time in it is LLVM.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::pins;
use super::say::say;
use crate::process;
use crate::workspace::{self, Workspace};

/// The directory of the one built before, when it runs.
pub(super) fn find(workspace: &Workspace, llvm: u32) -> Option<PathBuf> {
    let dir = root(workspace, llvm).join("bin");
    runs(&dir).then_some(dir)
}

/// The directory of whichever is on `PATH`; its LLVM is for a proof to find out.
pub(super) fn on_path() -> Option<PathBuf> {
    process::find("bpf-linker")?.parent().map(Path::to_path_buf)
}

fn runs(dir: &Path) -> bool {
    let version = process::read(Command::new(dir.join("bpf-linker")).arg("--version"));
    version.is_some_and(|version| version == pins::linker_name())
}

fn root(workspace: &Workspace, llvm: u32) -> PathBuf {
    workspace
        .toolchain_dir()
        .join(format!("bpf-linker-{}-llvm-{llvm}", pins::BPF_LINKER))
}

/// Builds and installs it for the LLVM of `rustc`, unless that is done.
pub(super) fn install(workspace: &Workspace, rustc: &Path, llvm: u32) -> Result<()> {
    if find(workspace, llvm).is_some() {
        return Ok(());
    }
    let library = library(rustc, llvm).with_context(|| {
        format!(
            "{} comes without libLLVM.so of LLVM {llvm}",
            rustc.display()
        )
    })?;
    say(&format!(
        "building {} for {}",
        pins::linker_name(),
        library.display()
    ));
    let root = root(workspace, llvm);
    let prefix = prefix(&root, &library)?;
    let scratch = workspace.toolchain_dir().join("build");
    process::run(&mut cargo_install(&root, &scratch, &prefix, llvm))?;
    fs::remove_dir_all(&scratch).with_context(|| format!("{} stays behind", scratch.display()))
}

/// The LLVM that a compiler is linked with: beside it, as in rustup's toolchains, or where the system has it.
fn library(rustc: &Path, llvm: u32) -> Option<PathBuf> {
    let libraries = process::read(Command::new("ldd").arg(rustc))?;
    let library = loaded(&libraries, &format!("libLLVM.so.{llvm}."))?;
    fs::canonicalize(library).ok()
}

/// Where `ldd` says that a library whose name begins so is.
fn loaded<'a>(ldd: &'a str, name: &str) -> Option<&'a str> {
    let line = ldd.lines().find(|line| line.trim().starts_with(name))?;
    line.split_once("=> ")?.1.split(' ').next()
}

/// A folder in which the library has the name by which it is linked, and the one by which it is loaded.
fn prefix(root: &Path, library: &Path) -> Result<PathBuf> {
    let prefix = root.join("llvm");
    let folder = prefix.join("lib");
    let name = library.file_name().context("a library has a name")?;
    let _absent = fs::remove_dir_all(&prefix);
    let linked = fs::create_dir_all(&folder)
        .and_then(|()| symlink(library, folder.join("libLLVM.so")))
        .and_then(|()| symlink(library, folder.join(name)));
    linked.with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(prefix)
}

fn cargo_install(root: &Path, scratch: &Path, prefix: &Path, llvm: u32) -> Command {
    let mut command = workspace::host_cargo();
    command.args(["install", "bpf-linker", "--locked", "--force", "--debug"]);
    command.args(["--version", pins::BPF_LINKER, "--no-default-features"]);
    command.args(["--features", &format!("llvm-{llvm}")]);
    command.arg("--root").arg(root);
    command.arg("--target-dir").arg(scratch);
    command.env("LLVM_PREFIX", prefix);
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_a_library_is_loaded_from() {
        let ldd = "\tlinux-vdso.so.1 (0x1)\n\tlibLLVM.so.22.1 => /lib/libLLVM.so.22.1 (0x2)\n";
        assert_eq!(loaded(ldd, "libLLVM.so.22."), Some("/lib/libLLVM.so.22.1"));
        assert_eq!(loaded(ldd, "libLLVM.so.23."), None);
    }
}
