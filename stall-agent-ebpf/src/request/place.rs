//! Finds the slot of a request by the request's address.
//!
//! A request gets a slot when it is first seen and keeps it for the whole trace: requests are preallocated per tag and reused.
//! So a cached slot number stays valid, whichever CPU wrote it. `REQUEST_NUMBERS` decides between two numbers assigned at once.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::Array, maps::HashMap};
use core::ptr::{read_volatile, write_volatile};
use stall_common::place::{self, NUMBERS, PLACES};
use stall_common::request::Slot;

use crate::counter;
use crate::kernel::Request;

/// Slots, by their numbers. Sized by user space from the tags the disks have.
#[map]
static REQUESTS: Array<Slot> = Array::with_max_entries(16384, 0);

/// Numbers, by the address of the `struct request`.
#[map]
static REQUEST_NUMBERS: HashMap<u64, u32> = HashMap::with_max_entries(16384, 0);

/// Numbers given so far.
#[map]
static REQUEST_COUNT: Array<u64> = Array::with_max_entries(1, 0);

#[map]
static REQUEST_PLACES: Array<u64> = Array::with_max_entries(PLACES, 0);

/// The slot of a request that has one.
#[inline(always)]
pub(super) fn find(request: Request) -> Option<*mut Slot> {
    let (place, at) = place(request)?;
    // SAFETY: an element of an array map; volatile: other CPUs write, and it is read once.
    let number = place::number(unsafe { read_volatile(place) }, at);
    if number < NUMBERS.into() {
        return REQUESTS.get_ptr_mut(number as u32);
    }
    look_up(request)
}

#[inline(always)]
fn place(request: Request) -> Option<(*mut u64, u64)> {
    let at = request.distance(REQUEST_COUNT.get_ptr(0)?);
    Some((REQUEST_PLACES.get_ptr_mut(place::of(at))?, at))
}

/// The slot of a request that is not cached at its place; caches it there.
#[inline(never)]
fn look_up(request: Request) -> Option<*mut Slot> {
    let (place, at) = place(request)?;
    // SAFETY: an element of a hash map that is never deleted, written whole.
    let number = unsafe { *REQUEST_NUMBERS.get_ptr(request.address())? };
    // SAFETY: an element of an array map, written whole.
    unsafe { write_volatile(place, place::word(at, number)) };
    REQUESTS.get_ptr_mut(number)
}

/// Whether there is a slot.
#[inline(always)]
pub(super) fn is_known(request: u64) -> bool {
    REQUEST_NUMBERS.get_ptr(request).is_some()
}

/// Gives a request a slot with these contents; false when it has one, or there is no room.
#[inline(never)]
pub(super) fn insert(request: u64, slot: &Slot) -> bool {
    let number = next_request_number();
    if number >= NUMBERS.into() {
        return false;
    }
    let number = number as u32;
    let Some(to) = REQUESTS.get_ptr_mut(number) else {
        return false;
    };
    // SAFETY: an element of an array map that is nobody else's, as its number is not.
    unsafe { to.write(*slot) };
    REQUEST_NUMBERS
        .insert(request, number, BPF_NOEXIST.into())
        .is_ok()
}

/// The next number; more than there can be when there is none.
///
/// Exported: so the kernel checks it once, by itself, and not wherever a request may be seen first.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn next_request_number() -> u64 {
    let Some(count) = REQUEST_COUNT.get_ptr_mut(0) else {
        return u64::MAX;
    };
    // SAFETY: a pointer to an element of an array map.
    unsafe { counter::take(count) }.unwrap_or(u64::MAX)
}
