//! What an actor did on a disk with an operation, in copies for groups of CPUs.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::Array, maps::HashMap};
use stall_common::loss::Loss;
use stall_common::uses::{NO_ROW, ROWS, Use, UseKey, place, places};

use crate::{counter, loss, params};

#[map]
static USES: HashMap<UseKey, u32> = HashMap::with_max_entries(ROWS, 0);

/// Numbers given so far.
#[map]
static USES_COUNT: Array<u64> = Array::with_max_entries(1, 0);

/// Sized by user space: rows and copies.
#[map]
static USE_ROWS: Array<Use> = Array::with_max_entries(places(1), 0);

/// Number of the row of an actor, a disk and an operation; [`NO_ROW`] when there is no room.
#[inline(always)]
pub(crate) fn number(actor: u32, disk: u16, op: u8) -> u32 {
    let key = UseKey {
        actor,
        disk,
        op: op.into(),
    };
    known(key).unwrap_or_else(|| introduce(key))
}

#[inline(always)]
fn known(key: UseKey) -> Option<u32> {
    // SAFETY: elements are written once, whole, and never deleted.
    USES.get_ptr(key).map(|number| unsafe { *number })
}

/// Two CPUs may come here at once for the same row: the one whose insert succeeds decides, and the other's number stays
/// unused.
#[inline(never)]
fn introduce(key: UseKey) -> u32 {
    let Some(count) = USES_COUNT.get_ptr_mut(0) else {
        return NO_ROW;
    };
    // SAFETY: a pointer to an element of an array map.
    if let Some(number) = unsafe { counter::take(count) } {
        let _exists = USES.insert(key, number as u32, BPF_NOEXIST.into());
    }
    known(key).unwrap_or(NO_ROW)
}

/// This CPU's copy of a row, and where that is: in `SIDES` there is the same place.
#[inline(always)]
pub(crate) fn copy(row: u32, cpu: u32) -> Option<(*mut Use, u32)> {
    let mask = params::shard_mask();
    let place = place(row, cpu & mask, mask + 1);
    let copy = if row == NO_ROW {
        None
    } else {
        USE_ROWS.get_ptr_mut(place)
    };
    if copy.is_none() {
        loss::count(Loss::UsesFull);
    }
    Some((copy?, place))
}
