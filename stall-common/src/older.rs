//! The search for requests that were in flight before the first hook, on queues that get no new ones too.
//!
//! Every block device has an inode in the superblock of the kernel's own filesystem of block devices (`bdev`, block/bdev.c). It is
//! found from the root filesystem of the first process, by the list of all superblocks; the devices lead to their disks, these
//! to their queues, and these to the requests by tag. A program does a step of that for each task that an iterator shows it.

/// `BDEVFS_MAGIC`
pub const BDEVFS_MAGIC: u64 = 0x6264_6576;

/// [`Search::stage`]: looks for the superblock of block devices. The state to begin with is all zeros.
pub const SUPERBLOCKS: u32 = 0;
/// Goes from one block device to the next.
pub const DEVICES: u32 = 1;
/// Looks at the hardware queues of a disk.
pub const QUEUES: u32 = 2;
/// All devices have been looked at.
pub const DONE: u32 = 3;
/// The way could not be found.
pub const LOST: u32 = 4;

/// Element of `SEARCH`: how far it is. Addresses but for the last fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The superblock that is looked at.
    pub superblock: u64,
    /// The one that it began with.
    pub first: u64,
    /// Of the list of inodes, in the superblock.
    pub head: u64,
    /// The inode that is next, as a node of the list.
    pub node: u64,
    /// `struct gendisk`
    pub disk: u64,
    /// `struct request_queue`
    pub queue: u64,
    /// `struct blk_mq_tags *` by hardware queue.
    pub tags: u64,
    /// Hardware queues it has.
    pub queues: u32,
    /// The next of them.
    pub next: u32,
    /// The next tag of that.
    pub tag: u32,
    /// One of the above.
    pub stage: u32,
    /// Steps taken.
    pub steps: u32,
    /// Requests found.
    pub found: u32,
}

/// Pointers that lead from a request to who waits for it: `bi_private` of its first bio, what that is for a bio in turn, and the
/// tasks that direct I/O notes.
pub const POINTERS: usize = 6;

/// Value of `WAITERS`; the key is the address of the request.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiter {
    /// A `struct task_struct`, an address on the stack of a task (a completion), or anything else.
    pub pointers: [u64; POINTERS],
}

impl Waiter {
    /// Whether it leads to a task, by its address and its stack's.
    #[must_use]
    pub fn is(&self, task: u64, stack: core::ops::Range<u64>) -> bool {
        let mut pointers = self.pointers.iter();
        pointers.any(|at| *at != 0 && (*at == task || stack.contains(at)))
    }
}

crate::abi!(Search: 80, Waiter: 8 * POINTERS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_is_known_by_its_address_or_its_stack() {
        let of = |at| Waiter {
            pointers: [0, 0, at, 0, 7, 0],
        };
        assert!(of(1_000).is(1_000, 0..0));
        assert!(of(0x1_0010).is(1_000, 0x1_0000..0x1_4000));
        assert!(!of(0x1_4000).is(1_000, 0x1_0000..0x1_4000));
        assert!(!Waiter::default().is(0, 0..0x4000));
    }
}
