//! A request's completions, and its end.

use stall_common::loss::Loss;
use stall_common::record::{DISCARDS, EndedRequest, FEW, Kind, SLOW_REQUESTS};
use stall_common::request::{ACTIVE, CAME_BACK, CLOCKED, OLDER, Op, Slot};

use super::tally::{End, NOT_COUNTED, count_latencies, count_series, count_use, measure};
use super::{noted, slot};
use crate::kernel::Request;
use crate::{discard, disk, ktime, loss, owner, params, record, series};

/// Some bytes of a request are done.
#[inline(always)]
pub(super) fn completed(request: Request, failed: bool, bytes: u32) {
    let now = ktime::now();
    let left = request.bytes_left();
    let seen = slot::active(request).or_else(|| noted::begin(request, now));
    let Some(slot) = seen.or_else(|| older(request, bytes)) else {
        return;
    };
    slot.done_bytes = done_before(slot, left) + bytes;
    if failed {
        // SAFETY: a field of an element of an array map.
        disk::count(slot.disk, slot.op, |events| unsafe {
            &raw mut (*events).errors
        });
    }
    if bytes < left {
        // SAFETY: as above.
        disk::count(slot.disk, slot.op, |events| unsafe {
            &raw mut (*events).partial
        });
        return;
    }
    // The data part of a flush or FUA sequence completes with the flag set, and the whole again
    // after the flag is cleared; the block layer's own flush keeps it (block/blk-flush.c).
    if slot.op != Op::Flush as u8 && request.in_flush_sequence() {
        // SAFETY: as above.
        disk::count(slot.disk, slot.op, |events| unsafe {
            &raw mut (*events).sequenced
        });
        // Back from the driver: it waits for the block layer's flush, and the kernel does not count it as in flight.
        slot.flags |= CAME_BACK;
        return;
    }
    end(slot, now);
}

/// Bytes done when `left` are left of the request. The kernel subtracts what a completion completed,
/// so a missed one shows at the next. Bios merged into a request that was not seen
/// being issued can only hide that, never pretend it.
#[inline(always)]
fn done_before(slot: &Slot, left: u32) -> u32 {
    let done = slot.bytes.saturating_sub(left);
    if slot.done_bytes >= done {
        return slot.done_bytes;
    }
    loss::count(Loss::MissedPartial);
    done
}

/// A request that was never seen, with the kernel's own stamp of its start.
#[inline(never)]
fn older(request: Request, bytes: u32) -> Option<&'static mut Slot> {
    if bytes == 0 && slot::has_ended(request) {
        return None;
    }
    // On a disk that is not traced it does not count as missed.
    if disk::index(request).is_none() {
        disk::count_without_room(request);
        return None;
    }
    if request.start_time_ns() == 0 {
        loss::count(Loss::UnmatchedCompletion);
        return None;
    }
    slot::begin_unseen(request, ktime::now())
}

#[inline(always)]
fn end(slot: &mut Slot, now: u64) {
    slot.flags &= !ACTIVE;
    let Some(state) = disk::state(slot.disk.into()) else {
        return;
    };
    let end = measure(slot, state, now);
    let series = series::copy(slot.series, end.cpu);
    if let Some(series) = series {
        count_latencies(series, &end);
    }
    if slot.flags & OLDER != 0 {
        // SAFETY: a field of an element of an array map.
        disk::count(slot.disk, slot.op, |events| unsafe {
            &raw mut (*events).older
        });
    }
    let slow = end.total_ns >= params::slow_ns();
    let counted = count_use(slot, &end, slow);
    if counted == NOT_COUNTED
        && let Some(series) = series
    {
        count_series(series, slot, &end);
    }
    owner::count(slot, end.total_ns, end.service_ns);
    if discard::is_discard(slot.op) {
        end_discard(slot, &end);
    } else if slow && record::within_budget(SLOW_REQUESTS, counted < FEW) {
        send(Kind::SlowRequest, slot, &end);
    }
}

#[inline(always)]
fn end_discard(slot: &Slot, end: &End) {
    if slot.flags & CLOCKED != 0 {
        discard::ended(slot.disk);
    }
    discard::count(slot, end.queue_ns, end.device_ns, end.now);
    if record::within_budget(DISCARDS, false) {
        send(Kind::Discard, slot, end);
    }
}

#[inline(never)]
fn send(kind: Kind, slot: &Slot, end: &End) {
    record::send(kind, |to: *mut EndedRequest| {
        // SAFETY: a reserved record; each field is written.
        unsafe {
            (*to).request = *slot;
            // The time that the sums were made with.
            (*to).header.time_ns = end.now;
            (*to).overlap_ns = end.overlap_ns;
            (*to).service_ns = end.service_ns;
        }
    });
}
