//! What is summed up per disk and operation, in copies for groups of CPUs.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::Array, maps::HashMap};
use stall_common::copies::copy_index;
use stall_common::disk::{DiskState, Latency, MAX_DISKS, SERIES_COPIED, Series};
use stall_common::histogram::{BUCKETS, bucket};
use stall_common::loss::Loss;
use stall_common::request::{OP_PLACES, OPS};

use crate::{counter, loss, params};

/// Sized by user space: series and copies.
#[map]
static SERIES: Array<Series> = Array::with_max_entries(64, 0);

/// Indices given so far.
#[map]
static SERIES_COUNT: Array<u64> = Array::with_max_entries(1, 0);

/// By `disk << 8 | operation`.
#[map]
static SERIES_IDS: HashMap<u32, u32> = HashMap::with_max_entries((MAX_DISKS * OPS) as u32, 0);

/// A series that does not exist: beyond the end of the map.
pub(crate) const NONE: u16 = u16::MAX;

/// Index of the series of a disk and operation.
#[inline(always)]
pub(crate) fn index(state: *mut DiskState, disk: u32, op: u8) -> u16 {
    // SAFETY: the operation is masked to the array's elements.
    let known = unsafe { (*state).series[usize::from(op) & (OP_PLACES - 1)] };
    if known != 0 {
        return (known - 1) as u16;
    }
    introduce(state, disk, op)
}

/// A CPU's copy of a series.
#[inline(always)]
pub(crate) fn copy(series: u16, cpu: u32) -> Option<*mut Series> {
    let mask = params::copies_mask();
    let place = copy_index(series.into(), SERIES_COPIED, cpu & mask, mask + 1);
    let copy = SERIES.get_ptr_mut(place);
    if copy.is_none() {
        loss::count(Loss::SeriesFull);
    }
    copy
}

/// Counts a latency.
#[inline(always)]
pub(crate) fn observe(series: *mut Series, latency: Latency, ns: u64) {
    let index = counter::opaque(u64::from(bucket(ns)));
    if index >= BUCKETS as u64 {
        return; // never: the verifier cannot know
    }
    // SAFETY: both indices are within the arrays.
    unsafe { counter::increment(&raw mut (*series).histograms[latency as usize][index as usize]) };
}

/// Two CPUs may come here at once for the same series: the one whose insert succeeds decides, and
/// the other's number stays unused.
#[inline(never)]
fn introduce(state: *mut DiskState, disk: u32, op: u8) -> u16 {
    let key = disk << 8 | u32::from(op);
    let Some(count) = SERIES_COUNT.get_ptr_mut(0) else {
        return NONE;
    };
    // SAFETY: a pointer to an element of an array map.
    if let Some(number) = unsafe { counter::take(count) } {
        let _exists = SERIES_IDS.insert(key, number as u32, BPF_NOEXIST.into());
    }
    let Some(number) = SERIES_IDS.get_ptr(key) else {
        return NONE;
    };
    // SAFETY: elements are written once and never deleted; the operation is masked to the array.
    unsafe {
        (*state).series[usize::from(op) & (OP_PLACES - 1)] = *number + 1;
        *number as u16
    }
}
