//! A blkio control group of our own, where there is one (version 1, or version 2 with `io`).
//!
//! Contract: `None` where the machine has no such controller; the group goes away with the guard,
//! and on signals, its processes back to the root first. Groups of one name do not collide.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::stat::{major, minor};
use nix::unistd::Pid;

use crate::interrupt::{self, TakeDown};
use crate::spawned::wait_until;

const V1: &str = "/sys/fs/cgroup/blkio";
const V2: &str = "/sys/fs/cgroup";
const PROCS: &str = "cgroup.procs";
const REMOVE_WITHIN: Duration = Duration::from_secs(2);

/// Tells groups of one process apart.
static MADE: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Folders {
    root: PathBuf,
    own: PathBuf,
}

impl Folders {
    fn empty(&self) -> std::io::Result<()> {
        let procs = fs::read_to_string(self.own.join(PROCS))?;
        for pid in procs.lines() {
            fs::write(self.root.join(PROCS), pid)?;
        }
        Ok(())
    }

    fn remove(&self) -> bool {
        // A process that ends meanwhile is no error.
        let _ = self.empty();
        fs::remove_dir(&self.own).is_ok() || !self.own.exists()
    }
}

impl TakeDown for Folders {
    fn take_down(&self) {
        if !wait_until(REMOVE_WITHIN, || self.remove()) {
            eprintln!("control group {} stays", self.own.display());
        }
    }
}

/// A control group with I/O accounting of its own.
#[derive(Debug)]
pub struct IoGroup {
    folders: Arc<Folders>,
    version: u8,
}

impl IoGroup {
    /// Makes a group; `None` where there is no controller.
    pub fn new(name: &str) -> Result<Option<Self>> {
        let Some((root, version)) = controller() else {
            return Ok(None);
        };
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let own = root.join(format!("{name}-{}-{number}", std::process::id()));
        fs::create_dir(&own).with_context(|| format!("making {}", own.display()))?;
        let folders = Arc::new(Folders { root, own });
        let group = Self { folders, version };
        interrupt::register(&group.folders)?;
        Ok(Some(group))
    }

    /// Moves a process into it.
    pub fn add(&self, pid: Pid) -> Result<()> {
        let path = self.path().join(PROCS);
        fs::write(&path, pid.to_string())
            .with_context(|| format!("moving {pid} to {}", path.display()))
    }

    /// Lets a command start inside of it.
    pub fn place(&self, command: &mut Command) -> Result<()> {
        let path = self.path().join(PROCS);
        let mut procs = OpenOptions::new()
            .write(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        let join = move || procs.write_all(b"0");
        // SAFETY: between fork and exec only write(2) on an open descriptor is called.
        unsafe { command.pre_exec(join) };
        Ok(())
    }

    /// Bounds the writes (discards too) per second on a disk.
    pub fn throttle_writes(&self, dev: u64, per_second: u64) -> Result<()> {
        let device = format!("{}:{}", major(dev), minor(dev));
        let (file, line) = match self.version {
            1 => (
                "blkio.throttle.write_iops_device",
                format!("{device} {per_second}"),
            ),
            _ => ("io.max", format!("{device} wiops={per_second}")),
        };
        fs::write(self.path().join(file), line).with_context(|| format!("setting {file}"))
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.folders.own
    }
}

impl Drop for IoGroup {
    fn drop(&mut self) {
        self.folders.take_down();
    }
}

fn controller() -> Option<(PathBuf, u8)> {
    let v1 = Path::new(V1);
    if v1.join(PROCS).exists() {
        return Some((v1.to_path_buf(), 1));
    }
    let root = Path::new(V2);
    let controllers = fs::read_to_string(root.join("cgroup.subtree_control")).ok()?;
    let has_io = controllers.split_whitespace().any(|name| name == "io");
    has_io.then(|| (root.to_path_buf(), 2))
}
