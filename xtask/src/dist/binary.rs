//! The static binaries: built, checked, and parted from their debug information.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::architecture::{ALL, Architecture};
use super::sources::Origin;
use crate::build::linker_variable;
use crate::objcopy::Objcopy;
use crate::process;
use crate::workspace::{self, Workspace};

/// A binary as it is handed out.
pub(super) struct Binary {
    pub(super) architecture: &'static Architecture,
    pub(super) path: PathBuf,
}

/// 12 MB: it is copied to hosts over bad lines, and into memory. With the recorder and the formats for other programs it has 10.8.
const MOST_BYTES: u64 = 12_000_000;

pub(super) fn build_all(workspace: &Workspace, origin: &Origin, to: &Path) -> Result<Vec<Binary>> {
    let objcopy = Objcopy::find()?;
    let mut binaries = Vec::new();
    for architecture in &ALL {
        let built = build(workspace, origin, architecture)?;
        let path = to.join(format!("stall-agent-{}", architecture.name));
        objcopy.part(&built, &path)?;
        check(architecture, &path)?;
        binaries.push(Binary { architecture, path });
    }
    same_programs(workspace)?;
    Ok(binaries)
}

/// Fails unless what was built for emulated machines is fit to be handed out, too: static, and small enough without its
/// debug information.
pub(super) fn check_built(workspace: &Workspace) -> Result<()> {
    let objcopy = Objcopy::find()?;
    let folder = tempfile::tempdir().context("no folder for what is stripped")?;
    for architecture in &ALL {
        let built = workspace.built_for(architecture.triple).join("stall-agent");
        let path = folder.path().join(architecture.name);
        objcopy.part(&built, &path)?;
        check(architecture, &path)?;
    }
    Ok(())
}

/// A directory of its own, so that neither flags nor links of other builds matter.
fn target(workspace: &Workspace) -> PathBuf {
    workspace.target().join("dist")
}

fn build(workspace: &Workspace, origin: &Origin, architecture: &Architecture) -> Result<PathBuf> {
    let target = target(workspace);
    let mut command = workspace.cargo();
    command
        .args(["build", "--release", "--locked", "--package", "stall-agent"])
        .args(["--target", architecture.triple, "--target-dir"])
        .arg(&target)
        .env(linker_variable(architecture.triple), "rust-lld")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace, &target))
        .env("STALL_AGENT_COMMIT", &origin.commit)
        .env("SOURCE_DATE_EPOCH", origin.epoch.to_string());
    process::run(&mut command)?;
    Ok(target.join(architecture.triple).join("release/stall-agent"))
}

/// No path of this machine gets into the binary. Of two prefixes that fit, rustc takes the last.
fn flags(workspace: &Workspace, target: &Path) -> String {
    let cargo = workspace::cargo_home();
    let remap = [
        (cargo.as_path(), "/cargo"),
        (workspace.root(), "/stall-agent"),
        (target, "/target"),
    ];
    let remap = remap.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let fixed = ["-Clink-arg=--build-id=sha1", "-Ctarget-feature=+crt-static"].map(str::to_owned);
    [remap.as_slice(), &fixed].concat().join("\x1f")
}

/// Of the right machine, small, and in need of no loader and no library.
fn check(architecture: &Architecture, path: &Path) -> Result<()> {
    let size = fs::metadata(path).with_context(|| format!("{} is not there", path.display()))?;
    ensure!(
        size.len() < MOST_BYTES,
        "{} has {} bytes, of at most {MOST_BYTES}",
        path.display(),
        size.len()
    );
    let mut command = Command::new("readelf");
    command.args(["--file-header", "--segments", "--dynamic", "--wide"]);
    let elf = process::read(command.arg(path)).context("readelf does not read what was built")?;
    ensure!(
        elf.contains(architecture.machine) && !elf.contains("INTERP") && !elf.contains("(NEEDED)"),
        "{} is no static program for {}:\n{elf}",
        path.display(),
        architecture.name
    );
    Ok(())
}

/// The programs for the kernel ask its BTF where everything is and read no registers: one object
/// serves every little-endian architecture.
fn same_programs(workspace: &Workspace) -> Result<()> {
    let object = |architecture: &Architecture| {
        let built = target(workspace).join(architecture.triple);
        fs::read(built.join("bpf/bpfel-unknown-none/release/stall-agent-ebpf"))
            .with_context(|| format!("no BPF object in {}", built.display()))
    };
    let [first, second] = ALL.each_ref().map(object);
    ensure!(
        first? == second?,
        "the BPF programs differ between architectures"
    );
    Ok(())
}
