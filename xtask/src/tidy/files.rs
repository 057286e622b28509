//! The files the rules are about: sources and documents, not what is built or fetched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

const KINDS: [&str; 4] = ["md", "rs", "sh", "toml"];

pub(super) struct File {
    /// Seen from the workspace.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl File {
    pub(super) fn is(&self, kind: &str) -> bool {
        self.path
            .extension()
            .is_some_and(|extension| extension == kind)
    }
}

pub(super) fn read(root: &Path) -> Result<Vec<File>> {
    let mut paths = Vec::new();
    collect(root, &mut paths).with_context(|| format!("{} cannot be listed", root.display()))?;
    paths.sort();
    paths.iter().map(|path| read_one(root, path)).collect()
}

fn read_one(root: &Path, path: &Path) -> Result<File> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(File {
        path: path.strip_prefix(root)?.to_path_buf(),
        text,
    })
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() && !skipped(&path) {
            collect(&path, paths)?;
        } else if wanted(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

/// What cargo and set-up make has a tag or a leading dot.
fn skipped(dir: &Path) -> bool {
    let hidden = dir
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    hidden || dir.join("CACHEDIR.TAG").exists()
}

fn wanted(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    path.is_file() && extension.is_some_and(|extension| KINDS.contains(&extension))
}
