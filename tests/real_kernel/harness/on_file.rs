//! A loop device on a file of a staged disk, as a VM's volume is; and control groups that are charged for I/O.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use stall_common::layout::ABSENT;
use stall_tests::cgroup::IoGroup;
use stall_tests::loop_device::LoopDevice;
use stall_tests::staged::{FileSystem, StagedDisk};

use super::skip::Skip;

const BYTES: usize = 16 << 20;

/// Both. Taken apart as it is written here, the device goes before the disk it is on.
pub(crate) struct OnFile {
    pub(crate) disk: StagedDisk,
    pub(crate) upper: LoopDevice,
}

impl OnFile {
    /// Stages an ext4 disk, writes a file there and attaches it.
    pub(crate) fn stage() -> Result<Self> {
        let disk = StagedDisk::builder()
            .file_system(FileSystem::Ext4)
            .size(1 << 30)
            .start()?;
        let backing = Self::backing(&disk);
        fs::write(&backing, vec![1; BYTES])?;
        nix::unistd::sync();
        let upper = LoopDevice::attach(&backing, 4096)?;
        Ok(Self { disk, upper })
    }

    /// The file.
    pub(crate) fn backing(disk: &StagedDisk) -> PathBuf {
        disk.mount().join("image")
    }
}

/// A control group whose I/O the kernel charges to it; what is missing is a reason to skip.
pub(crate) fn charged(name: &str) -> Result<IoGroup> {
    let facts = stall_agent::kernel::support::facts()?;
    let charges = facts.layout.bio_blkg != ABSENT;
    let group = IoGroup::new(name)?.filter(|_| charges);
    let none =
        || Skip("this kernel charges no I/O to control groups, or has none for it".to_owned());
    Ok(group.ok_or_else(none)?)
}
