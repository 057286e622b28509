//! Disks: an index for each, given at its first request, and their state.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::Array, maps::HashMap};
use aya_log_ebpf::debug;
use stall_common::disk::{Disk, DiskState, Events, IGNORED, MAX_DISKS, NAME_LEN};
use stall_common::loss::Loss;
use stall_common::record::{Kind, NewDisk};

use crate::kernel::{Gendisk, Request};
use crate::{counter, loss, params, record};

/// By the address of the gendisk: hidden disks have no device number.
#[map]
static DISKS: HashMap<u64, Disk> = HashMap::with_max_entries(1024, 0);

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
    let disk = request.disk();
    let dev = disk.dev();
    let index = match known(disk, dev) {
        Some(index) => index,
        None => introduce(disk, dev)?,
    };
    (index != IGNORED).then_some(index)
}

#[inline(always)]
fn known(disk: Gendisk, dev: u32) -> Option<u32> {
    // SAFETY: elements are written whole and never deleted.
    let known = unsafe { &*DISKS.get_ptr(disk.address())? };
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
        // SAFETY: the operation is masked to the array's 8 elements; the counter is a field of it.
        unsafe {
            let events = &raw mut (*state).events[usize::from(op & 7)];
            counter::add(counter(events), 1);
        }
    }
}

#[inline(never)]
fn introduce(disk: Gendisk, dev: u32) -> Option<u32> {
    let index = if wanted(disk) { number()? } else { IGNORED };
    let new = Disk { index, dev };
    let if_absent = BPF_NOEXIST.into();
    if DISKS.insert(disk.address(), new, if_absent).is_err() {
        // Another CPU was faster, and this number stays unused.
        if let Some(known) = known(disk, dev) {
            return Some(known);
        }
        // Replaces a disk that is gone.
        if DISKS.insert(disk.address(), new, 0).is_err() {
            loss::count(Loss::DisksFull);
            return None;
        }
    }
    if index == IGNORED {
        return Some(IGNORED);
    }
    debug!((), "disk {} is {}:{}", index, dev >> 20, dev & 0xf_ffff);
    record::send(Kind::NewDisk, |to: *mut NewDisk| {
        // SAFETY: a reserved record; each field is written.
        unsafe {
            (*to).disk = index;
            (*to).dev = dev;
            disk.copy_name(&raw mut (*to).name);
        }
    });
    Some(index)
}

/// A request of a driver's own queue has no disk and is nobody's I/O.
#[inline(always)]
fn wanted(disk: Gendisk) -> bool {
    if disk.address() == 0 {
        return false;
    }
    if !params::filtered() {
        return true;
    }
    let mut name = [0; NAME_LEN];
    disk.copy_name(&raw mut name);
    DISK_FILTER.get_ptr(name).is_some()
}

/// Of a new disk; [`IGNORED`] when there is no room, `None` when it is to be tried again.
#[inline(always)]
fn number() -> Option<u32> {
    let count = DISK_COUNT.get_ptr_mut(0)?;
    // SAFETY: a pointer to an element of an array map.
    let index = unsafe { counter::take(count) };
    if index.is_some_and(|index| index < MAX_DISKS as u64) {
        return index.map(|index| index as u32);
    }
    loss::count(Loss::DisksFull);
    index.map(|_| IGNORED)
}
