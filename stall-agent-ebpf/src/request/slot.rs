//! Where the state of a request is kept.
//!
//! Each `struct request` has one slot. Requests are preallocated per tag and reused, so a slot is overwritten by the next use and
//! never deleted.

use aya_log_ebpf::debug;
use stall_common::actor::{FLUSH_MACHINERY, UNKNOWN};
use stall_common::control::CLOSING;
use stall_common::loss::Loss;
use stall_common::request::{ACTIVE, CLOCKED, OLDER, Op, Slot};
use stall_common::uses::NO_ROW;

use super::place;
use super::tally::count_unseen;
use crate::kernel::Request;
use crate::{control, discard, disk, loss, series};

/// The slot of a request whose submission was seen.
#[inline(always)]
pub(super) fn active(request: Request) -> Option<&'static mut Slot> {
    let slot = slot(request)?;
    if slot.flags & ACTIVE == 0 {
        return None;
    }
    Some(slot)
}

/// Whether the request has completed already, with no bytes left. Multipath completes it with the last of its clones, and once
/// more without bytes when that clone is freed (`end_clone_bio()`, `dm_end_request()` in
/// drivers/md/dm-rq.c).
#[inline(always)]
pub(super) fn has_ended(request: Request) -> bool {
    let is_over = |slot: &mut Slot| slot.issued_ns != 0 && !began_since(request, slot.issued_ns);
    request.bytes_left() == 0 && slot(request).is_some_and(is_over)
}

/// Whether the request's current use began after this moment. It is stamped when it is allocated or, on 6.18, just after
/// `block_io_start`; in any case before it is issued (`blk_account_io_start()` in block/blk-mq.c).
#[inline(always)]
pub(super) fn began_since(request: Request, moment_ns: u64) -> bool {
    request.start_time_ns() > moment_ns
}

/// A request whose submission was not seen: the block layer's own flush, or one older than the
/// first hook. It starts at the kernel's stamp, or `now`.
#[inline(never)]
pub(super) fn begin_unseen(request: Request, now: u64) -> Option<&'static mut Slot> {
    if control::is_on(CLOSING) {
        return None;
    }
    let op = request.op();
    let stamp = request.start_time_ns();
    let slot = begin(request, op, if stamp == 0 { now } else { stamp }, now)?;
    if op == Op::Flush as u8 {
        slot.actor = FLUSH_MACHINERY;
    } else {
        slot.actor = UNKNOWN;
        slot.flags |= OLDER;
    }
    slot.tid = 0;
    Some(slot)
}

/// A life on the disk that is its request's.
#[inline(always)]
pub(super) fn begin(
    request: Request,
    op: u8,
    queued_ns: u64,
    now: u64,
) -> Option<&'static mut Slot> {
    let index = disk::index(request)?;
    let series = series::index(disk::state(index)?, index, op);
    begin_on((index as u16, series), request, op, queued_ns, now)
}

/// A request on a disk, by the indices of the disk and of its series.
///
/// The discard clock is read as of `now`: its value at a stamp in the past is unknown, so the overlap
/// of an older request is a lower bound. If the clock cannot be read, `u64::MAX` is stored: the request
/// then overlaps with nothing.
#[inline(always)]
pub(super) fn begin_on(
    (disk, series): (u16, u16),
    request: Request,
    op: u8,
    queued_ns: u64,
    now: u64,
) -> Option<&'static mut Slot> {
    let state = disk::state(disk.into())?;
    let slot = slot(request).or_else(|| new_slot(request))?;
    if slot.flags & ACTIVE != 0 {
        abandon(slot);
    }
    slot.queued_ns = queued_ns;
    slot.issued_ns = 0;
    slot.discard_clock_ns = discard::clock(state, now).unwrap_or(u64::MAX);
    slot.done_bytes = 0;
    slot.sector = request.sector();
    slot.stack = 0;
    slot.cgroup = 0;
    slot.bytes = request.bytes_left();
    slot.row = NO_ROW;
    slot.disk = disk;
    slot.series = series;
    slot.op = op;
    slot.flags = ACTIVE;
    slot.requeues = 0;
    Some(slot)
}

/// A request whose completion was missed, because the kernel skipped the program. It did complete,
/// since its `struct request` is reused: it counts, without a latency.
#[inline(never)]
fn abandon(slot: &Slot) {
    loss::count(Loss::MissedCompletion);
    debug!((), "completion of operation {} not seen", slot.op);
    if slot.flags & CLOCKED != 0 {
        discard::ended(slot.disk);
    }
    if slot.issued_ns == 0 && slot.flags & OLDER == 0 {
        return;
    }
    count_unseen(slot);
}

#[inline(always)]
fn slot(request: Request) -> Option<&'static mut Slot> {
    // SAFETY: an element of an array map. The block layer hands a request from one CPU to the
    // next, so the tracepoints of one request do not run at the same time.
    place::find(request).map(|slot| unsafe { &mut *slot })
}

#[inline(never)]
fn new_slot(request: Request) -> Option<&'static mut Slot> {
    place::insert(request.address(), &Slot::default());
    // Also when it got one meanwhile, as one that was in flight before the trace.
    let slot = slot(request);
    if slot.is_none() {
        loss::count(Loss::RequestsFull);
    }
    slot
}
