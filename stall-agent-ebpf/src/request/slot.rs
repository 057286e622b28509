//! Where the state of a request is kept.
//!
//! A slot is that of one `struct request`. Requests are preallocated per tag and used again, so a slot is taken over in place by
//! the next life, never deleted.

use aya_log_ebpf::debug;
use stall_common::actor::{FLUSH_MACHINERY, UNKNOWN};
use stall_common::control::CLOSING;
use stall_common::loss::Loss;
use stall_common::request::{ACTIVE, CLOCKED, OLDER, Op, Request as Slot};
use stall_common::uses::NO_ROW;

use super::place;
use super::tally::count_unseen;
use crate::kernel::Request;
use crate::{control, discard, disk, loss, series};

/// The slot of a request whose life was seen to begin.
#[inline(always)]
pub(super) fn active(request: Request) -> Option<&'static mut Slot> {
    let slot = slot(request)?;
    if slot.flags & ACTIVE == 0 {
        return None;
    }
    Some(slot)
}

/// Whether the request's life is over as far as is known, and nothing of it is left: multipath's completes it when the last of
/// its clones does, and once more without bytes when that clone is given back (`end_clone_bio()`, `dm_end_request()` in
/// drivers/md/dm-rq.c).
#[inline(always)]
pub(super) fn has_ended(request: Request) -> bool {
    let is_over = |slot: &mut Slot| slot.issued_ns != 0 && !began_since(request, slot.issued_ns);
    request.bytes_left() == 0 && slot(request).is_some_and(is_over)
}

/// Whether a request's life began after a moment in it or in one before: it is stamped when it is allocated, or (6.18) just after
/// `block_io_start`, and before it is issued in any case (`blk_account_io_start()` in block/blk-mq.c).
#[inline(always)]
pub(super) fn began_since(request: Request, moment_ns: u64) -> bool {
    request.start_time_ns() > moment_ns
}

/// A life whose submission was not seen: the block layer's own flush, or a request older than the
/// first hook. It began when the kernel says, or `now`.
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

/// A life on a disk, by its index and that of its series.
///
/// The discard clock is read as of `now`: what it was at a stamp in the past it does not tell, so
/// that an older request's overlap is a lower bound. Not to be read stands for the latest time
/// there is, which overlaps with nothing.
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

/// A life whose end was not seen, by whatever made the kernel leave the program out. It did end,
/// since its request is used again: it counts, without a latency.
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
