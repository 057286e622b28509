//! `cargo xtask dist`: what is handed out, in `dist/`.
//!
//! A static binary for each architecture with its debug information beside it, a bill of materials, a
//! container image, manifests for Kubernetes, the manual page, completions, and the checksums of them all. The same sources give the same bytes, wherever
//! they lie and whenever they are built; `--check` builds them twice and compares.

mod architecture;
mod binary;
mod bom;
mod checksum;
mod image;
mod pages;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::kept::manifests;
use crate::setup;
use crate::workspace::Workspace;
use architecture::ALL;
use sources::Origin;

/// Builds everything, and with `check` once more from a copy of the sources elsewhere.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<()> {
    setup::run(workspace, &[])?;
    for architecture in &ALL {
        architecture.ensure_standard_library()?;
    }
    let origin = Origin::of(workspace)?;
    let made = make(workspace, &origin)?;
    print!("{}", checksum::list(&made)?);
    if check {
        check_again(workspace, &origin, &made)?;
    }
    Ok(())
}

/// What `cargo xtask vm` built, held to the same limits.
pub(crate) fn check_built(workspace: &Workspace) -> Result<()> {
    binary::check_built(workspace)
}

/// Runs the manifests.
const PLUGIN: &str = "deploy/kubectl-stall_agent";

/// Replaces `dist/` in one step.
fn make(workspace: &Workspace, origin: &Origin) -> Result<PathBuf> {
    let to = workspace.root().join("dist");
    let new = workspace.root().join("dist/.new");
    remove(&to)?;
    fs::create_dir_all(&new).with_context(|| format!("{} cannot be made", new.display()))?;
    let binaries = binary::build_all(workspace, origin, &new)?;
    pages::write(&binaries, &new)?;
    bom::write(workspace, origin, &new.join("stall-agent.cdx.json"))?;
    for manifest in manifests(workspace.root())? {
        let name = manifest.file_name().context("a file has a name")?;
        fs::copy(&manifest, new.join(name))?;
    }
    fs::copy(
        workspace.root().join(PLUGIN),
        new.join("kubectl-stall_agent"),
    )
    .with_context(|| format!("there is no {PLUGIN}"))?;
    image::write(&binaries, origin, &new.join("stall-agent.oci.tar"))?;
    checksum::write(&new)?;
    for entry in fs::read_dir(&new)? {
        let entry = entry?;
        fs::rename(entry.path(), to.join(entry.file_name()))?;
    }
    fs::remove_dir(&new)?;
    Ok(to)
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} stays behind", dir.display()))
        }
        _ => Ok(()),
    }
}

fn check_again(workspace: &Workspace, origin: &Origin, first: &Path) -> Result<()> {
    let copy = sources::copy(workspace)?;
    eprintln!("dist: building again in {}", copy.path().display());
    let elsewhere = Workspace::at(copy.path(), &copy.path().join("build"));
    let second = make(&elsewhere, origin)?;
    let (first, second) = (checksum::list(first)?, checksum::list(&second)?);
    ensure!(
        first == second,
        "two builds differ: the first is\n{first}the second\n{second}"
    );
    println!("two builds from different directories are identical");
    Ok(())
}
