//! A folder of its own for parts of other kernels and machines: Debian packages that are downloaded and unpacked,
//! never installed.
//!
//! Everything is under `.toolchain/lab` and stays there for the next time; nothing on the system changes.

pub(crate) mod apt;
pub(crate) mod cpio;
pub(crate) mod kernel;
pub(crate) mod modules;
pub(crate) mod peers;
pub(crate) mod userland;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;

/// The folder, made when it is not there.
pub(crate) fn folder(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.toolchain_dir().join("lab");
    make(&folder)?;
    Ok(folder)
}

pub(crate) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
}
