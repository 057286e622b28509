//! `SHA256SUMS`, as `sha256sum --check` reads it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

const FILE: &str = "SHA256SUMS";

/// Of every file in `dir`.
pub(super) fn write(dir: &Path) -> Result<()> {
    let text = list(dir)?;
    fs::write(dir.join(FILE), text).with_context(|| format!("{FILE} cannot be written"))
}

/// A line for each file in `dir` but the list itself, by name.
pub(super) fn list(dir: &Path) -> Result<String> {
    let entries = fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    let mut lines = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != FILE && entry.file_type()?.is_file() {
            lines.push((name, hex(&fs::read(entry.path())?)));
        }
    }
    lines.sort();
    Ok(lines
        .iter()
        .map(|(name, sum)| format!("{sum}  {name}\n"))
        .collect())
}

/// The SHA-256 of `bytes`.
pub(super) fn hex(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standard() {
        // FIPS 180-2, B.1.
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(b"abc"), sum);
    }

    #[test]
    fn lists_by_name_and_not_itself() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", FILE] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let list = list(dir.path()).unwrap();
        let names: Vec<_> = list.lines().map(|line| &line[66..]).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
