//! What a staging left that died with its disk's server, as when a whole session is killed at once.
//!
//! Contract: takes down only what lies in a folder of [`PREFIX`] in which something is mounted and whose
//! [`Claim`] nobody holds any more; the kernel lets go of a claim with its process, however that ends. Why it
//! matters: a loop device on a dead FUSE file stays, and makes mkfs.btrfs fail on every other device.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, umount2};

use crate::loop_device;
use crate::mounted::mount_points;
use crate::spawned::wait_until;

/// How the folders of staged disks are called.
pub(super) const PREFIX: &str = "staged-disk-";
/// How long the kernel may take to let go of a loop device.
const FREE_WITHIN: Duration = Duration::from_secs(5);

/// Says that a folder's owner lives.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "held, not read")] Flock<File>);

impl Claim {
    /// Claims a folder; `None` when somebody else holds it.
    pub(super) fn take(folder: &Path) -> Result<Option<Self>> {
        let file = File::open(folder).with_context(|| format!("opening {}", folder.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self(lock))),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno).with_context(|| format!("claiming {}", folder.display())),
        }
    }
}

/// Takes down what dead stagings left in this folder of temporary files. Returns how many there were.
pub fn sweep(temporary: &Path) -> Result<usize> {
    let mut swept = 0;
    for folder in left_in(temporary)? {
        // Whoever sweeps claims, so that two do not do it at once.
        if let Some(_claim) = Claim::take(&folder)? {
            take_down(&folder)
                .with_context(|| format!("taking down what was left in {}", folder.display()))?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// A folder without a mount is one that is being made, or an empty one: neither does harm.
fn left_in(temporary: &Path) -> Result<Vec<PathBuf>> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(PREFIX)
    };
    let above = mount_points()?
        .into_iter()
        .filter(|point| point.starts_with(temporary))
        .filter_map(|point| point.parent().map(Path::to_path_buf));
    let mut folders: Vec<PathBuf> = above.filter(is_ours).collect();
    folders.sort();
    folders.dedup();
    Ok(folders)
}

/// Detached at once: what would have to be written first has nowhere to go.
fn take_down(folder: &Path) -> Result<()> {
    detach_mount(&mount_folder(folder))?;
    let devices = loop_device::backed_below(&disk_folder(folder))?;
    for device in &devices {
        loop_device::detach(device)?;
    }
    wait_until(FREE_WITHIN, || {
        loop_device::backed_below(&disk_folder(folder)).is_ok_and(|left| left.is_empty())
    });
    detach_mount(&disk_folder(folder))?;
    for inner in [&mount_folder(folder), &disk_folder(folder), folder] {
        fs::remove_dir(inner).with_context(|| format!("removing {}", inner.display()))?;
    }
    Ok(())
}

fn detach_mount(point: &Path) -> Result<()> {
    match umount2(point, MntFlags::MNT_DETACH) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno).with_context(|| format!("detaching {}", point.display())),
    }
}

/// Where the slow disk's own file system is mounted.
pub(super) fn disk_folder(folder: &Path) -> PathBuf {
    folder.join("disk")
}

/// Where the staged file system is mounted.
pub(super) fn mount_folder(folder: &Path) -> PathBuf {
    folder.join("mount")
}
