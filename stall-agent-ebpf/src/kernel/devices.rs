//! From the first process to the requests of every disk: superblocks, inodes of block devices, queues
//! (fs/super.c, block/bdev.c, include/linux/blk-mq.h).
//!
//! Their addresses are numbers to the verifier, and what is in memory may change meanwhile: everything is copied by a helper that
//! does not fault.

use stall_common::layout::ABSENT;

use super::{Task, file, layout, u32_at, u64_at};

/// A `struct super_block`, by its address.
#[derive(Clone, Copy)]
pub(crate) struct Superblock(pub(crate) u64);

/// A `struct bdev_inode`, by its address.
#[derive(Clone, Copy)]
pub(crate) struct Device(u64);

/// Whether this kernel has all that leads there.
#[inline(always)]
pub(crate) fn can_be_found() -> bool {
    layout!(device_disk) != ABSENT
}

/// The superblock of a task's root directory.
#[inline(always)]
pub(crate) fn root_of(task: Task) -> Superblock {
    let fs = u64_at(task.0, layout!(task_fs));
    let mount = at(fs, layout!(fs_root_mount));
    Superblock(at(mount, layout!(mount_superblock)))
}

/// Superblocks that are looked at for one that takes no writes: the oldest few, and then the newest.
const NEWEST: u32 = 256;

/// The device of a filesystem that takes no writes, `major << 20 | minor`; 0 for none.
#[inline(always)]
pub(crate) fn any_frozen(task: Task) -> u32 {
    if !can_be_found() || layout!(sb_frozen) == ABSENT {
        return 0;
    }
    let mut superblock = root_of(task);
    let first = superblock.0;
    let mut looked_at = 0;
    while looked_at < NEWEST {
        let place = file::place(superblock.0 as *const u8);
        if let Some(device) = place.frozen()
            && superblock.has_inodes()
        {
            return device;
        }
        superblock = superblock.before();
        if superblock.0 == first {
            return 0;
        }
        looked_at += 1;
    }
    0
}

impl Superblock {
    /// Whether its first inode says that it is of it, which the list's head has none to say.
    #[inline(always)]
    fn has_inodes(self) -> bool {
        Device::at(next(self.inodes())).superblock() == self.0
    }

    #[inline(always)]
    pub(crate) fn magic(self) -> u64 {
        at(self.0, layout!(superblock_magic))
    }

    /// The one that was made before it. The list has a head that is in no superblock: what is read there is no magic number of
    /// one, and what is before it is.
    #[inline(always)]
    pub(crate) fn before(self) -> Self {
        let node = at(self.0, layout!(superblock_previous));
        Self(node - u64::from(layout!(superblock_next)))
    }

    /// The list of its inodes.
    #[inline(always)]
    pub(crate) fn inodes(self) -> u64 {
        self.0 + u64::from(layout!(superblock_inodes))
    }
}

impl Device {
    /// By the node of its inode in the superblock's list.
    #[inline(always)]
    pub(crate) fn at(node: u64) -> Self {
        Self(node - u64::from(layout!(device_node)))
    }

    #[inline(always)]
    pub(crate) fn superblock(self) -> u64 {
        at(self.0, layout!(device_superblock))
    }

    /// Its `struct gendisk`; 0 for a device that nobody has opened, up to 5.10.
    #[inline(always)]
    pub(crate) fn disk(self) -> u64 {
        at(self.0, layout!(device_disk))
    }
}

/// The next node of a list.
#[inline(always)]
pub(crate) fn next(node: u64) -> u64 {
    at(node, 0)
}

/// The queue of a disk.
#[inline(always)]
pub(crate) fn queue_of(disk: u64) -> u64 {
    at(disk, layout!(disk_queue))
}

/// Where the addresses of a queue's tags are, by hardware queue, and how many; none for a disk that takes bios.
#[inline(always)]
pub(crate) fn tags_of(queue: u64) -> (u64, u32) {
    let set = at(queue, layout!(queue_tag_set));
    if set == 0 {
        return (0, 0);
    }
    let queues = u32_at(set as *const u8, layout!(tag_set_queues));
    (at(set, layout!(tag_set_tags)), queues)
}

#[inline(always)]
fn at(base: u64, offset: u32) -> u64 {
    u64_at(base as *const u8, offset)
}
