//! bpf-linker, built from source for one LLVM into `.toolchain/`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{apt, pins, say};
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

/// Builds and installs it, unless that is done.
pub(super) fn install(workspace: &Workspace, llvm: u32) -> Result<()> {
    if find(workspace, llvm).is_some() {
        return Ok(());
    }
    let prefix = llvm_prefix(llvm)?;
    say(&format!(
        "building {} for LLVM {llvm} (a minute or two)",
        pins::linker_name()
    ));
    let scratch = workspace.toolchain_dir().join("build");
    process::run(&mut cargo_install(
        &root(workspace, llvm),
        &scratch,
        &prefix,
        llvm,
    )?)?;
    fs::remove_dir_all(&scratch).with_context(|| format!("{} stays behind", scratch.display()))
}

/// Debian's development files of that LLVM, installed where they are missing.
fn llvm_prefix(llvm: u32) -> Result<PathBuf> {
    let packages = pins::linker_packages(llvm);
    let packages = packages.each_ref().map(String::as_str);
    if apt::usable() {
        apt::install(&packages)?;
    }
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    if !prefix.join("bin/llvm-config").exists() {
        bail!(
            "building bpf-linker needs the Debian packages {}",
            packages.join(" ")
        );
    }
    Ok(prefix)
}

fn cargo_install(root: &Path, scratch: &Path, prefix: &Path, llvm: u32) -> Result<Command> {
    let mut command = workspace::host_cargo();
    command
        .args([
            "install",
            "bpf-linker",
            "--locked",
            "--version",
            pins::BPF_LINKER,
            "--force",
        ])
        .args([
            "--no-default-features",
            "--features",
            &format!("llvm-{llvm}"),
        ])
        .arg("--root")
        .arg(root)
        .arg("--target-dir")
        .arg(scratch)
        .env("PATH", path_with(&prefix.join("bin"))?)
        .env("LLVM_PREFIX", prefix)
        .env(format!("LLVM_SYS_{llvm}1_PREFIX"), prefix);
    Ok(command)
}

fn path_with(first: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = [first.to_path_buf()]
        .into_iter()
        .chain(env::split_paths(&path));
    env::join_paths(all).context("PATH cannot be extended")
}
