//! What an actor did on a disk with an operation, in copies for groups of CPUs.
//!
//! Row numbers are allocated in order, first all unused ones, then those of actors that have ended, which user space returns
//! through the ring `USE_NUMBERS`. When two CPUs race for a row, one number stays unused: its row has no owner.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::Array, maps::HashMap};
use stall_common::loss::Loss;
use stall_common::uses::{COPIED, NO_ROW, NUMBERS, Use, UseKey, copy_index, owner, places};

use crate::{counter, loss, params};

/// Sized by user space, as the next three.
#[map]
static USES: HashMap<UseKey, u32> = HashMap::with_max_entries(8192, 0);

/// Rows and copies.
#[map]
static USE_ROWS: Array<Use> = Array::with_max_entries(places(8192, 1), 0);

#[map]
static USE_NUMBERS: Array<u32> = Array::with_max_entries(NUMBERS, 0);

/// Numbers taken so far.
#[map]
static USES_TAKEN: Array<u64> = Array::with_max_entries(1, 0);

/// Numbers given so far.
#[map]
static USES_GIVEN: Array<u64> = Array::with_max_entries(1, 0);

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
    // SAFETY: elements are written once, whole, and deleted when their actor has ended.
    USES.get_ptr(key).map(|number| unsafe { *number })
}

/// Two CPUs may come here at once for the same row: the one whose insert succeeds decides.
#[inline(never)]
fn introduce(key: UseKey) -> u32 {
    let Some(number) = next() else {
        return NO_ROW;
    };
    let owner = owner(key);
    name(number, owner);
    if USES.insert(key, number, BPF_NOEXIST.into()).is_err() {
        name(number, 0);
    }
    known(key).unwrap_or(NO_ROW)
}

/// The next number, if there is one.
#[inline(always)]
fn next() -> Option<u32> {
    let taken = USES_TAKEN.get_ptr_mut(0)?;
    let given = USES_GIVEN.get_ptr(0)?;
    // SAFETY: pointers to elements of array maps; volatile: others write.
    let number = unsafe {
        let given = given.read_volatile();
        // User space returns numbers allocated beyond the end, so a race of several CPUs does little harm.
        if taken.read_volatile() >= given {
            return None;
        }
        counter::take(taken).filter(|number| *number < given)?
    };
    if number < params::rows().into() {
        return Some(number as u32);
    }
    let number = USE_NUMBERS.get_ptr(number as u32 & (NUMBERS - 1))?;
    // SAFETY: as above.
    Some(unsafe { number.read_volatile() })
}

/// Says in each copy of a row whose it is.
#[inline(always)]
fn name(number: u32, owner: u64) {
    let copies = params::copies_mask() + 1;
    let copies_of_it = if number < COPIED { copies } else { 1 };
    let mut copy = 0;
    while copy < MAX_COPIES && copy < copies_of_it {
        if let Some(row) = USE_ROWS.get_ptr_mut(copy_index(number, copy, copies)) {
            // SAFETY: a field of an element of an array map.
            unsafe { (&raw mut (*row).owner).write_volatile(owner) };
        }
        copy += 1;
    }
}

/// Bounds a loop, for the verifier: more than there are.
const MAX_COPIES: u32 = 64;

/// This CPU's copy of a row, when it is of this owner, and where that is: in `SIDES` there is the same place.
#[inline(always)]
pub(crate) fn copy(row: u32, owner: u64, cpu: u32) -> Option<(*mut Use, u32)> {
    if row == NO_ROW {
        return None;
    }
    let mask = params::copies_mask();
    let place = copy_index(row, cpu & mask, mask + 1);
    let copy = USE_ROWS.get_ptr_mut(place)?;
    // SAFETY: a field of an element of an array map; volatile: user space writes.
    let of = unsafe { (&raw const (*copy).owner).read_volatile() };
    (of == owner).then_some((copy, place))
}

/// Counts a request that has no row.
#[inline(always)]
pub(crate) fn count_lost() {
    loss::count(Loss::UsesFull);
}
