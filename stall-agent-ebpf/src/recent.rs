//! A per-CPU cache of what a submission needs to know of its disk and process, so that a repeated one needs no look-up in a
//! hash map.
//!
//! An entry is used only when the disk's address and number, the process's id and start, and the operation all match. A reused
//! address or id is therefore looked up anew.
//!
//! An interrupt may submit between any two instructions of the submission it interrupts. The entry's sequence number reveals
//! what it changed; it does not use an entry that is half written.

use aya_ebpf::{macros::map, maps::Array};
use core::ptr::{read_volatile, write_volatile};
use stall_common::actor::UNKNOWN;
use stall_common::recent::{PLACES, PLACES_BITS, Recent};

use crate::kernel::{Gendisk, Reach, Request, Task};
use crate::{actor, disk, series, uses};

/// Sized by user space: places and CPUs.
#[map]
static RECENT: Array<Recent> = Array::with_max_entries(PLACES, 0);

/// What is known of a submission.
pub(crate) struct Known {
    pub(crate) actor: u32,
    pub(crate) row: u32,
    pub(crate) disk: u16,
    pub(crate) series: u16,
}

/// Who submits what where.
struct Asked {
    disk: u64,
    start_boottime_ns: u64,
    dev_tgid: u64,
    op: u64,
}

/// What is known of a submission by the running task; `None` when its disk is not traced.
#[inline(always)]
pub(crate) fn known(
    request: Request,
    op: u8,
    task: Task<impl Reach>,
    tgid: u32,
    cpu: u32,
) -> Option<Known> {
    let asked = asked(request.disk(), op, task, tgid, RECENT.get_ptr(0)?);
    let place = RECENT.get_ptr_mut(cpu * PLACES + asked.place());
    if let Some(known) = place.and_then(|place| find(place, &asked)) {
        return Some(known);
    }
    let mut known = Known {
        actor: UNKNOWN,
        row: 0,
        disk: 0,
        series: 0,
    };
    look_up(request, op, &mut known).then_some(())?;
    // What there was no room or no number for is counted each time, and looked for again.
    let whole = known.actor != UNKNOWN && known.series != series::NONE;
    if let Some(place) = place.filter(|_| whole) {
        keep(place, &asked, &known);
    }
    Some(known)
}

#[inline(always)]
fn asked(disk: Gendisk, op: u8, task: Task<impl Reach>, tgid: u32, still: *const Recent) -> Asked {
    Asked {
        disk: disk.distance(still),
        start_boottime_ns: task.leader().start_boottime_ns(),
        dev_tgid: u64::from(disk.dev()) << 32 | u64::from(tgid),
        op: u64::from(op) + 1,
    }
}

impl Asked {
    /// Of those of one CPU: the upper bits of a product (Fibonacci hashing).
    #[inline(always)]
    fn place(&self) -> u32 {
        let tgid = self.dev_tgid << 40;
        let mixed = self.disk ^ tgid ^ self.op;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES_BITS)) as u32
    }
}

#[inline(always)]
fn find(place: *const Recent, asked: &Asked) -> Option<Known> {
    // SAFETY: an element of an array map, and all of it are numbers. Volatile, so that all of it is read between the two
    // readings of the sequence.
    unsafe {
        let sequence = read_volatile(&raw const (*place).sequence);
        let known = Known {
            actor: read_volatile(&raw const (*place).actor),
            row: read_volatile(&raw const (*place).row),
            disk: read_volatile(&raw const (*place).disk),
            series: read_volatile(&raw const (*place).series),
        };
        let other = (read_volatile(&raw const (*place).disk_at) ^ asked.disk)
            | (read_volatile(&raw const (*place).start_boottime_ns) ^ asked.start_boottime_ns)
            | (read_volatile(&raw const (*place).dev_tgid) ^ asked.dev_tgid)
            | (read_volatile(&raw const (*place).op) ^ asked.op);
        let again = read_volatile(&raw const (*place).sequence);
        (other == 0 && sequence & 1 == 0 && sequence == again).then_some(known)
    }
}

#[inline(always)]
fn keep(place: *mut Recent, asked: &Asked, known: &Known) {
    // SAFETY: as above.
    unsafe {
        let sequence = read_volatile(&raw const (*place).sequence);
        if sequence & 1 != 0 {
            return;
        }
        write_volatile(&raw mut (*place).sequence, sequence.wrapping_add(1));
        write_volatile(&raw mut (*place).disk_at, asked.disk);
        write_volatile(&raw mut (*place).start_boottime_ns, asked.start_boottime_ns);
        write_volatile(&raw mut (*place).dev_tgid, asked.dev_tgid);
        write_volatile(&raw mut (*place).op, asked.op);
        write_volatile(&raw mut (*place).actor, known.actor);
        write_volatile(&raw mut (*place).row, known.row);
        write_volatile(&raw mut (*place).disk, known.disk);
        write_volatile(&raw mut (*place).series, known.series);
        write_volatile(&raw mut (*place).sequence, sequence.wrapping_add(2));
    }
}

/// False when the disk is not traced.
#[inline(never)]
fn look_up(request: Request, op: u8, known: &mut Known) -> bool {
    let Some(index) = disk::index(request) else {
        return false;
    };
    let Some(state) = disk::state(index) else {
        return false;
    };
    known.disk = index as u16;
    known.series = series::index(state, index, op);
    known.actor = actor::current();
    known.row = uses::number(known.actor, known.disk, op);
    true
}
