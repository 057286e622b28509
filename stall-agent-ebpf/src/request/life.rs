//! A request from its submission to just before its end.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use core::ffi::c_void;

use stall_common::request::{CLOCKED, SEARCHED};

use super::older;
use super::slot::{active, begin, begin_unseen};
use crate::kernel::{Request, Task};
use crate::{actor, discard, disk, ktime, stack};

/// A new life, in the submitter's context.
#[inline(always)]
pub(super) fn submitted(ctx: *mut c_void, request: Request) {
    let now = ktime::now();
    let Some(slot) = begin(request, request.op() as u8, now, now) else {
        return;
    };
    if slot.flags & SEARCHED == 0 {
        slot.flags |= SEARCHED;
        older::search(request, slot.disk);
    }
    slot.tid = bpf_get_current_pid_tgid() as u32;
    slot.actor = actor::current();
    // Whoever else submits is the one it is for.
    if Task::current().is_kernel_thread() {
        slot.cgroup = request.cgroup();
    }
    if discard::has_origin(slot.op) {
        slot.stack = stack::of_current(ctx);
    }
}

/// Goes to the driver, for the first time or again after a requeue.
#[inline(always)]
pub(super) fn issued(request: Request) {
    let now = ktime::now();
    let Some(slot) = active(request).or_else(|| begin_unseen(request, now)) else {
        return;
    };
    if slot.issued_ns != 0 {
        return;
    }
    slot.issued_ns = now;
    // Bios may have been merged into it since.
    slot.bytes = request.bytes_left();
    if discard::is_discard(slot.op)
        && slot.flags & CLOCKED == 0
        && let Some(state) = disk::state(slot.disk.into())
    {
        slot.flags |= CLOCKED;
        discard::started(state, now);
    }
}

/// Came back from the driver. Its clock goes on.
#[inline(always)]
pub(super) fn requeued(request: Request) {
    if let Some(slot) = active(request) {
        slot.requeues = slot.requeues.saturating_add(1);
        disk::count(slot.disk, slot.op, |events| {
            // SAFETY: a field of an element of an array map.
            unsafe { &raw mut (*events).requeues }
        });
    }
}

/// Ends without a completion.
#[inline(always)]
pub(super) fn merged(request: Request) {
    if let Some(slot) = active(request) {
        slot.flags = 0;
        disk::count(slot.disk, slot.op, |events| {
            // SAFETY: a field of an element of an array map.
            unsafe { &raw mut (*events).merges }
        });
    }
}
