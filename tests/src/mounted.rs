//! Making and mounting a file system on the staged disk, and what /proc says of mounts.
//!
//! Contract: made without discards, so that the disk's log begins clean. Unmounting waits for
//! the last user for some seconds, then detaches and says so.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::spawned::wait_until;

/// The file systems that can be staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    Ext4,
    Xfs,
    Btrfs,
}

impl FileSystem {
    /// Every one of them.
    pub const ALL: [FileSystem; 3] = [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Btrfs];

    /// Its name in mount tables.
    pub fn name(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
            FileSystem::Btrfs => "btrfs",
        }
    }

    fn quiet_arguments(self) -> &'static [&'static str] {
        match self {
            FileSystem::Ext4 => &[
                "-q",
                "-F",
                "-E",
                "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
            ],
            FileSystem::Xfs => &["-q", "-f", "-K"],
            FileSystem::Btrfs => &["-q", "-f", "-K"],
        }
    }

    /// Makes the file system on the device, without discarding first.
    pub fn make(self, device: &Path) -> Result<()> {
        let program = format!("mkfs.{}", self.name());
        let output = Command::new(&program)
            .args(self.quiet_arguments())
            .arg(device)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running {program}"))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program}: {}", complaint.trim());
        Ok(())
    }

    /// Mounts the device with the file system's own options, such as `discard`.
    pub fn mount(self, device: &Path, folder: &Path, options: &str) -> Result<()> {
        mount(
            Some(device),
            folder,
            Some(self.name()),
            MsFlags::MS_NOATIME,
            Some(options),
        )
        .with_context(|| format!("mounting {} on {}", device.display(), folder.display()))
    }

    /// Lets the kernel forget a device that is about to go.
    pub fn forget(self, device: &Path) {
        if self == FileSystem::Btrfs {
            // A device that btrfs does not know any more is as good.
            let _ = Command::new("btrfs")
                .args(["device", "scan", "--forget"])
                .arg(device)
                .output();
        }
    }
}

/// Unmounts, waiting for users that are about to end; detaches when they do not.
pub fn unmount(folder: &Path, within: Duration) -> Result<()> {
    let mut last = Ok(());
    let done = wait_until(within, || {
        last = umount2(folder, MntFlags::empty());
        last != Err(Errno::EBUSY)
    });
    match last {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(_) if !done => {
            umount2(folder, MntFlags::MNT_DETACH).context("detaching the mount")?;
            bail!("{} was still in use and is detached", folder.display())
        }
        Err(errno) => Err(errno).with_context(|| format!("unmounting {}", folder.display())),
    }
}

/// Where something is mounted, from `/proc/self/mountinfo`.
pub fn mount_points() -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo").context("reading the mounts")?;
    let entries = text.lines().filter_map(MountEntry::parse);
    Ok(entries.map(|entry| entry.mount_point).collect())
}

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    pub id: u64,
    /// The folder of the file system that is mounted; `/` but for bind mounts.
    pub root: String,
    pub mount_point: PathBuf,
    pub source: String,
}

impl MountEntry {
    /// The mount that an open file is in.
    pub fn of(file: &File) -> Result<Self> {
        let path = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
        let info = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
        let id: u64 = id.context("no mnt_id")?.trim().parse()?;
        let text = fs::read_to_string("/proc/self/mountinfo").context("reading the mounts")?;
        let mut entries = text.lines().filter_map(Self::parse);
        entries
            .find(|entry| entry.id == id)
            .context("the mount is not in the table")
    }

    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ');
        let id = fields.next()?.parse().ok()?;
        let mut fields = fields.skip(2);
        Some(Self {
            id,
            root: unescape(fields.next()?),
            mount_point: PathBuf::from(unescape(fields.next()?)),
            source: unescape(after.split(' ').nth(1)?),
        })
    }
}

/// Undoes the octal escapes of mount tables (`\040` is a space).
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|o| u8::from_str_radix(o, 8).ok());
        match code {
            Some(code) => {
                text.push(code.into());
                text.push_str(&part[3..]);
            }
            None => text.push_str(part),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines_are_read() {
        let line = "36 35 7:3 / /tmp/a\\040b rw,noatime shared:1 - ext4 /dev/loop3 rw";
        let entry = MountEntry::parse(line).unwrap();
        assert_eq!((entry.id, entry.root.as_str()), (36, "/"));
        assert_eq!(entry.mount_point, Path::new("/tmp/a b"));
        assert_eq!(entry.source, "/dev/loop3");
        assert_eq!(MountEntry::parse("36 35 7:3 / /tmp rw"), None);
    }

    #[test]
    fn an_open_file_knows_its_mount() {
        let entry = MountEntry::of(&File::open("/proc/self/stat").unwrap()).unwrap();
        assert_eq!(entry.mount_point, Path::new("/proc"));
    }
}
