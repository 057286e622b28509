//! The parts a staged disk is made of, and the one order in which they come down.
//!
//! Contract: parts are entered as they come to be; taking down is idempotent, goes on when a step
//! fails, and after it nothing can be entered any more.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use tempfile::TempDir;

use super::control::Daemon;
use super::queue::Queue;
use super::sweep::{Claim, disk_folder, mount_folder};
use crate::interrupt::TakeDown;
use crate::loop_device::LoopDevice;
use crate::mounted::{FileSystem, unmount};
use crate::slow_disk::command::Command;
use crate::spawned;

/// How long a mount may still be used by what is about to end.
pub(super) const UNMOUNT_WITHIN: Duration = Duration::from_secs(3);

/// What stands now.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) folder: Option<TempDir>,
    pub(super) claim: Option<Claim>,
    pub(super) daemon: Option<Arc<Daemon>>,
    pub(super) loop_device: Option<LoopDevice>,
    pub(super) queue: Option<Queue>,
    pub(super) mounted: Option<(FileSystem, PathBuf)>,
    down: bool,
}

/// The parts, shared with the thread that handles signals.
#[derive(Debug, Default)]
pub(super) struct Parts {
    standing: Mutex<Standing>,
}

impl Parts {
    /// Takes one step; refused once taken down.
    pub(super) fn step<T>(&self, step: impl FnOnce(&mut Standing) -> Result<T>) -> Result<T> {
        let mut standing = self.standing();
        if standing.down {
            bail!("the staged disk has been taken down");
        }
        step(&mut standing)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakeDown for Parts {
    fn take_down(&self) {
        let mut standing = self.standing();
        standing.down = true;
        standing.take_down();
    }
}

impl Standing {
    fn take_down(&mut self) {
        if let Some(daemon) = &self.daemon {
            // The disk must serve what unmounting writes; when it is dead, that fails at once.
            daemon.thaw();
            report(daemon.send(&Command::Hurry).map(drop));
        }
        spawned::reap_left();
        let mounted = self.mounted.take();
        if let Some((_, folder)) = &mounted {
            report(unmount(folder, UNMOUNT_WITHIN));
        }
        self.queue = None;
        if let (Some((file_system, _)), Some(device)) = (mounted, &self.loop_device) {
            file_system.forget(&device.path());
        }
        self.loop_device = None;
        if let Some(daemon) = self.daemon.take() {
            daemon.end();
        }
        self.take_down_folder();
        self.claim = None;
    }

    /// Removes the folder, unless something is still mounted in it.
    fn take_down_folder(&mut self) {
        let Some(folder) = self.folder.take().map(TempDir::keep) else {
            return;
        };
        report(unmount(&disk_folder(&folder), UNMOUNT_WITHIN));
        for inner in [disk_folder(&folder), mount_folder(&folder), folder] {
            match std::fs::remove_dir(&inner) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    eprintln!("staged disk: {} stays: {error}", inner.display());
                }
                _ => {}
            }
        }
    }
}

fn report(result: Result<()>) {
    if let Err(error) = result {
        eprintln!("staged disk: {error:#}");
    }
}
