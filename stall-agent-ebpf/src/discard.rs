//! Discards: the clock of their time in flight, and their sums by origin.
//!
//! Inserting a disk into `CLOCKS_GOING` starts its clock, deleting it stops the clock: of several CPUs at once exactly one
//! succeeds, on every kernel. (Atomic additions that return the old value need 5.12.) Insertions and deletions alternate, so
//! starts and stops do. Their order of addition to the clock's word does not matter. A start is added before the insertion, and
//! subtracted if that fails; a stop is added after the deletion. So there is never a stop without its start, which would read as
//! hours.
//!
//! A discard is counted before its issue checks whether the clock runs, and discounted before its completion checks whether any
//! is left. When nothing changes any more the clock is right, by the last change of `CLOCKS_GOING`:
//!
//! - A deletion: no discard was in flight when the count was read again after it. One issued since would have found the clock
//!   stopped, and inserted it.
//! - An insertion, by the issue of a discard, or by a completion that found one issued after its deletion, and again after its
//!   insertion. That discard was in flight then. If none is now, the last to complete read 0 after that, and deleted.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::HashMap};
use stall_common::discard::{self, DiscardKey, Discards};
use stall_common::disk::{DiskState, MAX_DISKS};
use stall_common::loss::Loss;
use stall_common::request::{Op, Slot};

use crate::{counter, disk, ktime, loss};

#[map]
static DISCARDS: HashMap<DiscardKey, Discards> = HashMap::with_max_entries(1024, 0);

/// Disks whose clock runs, by their index.
#[map]
static CLOCKS_GOING: HashMap<u32, u32> = HashMap::with_max_entries(MAX_DISKS as u32, 0);

/// How often a completion stops and restarts a clock for discards issued meanwhile; beyond that, the next one corrects it.
const TURNS: u32 = 4;

/// Whether an operation moves the discard clock, and is counted by origin: a secure erase is a discard that must not fail to erase.
#[inline(always)]
pub(crate) fn is_discard(op: u8) -> bool {
    op == Op::Discard as u8 || op == Op::SecureErase as u8
}

/// A discard was issued.
#[inline(never)]
pub(crate) fn started(disk: u16, now: u64) {
    let Some(state) = disk::state(disk.into()) else {
        return;
    };
    // SAFETY: a field of an element of an array map.
    unsafe { counter::add(&raw mut (*state).discards_in_flight, 1) };
    set_going(state, disk.into(), now);
}

/// A discard that was issued has just completed.
#[inline(never)]
pub(crate) fn ended(disk: u16) {
    let Some(state) = disk::state(disk.into()) else {
        return;
    };
    // SAFETY: a field of an element of an array map.
    unsafe { counter::add(&raw mut (*state).discards_in_flight, u64::MAX) };
    let mut turn = 0;
    while turn < TURNS {
        if is_discarding(state) || CLOCKS_GOING.remove(u32::from(disk)).is_err() {
            return;
        }
        // Not the discard's completion stamp: the clock stopped here may have been started since.
        let now = ktime::now();
        // SAFETY: a field of an element of an array map.
        unsafe { counter::add(&raw mut (*state).discard_clock, discard::stop(now)) };
        if !is_discarding(state) || !set_going(state, disk.into(), now) {
            return;
        }
        turn += 1;
    }
    loss::count(Loss::ClockRace);
}

/// Starts a stopped clock. False when it runs already.
#[inline(always)]
fn set_going(state: *mut DiskState, disk: u32, now: u64) -> bool {
    if CLOCKS_GOING.get_ptr(disk).is_some() {
        return false;
    }
    // SAFETY: a field of an element of an array map.
    let add = |ns| unsafe { counter::add(&raw mut (*state).discard_clock, ns) };
    add(discard::start(now));
    let is_first = CLOCKS_GOING.insert(disk, 1, BPF_NOEXIST.into()).is_ok();
    if !is_first {
        add(discard::stop(now));
    }
    is_first
}

#[inline(always)]
fn is_discarding(state: *const DiskState) -> bool {
    // SAFETY: a field of an element of an array map; volatile: other CPUs add.
    unsafe { (&raw const (*state).discards_in_flight).read_volatile() != 0 }
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

/// Sums up a completed discard.
#[inline(never)]
pub(crate) fn count(request: &Slot, queue_ns: u64, device_ns: u64, now: u64) {
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
