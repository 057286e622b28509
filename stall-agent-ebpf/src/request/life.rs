//! A request from its submission to just before its end.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use core::ffi::c_void;

use stall_common::request::{CAME_BACK, CLOCKED, Slot};

use super::noted;
use super::slot::{active, began_since, begin_on, begin_unseen};
use crate::kernel::{Either, Reach, Request, Task};
use crate::{cpu, discard, disk, ktime, recent, stack};

/// A new life, in the submitter's context, who is reached in this way.
#[inline(always)]
pub(super) fn submitted<R: Reach>(ctx: *mut c_void, request: Request) {
    let now = ktime::now();
    let op = request.op();
    let task = Task::<R>::current();
    let ids = bpf_get_current_pid_tgid();
    let Some(known) = recent::known(request, op, task, (ids >> 32) as u32, cpu::current()) else {
        return;
    };
    let Some(slot) = begin_on((known.disk, known.series), request, op, now, now) else {
        return;
    };
    slot.tid = ids as u32;
    slot.actor = known.actor;
    slot.row = known.row;
    // Whoever else submits is the one it is for.
    if task.is_kernel_thread() {
        slot.cgroup = request.cgroup();
    }
    if discard::is_discard(slot.op) {
        slot.stack = stack::of_current(ctx);
    }
}

/// Inserted into the scheduler without a submission that was seen. The running task is the submitter, unless the request comes
/// back after a requeue or submitters are noted by bio. When that note was evicted the submitter is unknown: another thread may
/// be flushing its plug.
#[inline(always)]
pub(super) fn inserted(ctx: *mut c_void, request: Request) {
    let moment = |slot: &mut Slot| slot.queued_ns.max(slot.issued_ns);
    if active(request).is_some_and(|slot| !began_since(request, moment(slot))) {
        return;
    }
    let now = ktime::now();
    if noted::begin(request, now).is_some() {
        return;
    }
    if noted::should_know(request) {
        begin_unseen(request, now);
    } else {
        submitted::<Either>(ctx, request);
    }
}

/// Issued to the driver, for the first time or again after a requeue.
#[inline(always)]
pub(super) fn issued(request: Request) {
    let now = ktime::now();
    // The slot was reused without us seeing the previous completion or the new submission.
    let is_its = |slot: &&mut Slot| slot.issued_ns == 0 || !began_since(request, slot.issued_ns);
    let seen = active(request).filter(is_its);
    let seen = seen.or_else(|| noted::begin(request, now));
    let Some(slot) = seen.or_else(|| begin_unseen(request, now)) else {
        return;
    };
    slot.flags &= !CAME_BACK;
    if slot.issued_ns != 0 {
        return;
    }
    slot.issued_ns = now;
    // Bios may have been merged into it since.
    slot.bytes = request.bytes_left();
    if discard::is_discard(slot.op) && slot.flags & CLOCKED == 0 {
        slot.flags |= CLOCKED;
        discard::started(slot.disk, now);
    }
}

/// Came back from the driver. Its clock goes on.
#[inline(always)]
pub(super) fn requeued(request: Request) {
    if let Some(slot) = active(request) {
        slot.requeues = slot.requeues.saturating_add(1);
        slot.flags |= CAME_BACK;
        disk::count(slot.disk, slot.op, |events| {
            // SAFETY: a field of an element of an array map.
            unsafe { &raw mut (*events).requeues }
        });
    }
}

/// Ends without a completion.
#[inline(always)]
pub(super) fn merged(request: Request) {
    noted::forget(request);
    if let Some(slot) = active(request) {
        if slot.flags & CLOCKED != 0 {
            discard::ended(slot.disk);
        }
        slot.flags = 0;
        disk::count(slot.disk, slot.op, |events| {
            // SAFETY: a field of an element of an array map.
            unsafe { &raw mut (*events).merges }
        });
    }
}
