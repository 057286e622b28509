//! A folder for files of one run: copies of programs, results, logs.
//!
//! Contract: gone when dropped, and on SIGINT, SIGTERM and SIGHUP. Nothing is ever mounted in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::interrupt::{self, TakeDown};

#[derive(Debug)]
struct Folder(Mutex<Option<TempDir>>);

impl TakeDown for Folder {
    fn take_down(&self) {
        // Dropping removes it; what cannot be removed is only a file in the folder for such.
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// The folder.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    folder: Arc<Folder>,
}

impl Scratch {
    /// Makes one.
    pub fn new() -> Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    /// Makes one in another folder.
    pub fn below(parent: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("stall-scratch-")
            .tempdir_in(parent)
            .context("making a scratch folder")?;
        let scratch = Self {
            path: folder.path().to_path_buf(),
            folder: Arc::new(Folder(Mutex::new(Some(folder)))),
        };
        interrupt::register(&scratch.folder)?;
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A copy of a program under another name, made by `cp`: a child forked while this process had it open for writing
    /// would keep it from being executed (`ETXTBSY`, execve(2)).
    pub fn copy(&self, program: &Path, name: &str) -> Result<PathBuf> {
        let copy = self.path.join(name);
        let copied = Command::new("cp").arg(program).arg(&copy).status()?;
        ensure!(copied.success(), "copying {}: {copied}", program.display());
        Ok(copy)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.folder.take_down();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_what_is_in_it() {
        let scratch = Scratch::new().unwrap();
        let copy = scratch.copy(Path::new("/bin/true"), "etcd").unwrap();
        assert!(copy.is_file());
        drop(scratch);
        assert!(!copy.exists());
    }
}
