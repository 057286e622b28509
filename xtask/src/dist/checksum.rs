//! `SHA256SUMS`, as `sha256sum --check` reads it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::process;

const FILE: &str = "SHA256SUMS";

/// Of every file in `dir`.
pub(super) fn write(dir: &Path) -> Result<()> {
    let text = list(dir)?;
    fs::write(dir.join(FILE), text).with_context(|| format!("{FILE} cannot be written"))
}

/// A line for each file in `dir` but the list itself, by name.
pub(super) fn list(dir: &Path) -> Result<String> {
    let entries = fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    let files = entries.filter_map(|entry| entry.ok().filter(|entry| entry.path().is_file()));
    let mut names: Vec<_> = files.map(|file| file.file_name()).collect();
    names.retain(|name| name != FILE);
    names.sort();
    let mut command = Command::new("sha256sum");
    let sums = process::read(command.current_dir(dir).args(names));
    Ok(sums.context("sha256sum says nothing")? + "\n")
}

/// The SHA-256 of `bytes`.
pub(super) fn hex(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}
