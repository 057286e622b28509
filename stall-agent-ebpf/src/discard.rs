//! Discards: the clock of their time in flight, and their sums by origin.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::HashMap};
use stall_common::discard::{self, DiscardKey, Discards};
use stall_common::disk::DiskState;
use stall_common::loss::Loss;
use stall_common::request::{Op, Request};

use crate::{counter, loss};

#[map]
static DISCARDS: HashMap<DiscardKey, Discards> = HashMap::with_max_entries(1024, 0);

/// Whether an operation moves the discard clock.
#[inline(always)]
pub(crate) fn is_discard(op: u8) -> bool {
    op == Op::Discard as u8
}

/// Whether an operation is counted by origin.
#[inline(always)]
pub(crate) fn has_origin(op: u8) -> bool {
    op == Op::Discard as u8 || op == Op::SecureErase as u8
}

/// A discard was issued.
#[inline(always)]
pub(crate) fn started(state: *mut DiskState, now: u64) {
    // SAFETY: a pointer to an element of an array map.
    unsafe {
        if counter::fetch_add(&raw mut (*state).discards_in_flight, 1) == 0 {
            counter::add(&raw mut (*state).discard_clock, discard::start(now));
        }
    }
}

/// A discard that was issued has ended.
#[inline(always)]
pub(crate) fn ended(state: *mut DiskState, now: u64) {
    // SAFETY: a pointer to an element of an array map.
    unsafe {
        if counter::fetch_add(&raw mut (*state).discards_in_flight, u64::MAX) == 1 {
            counter::add(&raw mut (*state).discard_clock, discard::stop(now));
        }
    }
}

/// The disk's discard clock; `None`, and counted, between two changes.
#[inline(always)]
pub(crate) fn clock(state: *mut DiskState, now: u64) -> Option<u64> {
    // SAFETY: a pointer to an element of an array map; the word is read once.
    let word = unsafe { core::ptr::read_volatile(&raw const (*state).discard_clock) };
    let clock = discard::read(word, now);
    if clock.is_none() {
        loss::count(Loss::ClockRace);
    }
    clock
}

/// Sums up a discard that has ended.
#[inline(never)]
pub(crate) fn count(request: &Request, queue_ns: u64, device_ns: u64, now: u64) {
    let key = DiscardKey {
        stack: request.stack,
        actor: request.actor,
        disk: request.disk,
        op: request.op.into(),
    };
    let Some(row) = row(key, request.queued_ns) else {
        return;
    };
    // SAFETY: a pointer to an element of a hash map that is never deleted.
    unsafe {
        counter::add(&raw mut (*row).ops, 1);
        counter::add(&raw mut (*row).bytes, request.done_bytes.into());
        counter::add(&raw mut (*row).queue_ns, queue_ns);
        counter::add(&raw mut (*row).device_ns, device_ns);
        counter::raise(&raw mut (*row).slowest_ns, device_ns);
        counter::raise(&raw mut (*row).last_completed_ns, now);
    }
}

#[inline(always)]
fn row(key: DiscardKey, first_queued_ns: u64) -> Option<*mut Discards> {
    if let Some(row) = DISCARDS.get_ptr_mut(key) {
        return Some(row);
    }
    let new = Discards {
        first_queued_ns,
        ..Discards::default()
    };
    // That another CPU just inserted it is no error.
    let _exists = DISCARDS.insert(key, new, BPF_NOEXIST.into());
    let row = DISCARDS.get_ptr_mut(key);
    if row.is_none() {
        loss::count(Loss::DiscardsFull);
    }
    row
}
