//! Which disks a virtual machine has: the block devices its monitor holds open.
//!
//! The open file tells the device number whatever the node is called in the pod (`/dev/disk-0`,
//! `/var/run/kubevirt/hotplug-disks/...`), so hot-plugged disks are found the same way. The nodes themselves are not
//! opened.

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags};

use super::HostRoot;
use stall_capture::OpenDisk;

/// A monitor has some 100 files open.
const MAX_FILES: usize = 4096;

/// The block devices a process has open, each once.
#[must_use]
pub fn open_disks(root: &HostRoot, pid: u32) -> Vec<OpenDisk> {
    let directory = format!("proc/{pid}/fd");
    let mut disks: Vec<OpenDisk> = Vec::new();
    for name in root.names(&directory).into_iter().take(MAX_FILES) {
        let file = format!("{directory}/{name}");
        let Some(disk) = open_disk(root, &file) else {
            continue;
        };
        let known = |other: &OpenDisk| (other.major, other.minor) == (disk.major, disk.minor);
        if !disks.iter().any(known) {
            disks.push(disk);
        }
    }
    disks.sort_by_key(|disk| (disk.major, disk.minor));
    disks
}

fn open_disk(root: &HostRoot, file: &str) -> Option<OpenDisk> {
    // Sockets, pipes and the like have no path.
    let path = root.link(file).filter(|path| path.starts_with('/'))?;
    // A file's own server (FUSE, NFS) is not asked: it may never answer.
    let as_known = AtFlags::STATX_DONT_SYNC;
    let known = rustix::fs::statx(CWD, root.path(file), as_known, StatxFlags::TYPE).ok()?;
    let device = FileType::from_raw_mode(known.stx_mode.into()) == FileType::BlockDevice;
    let (major, minor) = device.then_some((known.stx_rdev_major, known.stx_rdev_minor))?;
    Some(OpenDisk { path, major, minor })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn finds_disks_under_any_name_and_each_once() {
        let fixture = Fixture::new();
        if !fixture.block_device("nodes/disk-0", 8, 48) || !fixture.block_device("nodes/hot", 8, 64)
        {
            return;
        }
        let at = |name: &str| fixture.root().path(name).display().to_string();
        fixture
            .file("nodes/file", "")
            .link("proc/7/fd/0", "socket:[1]")
            .link("proc/7/fd/9", &at("nodes/disk-0"))
            .link("proc/7/fd/10", &at("nodes/disk-0"))
            .link("proc/7/fd/11", &at("nodes/hot"))
            .link("proc/7/fd/12", &at("nodes/file"))
            .link("proc/7/fd/13", &at("nodes/gone"))
            .link("proc/7/fd/14", "14");
        let disks = open_disks(&fixture.root(), 7);
        let numbers: Vec<_> = disks.iter().map(|disk| (disk.major, disk.minor)).collect();
        assert_eq!(numbers, [(8, 48), (8, 64)]);
        assert!(disks[1].path.ends_with("nodes/hot"));
    }

    #[test]
    fn a_process_that_has_gone_has_none() {
        assert!(open_disks(&Fixture::new().root(), 7).is_empty());
    }
}
