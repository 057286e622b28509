//! Requests that were in flight before the first hook, and might never complete. They are found by a search of all queues
//! ([`super::search`]).
//!
//! A request with a slot is known already, whether its submission, issue or completion was seen. When one completes on another
//! CPU at the same time, either that CPU's slot is found here, or this one is found there.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, PerCpuArray};
use stall_common::actor::{FLUSH_MACHINERY, UNKNOWN};
use stall_common::older::Waiter;
use stall_common::request::{ACTIVE, CLOCKED, OLDER, Op, Slot};
use stall_common::uses::NO_ROW;

use super::place;
use crate::kernel::tags::{Suspect, Tags};
use crate::{discard, disk, ktime, series};

/// Tags looked at at a time.
pub(super) const MAX_TAGS: u32 = 256;
/// Requests in flight taken in of so many tags; a power of two.
const MAX_FOUND: usize = 64;

/// The pointers that lead to the task waiting for a request, by the request's address.
#[map]
static WAITERS: HashMap<u64, Waiter> = HashMap::with_max_entries(1024, 0);

/// Requests in flight on one queue.
#[repr(C)]
#[derive(Clone, Copy)]
struct Found {
    /// Where the addresses of the queue's requests are, by tag.
    rqs: u64,
    /// The request queue, which tells the disk.
    queue: u64,
    count: u64,
    requests: [u64; MAX_FOUND],
}

#[map]
static FOUND: PerCpuArray<Found> = PerCpuArray::with_max_entries(1, 0);

/// Takes in what is in flight with the next tags, from one on, of a disk that may not have been seen yet. Returns how many.
#[inline(always)]
pub(super) fn take_in_tags(tags: &Tags, from: u32, disk: u64) -> u32 {
    let found = look_at_tags(tags, from);
    if found == 0 {
        return 0;
    }
    let Some(index) = disk::index_at(disk) else {
        return 0;
    };
    take_in_all(index as u16);
    found
}

/// Returns how many are in flight.
#[inline(always)]
fn look_at_tags(tags: &Tags, from: u32) -> u32 {
    let Some(found) = FOUND.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: this CPU's buffer.
    unsafe {
        (*found).rqs = tags.rqs + 8 * u64::from(from);
        (*found).queue = tags.queue;
        (*found).count = 0;
    }
    let mut tag = 0;
    while tag < MAX_TAGS && from + tag < tags.count {
        look_at_tag(tag);
        tag += 1;
    }
    // SAFETY: as above.
    unsafe { (*found).count as u32 }
}

#[inline(always)]
fn take_in_all(disk: u16) {
    let mut index = 0;
    while index < MAX_FOUND as u32 {
        take_in(index, disk.into());
        index += 1;
    }
}

/// Notes the request that has a tag, if it is in flight on the queue.
///
/// Exported, as is [`take_in`]: so the kernel checks them once, by themselves, and not for each turn of
/// the loops, which would make loading take half a second.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_at_tag(tag: u32) -> u32 {
    let Some(found) = FOUND.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: this CPU's buffer, which one program alone uses.
    let found = unsafe { &mut *found };
    if let Some(suspect) = Suspect::at_tag(found.rqs + 8 * u64::from(tag), found.queue) {
        found.requests[found.count as usize & (MAX_FOUND - 1)] = suspect.address();
        found.count += 1;
    }
    0
}

/// Starts tracking a request that was noted and has no slot yet.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn take_in(number: u32, index: u32) -> u32 {
    let Some(found) = FOUND.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: this CPU's buffer, which one program alone uses; masked to the array's elements.
    let found = unsafe { &*found };
    if u64::from(number) < found.count {
        begin(
            Suspect::new(found.requests[number as usize & (MAX_FOUND - 1)]),
            index as u16,
        );
    }
    0
}

#[inline(always)]
fn begin(suspect: Suspect, index: u16) {
    let queued_ns = suspect.start_time_ns();
    let Some(state) = disk::state(index.into()) else {
        return;
    };
    if queued_ns == 0 || place::is_known(suspect.address()) {
        return;
    }
    let now = ktime::now();
    let op = suspect.op();
    let flush = op == Op::Flush as u8;
    let clocked = if discard::is_discard(op) { CLOCKED } else { 0 };
    let new = Slot {
        queued_ns,
        discard_clock_ns: discard::clock(state, now).unwrap_or(u64::MAX),
        sector: suspect.sector(),
        bytes: suspect.bytes_left(),
        actor: if flush { FLUSH_MACHINERY } else { UNKNOWN },
        row: NO_ROW,
        disk: index,
        series: series::index(state, index.into(), op),
        op,
        flags: ACTIVE | clocked | if flush { 0 } else { OLDER },
        ..Slot::default()
    };
    // The clock starts before the discard can be seen to end.
    if clocked != 0 {
        discard::started(index, now);
    }
    if place::insert(suspect.address(), &new) {
        let _kept = WAITERS.insert(suspect.address(), suspect.waiter(), 0);
    } else if clocked != 0 {
        discard::ended(index);
    }
}
