//! A control group of our own, for I/O (`blkio` of version 1, or version 2 with `io`), memory or CPUs.
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
use nix::unistd::Pid;

use crate::interrupt::{self, TakeDown};
use crate::spawned::wait_until;

const ROOT: &str = "/sys/fs/cgroup";
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

/// What a group is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    Io,
    Memory,
    Cpu,
}

impl Controller {
    /// Its names in version 1 and 2.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Io => ("blkio", "io"),
            Self::Memory => ("memory", "memory"),
            Self::Cpu => ("cpu", "cpu"),
        }
    }
}

/// A control group; by default with I/O accounting of its own.
#[derive(Debug)]
pub struct IoGroup {
    folders: Arc<Folders>,
    version: u8,
}

impl IoGroup {
    /// Makes a group; `None` where there is no controller.
    pub fn new(name: &str) -> Result<Option<Self>> {
        Self::of(Controller::Io, name)
    }

    /// Makes one for something else.
    pub fn of(controller: Controller, name: &str) -> Result<Option<Self>> {
        let Some((root, version)) = root_of(controller) else {
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

    /// Bounds the memory of its processes.
    pub fn limit_memory(&self, bytes: u64) -> Result<()> {
        let file = match self.version {
            1 => "memory.limit_in_bytes",
            _ => "memory.max",
        };
        self.set(file, &bytes.to_string())
    }

    /// Bounds the time its processes have on CPUs, in microseconds of each 100 ms.
    pub fn limit_cpu(&self, microseconds: u32) -> Result<()> {
        match self.version {
            1 => self.set("cpu.cfs_quota_us", &microseconds.to_string()),
            _ => self.set("cpu.max", &format!("{microseconds} 100000")),
        }
    }

    /// Times that a process of it was killed for want of memory.
    pub fn killed_for_memory(&self) -> Result<u64> {
        let file = match self.version {
            1 => "memory.oom_control",
            _ => "memory.events",
        };
        let text = fs::read_to_string(self.path().join(file))?;
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let (_, count) = lines
            .find(|(key, _)| *key == "oom_kill")
            .with_context(|| format!("{file} does not tell"))?;
        count.trim().parse().context("not a number")
    }

    /// Most memory that its processes had at once.
    pub fn peak_memory(&self) -> Result<u64> {
        let file = match self.version {
            1 => "memory.max_usage_in_bytes",
            _ => "memory.peak",
        };
        let text = fs::read_to_string(self.path().join(file))?;
        text.trim().parse().context("not a number")
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        fs::write(self.path().join(file), value).with_context(|| format!("setting {file}"))
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

fn root_of(controller: Controller) -> Option<(PathBuf, u8)> {
    let (first, second) = controller.names();
    let root = Path::new(ROOT);
    let v1 = root.join(first);
    if v1.join(PROCS).exists() {
        return Some((v1, 1));
    }
    let controllers = fs::read_to_string(root.join("cgroup.subtree_control")).ok()?;
    let has_it = controllers.split_whitespace().any(|name| name == second);
    has_it.then(|| (root.to_path_buf(), 2))
}
