//! Kernels without `block_io_start` (up to 6.4): who submits is noted when a bio gets its request, and found
//! again by the bio when that request is first seen.
//!
//! A request that is issued directly passes no other tracepoint in its submitter's context. An fsync request passes
//! none at all before its completion, and by then has lost its flag: `blk_insert_flush()` clears it in the request
//! (block/blk-flush.c), but not in the bio.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use stall_common::request::{Op, Slot};

use super::slot;
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

/// A request is stamped this much after its bio is noted, at most: the kernel may stamp it after the tracepoint.
const APART_NS: u64 = 1_000_000;

/// By the bio's address. The least recently used are evicted first: the note of a bio that was merged is never read.
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
    // An LRU map is never full.
    let _inserted = NOTES.insert(bio.address(), note, 0);
}

/// The life of a request of which a bio was noted.
#[inline(always)]
pub(super) fn begin(request: Request, now: u64) -> Option<&'static mut Slot> {
    if !params::noted() {
        return None;
    }
    begin_noted(request, now)
}

/// Whether the submitter of a request has been noted. A driver's own commands allocate their request in another way; the task
/// that inserts them is their submitter.
#[inline(always)]
pub(super) fn should_know(request: Request) -> bool {
    params::noted() && request.op() != Op::Other as u8
}

/// Drops the notes of a request that was merged away: its bios belong to another request, and their addresses will be reused.
#[inline(always)]
pub(super) fn forget(request: Request) {
    if params::noted() {
        let _absent = NOTES.remove(request.first_bio());
        let _absent = NOTES.remove(request.last_bio());
    }
}

#[inline(never)]
fn begin_noted(request: Request, now: u64) -> Option<&'static mut Slot> {
    let note = take(request, request.first_bio());
    // After front merges the original bio is the last one.
    let note = note.or_else(|| take(request, request.last_bio()))?;
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

/// The note of a bio, unless it is older than the request. A request is allocated and stamped before its bio is noted, so an
/// older note is that of an earlier bio at the same address.
#[inline(always)]
fn take(request: Request, bio: u64) -> Option<Note> {
    // SAFETY: a copy is taken at once; at worst it is of the bio's next life, whose time tells it.
    let note = unsafe { *NOTES.get(bio)? };
    let _absent = NOTES.remove(bio);
    (note.queued_ns.saturating_add(APART_NS) >= request.start_time_ns()).then_some(note)
}
