//! Latencies of an actor, disk and operation, with a discard in flight and without.

use aya_ebpf::{macros::map, maps::Array};
use stall_common::exposure::{BUCKETS, EXPOSED, Sides, UNEXPOSED, bucket};
use stall_common::loss::Loss;
use stall_common::uses::places;

use crate::{counter, loss};

/// An element for each of `USE_ROWS`, and sized as it is.
#[map]
static SIDES: Array<Sides> = Array::with_max_entries(places(8192, 1), 0);

/// Counts a latency.
#[inline(always)]
pub(crate) fn observe(place: u32, exposed: bool, ns: u64) {
    let Some(sides) = SIDES.get_ptr_mut(place) else {
        loss::count(Loss::UsesFull);
        return;
    };
    let bucket = counter::opaque(u64::from(bucket(ns)));
    if bucket >= BUCKETS as u64 {
        return; // never: the verifier cannot know
    }
    let side = if exposed { EXPOSED } else { UNEXPOSED };
    // SAFETY: both indices are within the arrays.
    unsafe { counter::increment(&raw mut (*sides).counts[side][bucket as usize]) };
}
