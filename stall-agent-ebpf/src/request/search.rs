//! Goes through the queues of all disks for requests that were in flight before the first hook ([`stall_common::older`]).

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use stall_common::older::{BDEVFS_MAGIC, DEVICES, DONE, LOST, QUEUES, SUPERBLOCKS, Search};

use super::older::{MAX_TAGS, take_in_tags};
use crate::kernel::Context;
use crate::kernel::Task;
use crate::kernel::devices::{self, Device, Superblock};
use crate::kernel::tags::Tags;

/// Superblocks that are looked at in a step.
const SUPERBLOCKS_AT_ONCE: u32 = 32;
/// All in all: more than a host has of containers' mounts.
const MAX_STEPS: u32 = 1 << 16;

/// Begun anew by user space.
#[map]
static SEARCH: Array<Search> = Array::with_max_entries(1, 0);

/// aya has no macro for iterators.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
fn older_requests(ctx: *mut Context) -> i32 {
    // SAFETY: the context of a task iterator.
    let Context { task, .. } = unsafe { core::ptr::read_volatile(ctx) };
    if task.is_null() || !devices::can_be_found() {
        return 0;
    }
    let Some(search) = SEARCH.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: an element of an array map, which one reader of the iterator at a time uses.
    let search = unsafe { &mut *search };
    search.steps += 1;
    if search.steps > MAX_STEPS {
        search.stage = LOST;
    }
    match search.stage {
        // SAFETY: the iterator's task, not null.
        SUPERBLOCKS => find_superblock(unsafe { Task::new(task) }, search),
        DEVICES => next_device(search),
        QUEUES => look_at_queue(search),
        _ => {}
    }
    0
}

/// Backwards: that of block devices is older than any that is mounted.
#[inline(always)]
fn find_superblock(task: Task, search: &mut Search) {
    if search.superblock == 0 {
        search.superblock = devices::root_of(task).0;
        search.first = search.superblock;
    }
    let mut looked_at = 0;
    while looked_at < SUPERBLOCKS_AT_ONCE {
        let superblock = Superblock(search.superblock);
        if superblock.magic() == BDEVFS_MAGIC {
            search.head = superblock.inodes();
            search.node = devices::next(search.head);
            search.stage = DEVICES;
            return;
        }
        search.superblock = superblock.before().0;
        if search.superblock == search.first {
            search.stage = LOST;
            return;
        }
        looked_at += 1;
    }
}

#[inline(always)]
fn next_device(search: &mut Search) {
    if search.node == search.head {
        search.stage = DONE;
        return;
    }
    let device = Device::at(search.node);
    // An inode that went away meanwhile leads nowhere.
    if device.superblock() != search.superblock {
        search.stage = LOST;
        return;
    }
    search.node = devices::next(search.node);
    let disk = device.disk();
    // Partitions are inodes of their own.
    if disk == 0 || disk == search.disk {
        return;
    }
    search.disk = disk;
    search.queue = devices::queue_of(disk);
    (search.tags, search.queues) = devices::tags_of(search.queue);
    (search.next, search.tag) = (0, 0);
    if search.tags != 0 && search.queues != 0 {
        search.stage = QUEUES;
    }
}

#[inline(always)]
fn look_at_queue(search: &mut Search) {
    let tags = Tags::at(search.tags + 8 * u64::from(search.next), search.queue);
    search.found += take_in_tags(&tags, search.tag, search.disk);
    search.tag += MAX_TAGS;
    if search.tag < tags.count {
        return;
    }
    search.tag = 0;
    search.next += 1;
    if search.next >= search.queues {
        search.stage = DEVICES;
    }
}
