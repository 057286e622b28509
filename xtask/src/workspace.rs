//! Where things are: the workspace, what cargo builds, and the host's cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::process;

pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Of the running `cargo xtask`; the one it was compiled in where cargo does not say.
    pub(crate) fn find() -> Result<Self> {
        let package = env::var_os("CARGO_MANIFEST_DIR");
        let package =
            package.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package
            .parent()
            .context("xtask has no workspace around it")?
            .to_path_buf();
        let target = target_directory(&root)?;
        Ok(Self { root, target })
    }

    /// Another copy of the sources, and where cargo builds it.
    pub(crate) fn at(root: &Path, target: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            target: target.to_path_buf(),
        }
    }

    /// Cargo's target directory.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where set-up keeps what it makes: outside the target directory, so that it survives `cargo clean`.
    pub(crate) fn toolchain_dir(&self) -> PathBuf {
        self.root.join(".toolchain")
    }

    /// A program of the release build.
    pub(crate) fn release(&self, program: &str) -> PathBuf {
        self.target.join("release").join(program)
    }

    /// A program of the build that is there soonest.
    pub(crate) fn dev(&self, program: &str) -> PathBuf {
        self.target.join("debug").join(program)
    }

    /// Where the release build for another target is.
    pub(crate) fn built_for(&self, target: &str) -> PathBuf {
        self.target.join(target).join("release")
    }

    /// Where the BPF programs are built, as `stall-agent/programs/build.rs` does.
    pub(crate) fn bpf_target(&self) -> PathBuf {
        self.target.join("bpf")
    }

    /// git, in the workspace.
    pub(crate) fn git(&self) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.root);
        command
    }

    /// The host's cargo, in the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = host_cargo();
        command.current_dir(&self.root);
        command
    }
}

/// The cargo that runs us, which is the one its user chose.
pub(crate) fn host_cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where cargo keeps the sources of other packages.
pub(crate) fn cargo_home() -> PathBuf {
    let home = || env::home_dir().unwrap_or_default().join(".cargo");
    env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

fn target_directory(root: &Path) -> Result<PathBuf> {
    let mut command = host_cargo();
    command
        .current_dir(root)
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"]);
    let text =
        process::read(&mut command).context("cargo metadata says nothing about the workspace")?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let target = metadata["target_directory"].as_str();
    Ok(target
        .context("cargo metadata names no target directory")?
        .into())
}
