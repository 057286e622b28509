//! Runs the real `fstrim` on a staged disk, and on nothing else.
//!
//! Contract: `fstrim` of a plain folder trims the file system below it, which is the machine's
//! own disk. So it is only ever started on a path that the kernel says is itself a mount point (by
//! mount id), whose source is the staged loop device; the mount is held open from the check until
//! `fstrim` has ended.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::StagedDisk;
use crate::cgroup::IoGroup;
use crate::interrupt::{self, TakeDown};
use crate::mounted::MountEntry;
use crate::scratch::Scratch;
use crate::spawned::{Spawned, find_program};

/// How to run `fstrim`.
#[derive(Debug, Default)]
pub struct Trim<'a> {
    name: Option<String>,
    arguments: Vec<String>,
    group: Option<&'a IoGroup>,
}

impl<'a> Trim<'a> {
    /// The plain `fstrim PATH`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a copy of the program under another name.
    pub fn called(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Trims a part: `--offset`, `--length`.
    pub fn range(mut self, offset: u64, length: u64) -> Self {
        self.arguments.push(format!("--offset={offset}"));
        self.arguments.push(format!("--length={length}"));
        self
    }

    /// Runs it in a group of its own.
    pub fn group(mut self, group: &'a IoGroup) -> Self {
        self.group = Some(group);
        self
    }

    /// Starts it on the staged disk's mount.
    pub fn start(&self, disk: &StagedDisk) -> Result<Trimming> {
        let held = hold_staged_mount(disk)?;
        let (program, copied) = self.program()?;
        let mut command = Command::new(program);
        command
            .args(&self.arguments)
            .arg(disk.mount())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(group) = self.group {
            group.place(&mut command)?;
        }
        Ok(Trimming {
            process: Spawned::start(&mut command)?,
            held,
            _copied: copied,
        })
    }

    fn program(&self) -> Result<(PathBuf, Option<Scratch>)> {
        let fstrim = find_program("fstrim")?;
        let Some(name) = &self.name else {
            return Ok((fstrim, None));
        };
        let folder = Scratch::new()?;
        let copy = folder.copy(&fstrim, name)?;
        Ok((copy, Some(folder)))
    }
}

/// The mount's root, open.
#[derive(Debug)]
struct Held(Mutex<Option<File>>);

impl TakeDown for Held {
    fn take_down(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A running `fstrim`; killed when dropped.
#[derive(Debug)]
pub struct Trimming {
    process: Spawned,
    /// Closed after the process has ended: the fields drop in this order.
    held: Arc<Held>,
    _copied: Option<Scratch>,
}

impl Trimming {
    /// Its process.
    pub fn process(&self) -> &Spawned {
        &self.process
    }

    /// Its exit status, if it has ended; then the mount is free again.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.process.try_wait()?;
        if status.is_some() {
            self.held.take_down();
        }
        Ok(status)
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.process.wait()?;
        self.try_wait()?.context("fstrim has ended twice")
    }

    /// Waits for its end for some time.
    pub fn wait_within(&mut self, within: Duration) -> Result<ExitStatus> {
        self.process.wait_within(within)?;
        self.wait()
    }
}

/// Trims the staged disk's file system and waits for it.
pub fn trim(disk: &StagedDisk) -> Result<()> {
    let status = Trim::new().start(disk)?.wait()?;
    ensure!(status.success(), "fstrim: {status}");
    Ok(())
}

/// Opens the mount's root after making sure that it is the staged disk's.
fn hold_staged_mount(disk: &StagedDisk) -> Result<Arc<Held>> {
    let held = File::open(disk.mount()).context("opening the mount")?;
    verify(disk.mount(), &held, disk.dev())?;
    let held = Arc::new(Held(Mutex::new(Some(held))));
    interrupt::register(&held)?;
    Ok(held)
}

/// Refuses a path that is not itself a mount of the whole device.
fn verify(path: &Path, held: &File, device: u64) -> Result<()> {
    let entry = MountEntry::of(held)?;
    ensure!(
        entry.mount_point == path && entry.root == "/",
        "{} is a plain folder in {}",
        path.display(),
        entry.mount_point.display()
    );
    let above = path.parent().context("a mount point has a parent")?;
    ensure!(
        fs::metadata(above)?.dev() != held.metadata()?.dev(),
        "{} is in the same file system as the folder above",
        path.display()
    );
    let source = fs::metadata(&entry.source).context("asking for the mounted device")?;
    ensure!(
        source.rdev() == device,
        "{} is not a mount of the staged disk",
        path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(path: &Path, device: u64) -> String {
        let held = File::open(path).unwrap();
        format!("{:#}", verify(path, &held, device).unwrap_err())
    }

    #[test]
    fn a_plain_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        assert!(verdict(&path, 0).contains("plain folder"));
    }

    #[test]
    fn another_mount_is_refused() {
        assert!(MountEntry::of(&File::open("/proc").unwrap()).is_ok());
        verdict(Path::new("/proc"), 0);
        verdict(Path::new("/"), 0);
    }
}
