//! Latencies of an actor, disk and operation, with a discard in flight and without.

use aya_ebpf::{macros::map, maps::Array};
use stall_common::exposure::{BUCKETS, EXPOSED, Sides, UNEXPOSED, bucket};
use stall_common::loss::Loss;

use crate::{counter, loss};

/// As many as `USES` has rows, and some that two CPUs may waste: an array, because its look-up is inlined where a hash map's is a call.
#[map]
static SIDES: Array<Sides> = Array::with_max_entries(8192 + 64, 0);

/// Indices given so far.
#[map]
static SIDES_COUNT: Array<u64> = Array::with_max_entries(1, 0);

/// An index nobody has. Two CPUs that meet over a new row take one each, and the loser's stays unused; one beyond
/// the end of the map is not counted.
#[inline(always)]
pub(crate) fn next() -> u32 {
    let Some(count) = SIDES_COUNT.get_ptr_mut(0) else {
        return u32::MAX;
    };
    // SAFETY: a pointer to an element of an array map.
    unsafe { counter::fetch_add(count, 1) as u32 }
}

/// Counts a latency.
#[inline(always)]
pub(crate) fn observe(index: u32, exposed: bool, ns: u64) {
    let Some(sides) = SIDES.get_ptr_mut(index) else {
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
