//! A kernel's modules: which are needed for some, in which order, decompressed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// A module's name, and its contents.
pub(crate) type Module = (String, Vec<u8>);

/// Those of `wanted` that are no part of the kernel itself, each after what it depends on.
pub(crate) fn in_order(kernel: &Path, wanted: &[&str]) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    find(kernel, &mut files)?;
    let mut taken = Taken {
        files,
        seen: BTreeSet::new(),
        order: Vec::new(),
    };
    for name in wanted {
        taken.take(name)?;
    }
    Ok(taken.order)
}

struct Taken {
    files: BTreeMap<String, PathBuf>,
    seen: BTreeSet<String>,
    order: Vec<Module>,
}

impl Taken {
    fn take(&mut self, name: &str) -> Result<()> {
        let name = name.replace('-', "_");
        if !self.seen.insert(name.clone()) {
            return Ok(());
        }
        // Built in.
        let Some(path) = self.files.get(&name).cloned() else {
            return Ok(());
        };
        let contents = decompressed(&path)?;
        for needed in depends(&contents) {
            self.take(&needed)?;
        }
        self.order.push((name, contents));
        Ok(())
    }
}

/// Module files below a folder, by name.
fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            find(&path, files)?;
        } else if let Some(name) = module_name(&entry.file_name().to_string_lossy()) {
            files.insert(name, path);
        }
    }
    Ok(())
}

fn module_name(file: &str) -> Option<String> {
    let name = file
        .trim_end_matches(".xz")
        .trim_end_matches(".zst")
        .strip_suffix(".ko")?;
    Some(name.replace('-', "_"))
}

fn decompressed(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|ending| ending.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("reading {}", path.display())),
    };
    let mut command = Command::new(program);
    command
        .args(["--decompress", "--stdout"])
        .arg(path)
        .stdin(Stdio::null());
    let output = command
        .output()
        .with_context(|| format!("{program} does not start"))?;
    ensure!(
        output.status.success(),
        "{program} cannot decompress {}",
        path.display()
    );
    Ok(output.stdout)
}

/// What the section `.modinfo` says.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next();
    let value = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    value
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_needs_are_read() {
        assert_eq!(module_name("nvme-core.ko.xz").as_deref(), Some("nvme_core"));
        assert_eq!(module_name("modules.order"), None);
        let module = b"\x7fELF..\0license=GPL\0depends=jbd2,crc16\0retpoline=Y\0";
        assert_eq!(depends(module), ["jbd2", "crc16"]);
        assert!(depends(b"\0depends=\0").is_empty());
    }
}
