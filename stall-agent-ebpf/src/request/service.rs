//! How long the disk served a request alone, derived from the order of completions: for a
//! single server that is completed - max(queued, last completion before) (Lindley).

use aya_ebpf::{macros::map, maps::Array};
use stall_common::disk::MAX_DISKS;
use stall_common::request::{SERVICE_MIN_NS, Slot};

/// Groups of CPUs that share a stamp; a power of two.
const SHARDS: usize = 16;

/// The last final completion on the CPUs of a shard.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ended {
    at_ns: u64,
    /// Keeps the stamps of two shards apart by a cache line.
    padding: [u64; 7],
}

/// By the disk's index. Each completion stores, so that nothing is atomic: of two CPUs of a shard
/// at once, either is the last.
#[map]
static LAST_ENDED: Array<[Ended; SHARDS]> = Array::with_max_entries(MAX_DISKS as u32, 0);

/// A request of this length ends now. Its service time; 0 when it is too short to be worth the
/// look at all CPUs.
#[inline(always)]
pub(super) fn ended(slot: &Slot, now: u64, total_ns: u64, cpu: u32) -> u64 {
    let Some(shards) = LAST_ENDED.get_ptr_mut(slot.disk.into()) else {
        return 0;
    };
    let service_ns = if total_ns < SERVICE_MIN_NS {
        0
    } else {
        now.saturating_sub(last(shards, slot.queued_ns))
    };
    // SAFETY: the index is masked to the array's elements.
    unsafe { (*shards)[cpu as usize & (SHARDS - 1)].at_ns = now };
    service_ns
}

/// The latest of the stamps and `queued_ns`.
#[inline(never)]
fn last(shards: *const [Ended; SHARDS], queued_ns: u64) -> u64 {
    let mut last = queued_ns;
    let mut shard = 0;
    while shard < SHARDS {
        // SAFETY: an element of an array map, and an index within it. Volatile: other CPUs store.
        let at_ns = unsafe { core::ptr::read_volatile(&raw const (*shards)[shard].at_ns) };
        if at_ns > last {
            last = at_ns;
        }
        shard += 1;
    }
    last
}
