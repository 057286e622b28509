//! Disks: an index for each, given at its first request, and their state.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::Array, maps::HashMap};
use aya_log_ebpf::debug;
use stall_common::disk::{Disk, DiskState, Events, FILTERED, MAX_DISKS, NAME_LEN, NO_ROOM};
use stall_common::loss::Loss;
use stall_common::record::{Kind, NewDisk};
use stall_common::request::OP_PLACES;

use crate::kernel::{Request, copy_disk_name, dev_of};
use crate::{counter, loss, params, record};

/// By the address of the gendisk: hidden disks have no device number.
#[map]
static DISKS: HashMap<u64, Disk> = HashMap::with_max_entries(2 * MAX_DISKS as u32, 0);

/// The names of the disks to trace, when `Params::filter` is set: of a hidden disk sysfs tells
/// the name only.
#[map]
static DISK_FILTER: HashMap<[u8; NAME_LEN], u32> = HashMap::with_max_entries(1024, 0);

#[map]
static DISK_STATES: Array<DiskState> = Array::with_max_entries(MAX_DISKS as u32, 0);

/// Indices given so far.
#[map]
static DISK_COUNT: Array<u64> = Array::with_max_entries(1, 0);

/// Index of a request's disk; `None` when it is not traced.
#[inline(always)]
pub(crate) fn index(request: Request) -> Option<u32> {
    let index = found(request);
    (index < NO_ROOM).then_some(index)
}

/// Index of a disk by its address; `None` when it is not traced.
#[inline(always)]
pub(crate) fn index_at(disk: u64) -> Option<u32> {
    let dev = dev_of(disk);
    let index = match known(disk, dev) {
        Some(index) => index,
        None => introduce(disk, dev),
    };
    (index < NO_ROOM).then_some(index)
}

/// Counts a request that has ended on a disk for which there is no room.
#[inline(never)]
pub(crate) fn count_without_room(request: Request) {
    if found(request) == NO_ROOM {
        loss::count(Loss::DisksFull);
    }
}

/// Index of a request's disk, or why there is none.
#[inline(always)]
fn found(request: Request) -> u32 {
    let disk = request.disk();
    let dev = disk.dev();
    match known(disk.address(), dev) {
        Some(index) => index,
        None => introduce(disk.address(), dev),
    }
}

#[inline(always)]
fn known(disk: u64, dev: u32) -> Option<u32> {
    // SAFETY: elements are written whole and never deleted.
    let known = unsafe { &*DISKS.get_ptr(disk)? };
    (known.dev == dev).then_some(known.index)
}

/// State of a disk.
#[inline(always)]
pub(crate) fn state(index: u32) -> Option<*mut DiskState> {
    DISK_STATES.get_ptr_mut(index)
}

/// Counts something rare of a request's disk and operation.
#[inline(always)]
pub(crate) fn count(disk: u16, op: u8, counter: impl FnOnce(*mut Events) -> *mut u64) {
    if let Some(state) = state(disk.into()) {
        // SAFETY: the operation is masked to the array's elements; the counter is a field of it.
        unsafe {
            let events = &raw mut (*state).events[usize::from(op) & (OP_PLACES - 1)];
            counter::add(counter(events), 1);
        }
    }
}

/// By its address, which is a number here: what it is called is copied.
#[inline(never)]
fn introduce(disk: u64, dev: u32) -> u32 {
    let Some(index) = new_index(disk) else {
        return NO_ROOM;
    };
    let new = Disk { index, dev };
    if DISKS.insert(disk, new, BPF_NOEXIST.into()).is_err() {
        // Another CPU was faster, and this number stays unused.
        if let Some(known) = known(disk, dev) {
            return known;
        }
        // Replaces a disk that is gone.
        if DISKS.insert(disk, new, 0).is_err() {
            return NO_ROOM;
        }
    }
    if index == FILTERED {
        return FILTERED;
    }
    debug!((), "disk {} is {}:{}", index, dev >> 20, dev & 0xf_ffff);
    record::send(Kind::NewDisk, |to: *mut NewDisk| {
        // SAFETY: a reserved record; each field is written.
        unsafe {
            (*to).disk = index;
            (*to).dev = dev;
            copy_disk_name(disk, &raw mut (*to).name);
        }
    });
    index
}

/// Of a new disk; `None` when it is to be tried again. What is sent to a driver's own queue has no disk and is nobody's I/O.
#[inline(always)]
fn new_index(disk: u64) -> Option<u32> {
    if disk == 0 || !wanted(disk) {
        return Some(FILTERED);
    }
    let count = DISK_COUNT.get_ptr_mut(0)?;
    // SAFETY: a pointer to an element of an array map.
    let number = unsafe { counter::take(count) }?;
    let is_room = number < MAX_DISKS as u64 && state(number as u32).is_some();
    Some(if is_room { number as u32 } else { NO_ROOM })
}

#[inline(always)]
fn wanted(disk: u64) -> bool {
    if !params::filtered() {
        return true;
    }
    let mut name = [0; NAME_LEN];
    copy_disk_name(disk, &raw mut name);
    DISK_FILTER.get_ptr(name).is_some()
}
