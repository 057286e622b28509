//! Kernels without `block_io_start` (up to 6.4): who submits is noted when a bio gets its request, and found
//! again by the bio when that request is first seen.
//!
//! What is issued directly passes no other tracepoint in its submitter's context. An empty preflush passes
//! none at all before its completion, and then no longer says what it is: `blk_insert_flush()` takes the flag off the request
//! (block/blk-flush.c), not off the bio.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use stall_common::request::{Request as Slot, SEARCHED};

use super::{older, slot};
use crate::kernel::{Bio, Either, Request, Task};
use crate::{actor, discard, ktime, params, stack};

/// Who submitted a bio, and when.
#[repr(C)]
#[derive(Clone, Copy)]
struct Note {
    queued_ns: u64,
    stack: u64,
    actor: u32,
    tid: u32,
    /// 1 for a thread of the kernel.
    kernel_thread: u32,
    /// 1 when it asks for a flush before it.
    preflush: u32,
}

/// By the bio's address. Least recently used go first: one that was merged after all is not asked for again.
#[map]
static NOTES: LruHashMap<u64, Note> = LruHashMap::with_max_entries(8192, 0);

/// In the submitter's context.
#[inline(always)]
pub(super) fn note(ctx: *mut c_void, bio: Bio) {
    let wants_stack = discard::is_discard(bio.op());
    let note = Note {
        queued_ns: ktime::now(),
        stack: if wants_stack {
            stack::of_current(ctx)
        } else {
            0
        },
        actor: actor::current(),
        tid: bpf_get_current_pid_tgid() as u32,
        kernel_thread: Task::<Either>::current().is_kernel_thread().into(),
        preflush: bio.has_preflush().into(),
    };
    // Full is no case of a map that forgets.
    let _inserted = NOTES.insert(bio.address(), note, 0);
}

/// The life of a request whose first bio was noted.
#[inline(always)]
pub(super) fn begin(request: Request, now: u64) -> Option<&'static mut Slot> {
    if !params::noted() {
        return None;
    }
    let slot = begin_noted(request, now)?;
    // Not within: the stacks of all that call one another are 512 bytes together, and up to 5.x each takes a multiple of 32.
    if slot.flags & SEARCHED == 0 {
        slot.flags |= SEARCHED;
        older::search(request, slot.disk);
    }
    Some(slot)
}

#[inline(never)]
fn begin_noted(request: Request, now: u64) -> Option<&'static mut Slot> {
    let bio = request.first_bio();
    // SAFETY: a copy is taken at once; at worst it is of the bio's next life, which is this request's.
    let note = unsafe { *NOTES.get(bio)? };
    let _absent = NOTES.remove(bio);
    let op = request.op_of(note.preflush != 0);
    let slot = slot::begin(request, op, note.queued_ns, now)?;
    slot.tid = note.tid;
    slot.actor = note.actor;
    if note.kernel_thread != 0 {
        slot.cgroup = request.cgroup();
    }
    slot.stack = note.stack;
    Some(slot)
}
