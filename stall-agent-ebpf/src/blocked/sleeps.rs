//! What is kept of each thread that was in D: where, and since when it is.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use stall_common::blocked::{ACTIVE, KILLABLE, Sleep, WAKEKILL};
use stall_common::loss::Loss;

use crate::{counter, loss};

/// By thread. Updated in place for the next sleep; deleted when the thread exits.
#[map]
static SLEEPS: HashMap<u32, Sleep> = HashMap::with_max_entries(16384, 0);

/// Ids assigned so far.
#[map]
static TASK_IDS: Array<u64> = Array::with_max_entries(1, 0);

/// A task is in D: since `start`, and seen to be so since `seen`.
#[inline(always)]
pub(crate) fn asleep(sleep: &mut Sleep, state: u32, start: u64, seen: u64) {
    let killable = if state & WAKEKILL != 0 { KILLABLE } else { 0 };
    sleep.start_ns = start;
    sleep.seen_ns = seen;
    sleep.flags = (sleep.flags & !KILLABLE) | ACTIVE | killable;
}

/// The slot of a thread, created when missing.
#[inline(always)]
pub(crate) fn slot(tid: u32) -> Option<&'static mut Sleep> {
    known(tid).or_else(|| introduce(tid))
}

/// The slot of a thread that was in D before.
#[inline(always)]
pub(crate) fn known(tid: u32) -> Option<&'static mut Sleep> {
    // SAFETY: an element is deleted only by the exit of its own thread, which is not asleep then.
    SLEEPS.get_ptr_mut(tid).map(|sleep| unsafe { &mut *sleep })
}

#[inline(never)]
fn introduce(tid: u32) -> Option<&'static mut Sleep> {
    let ids = TASK_IDS.get_ptr_mut(0)?;
    // SAFETY: a pointer to an element of an array map.
    let Some(number) = (unsafe { counter::take(ids) }) else {
        loss::count(Loss::Contended);
        return None;
    };
    let new = Sleep {
        task: number as u32,
        ..Sleep::default()
    };
    // A wake-up on another CPU may have been faster.
    if SLEEPS.insert(tid, new, BPF_NOEXIST.into()).is_err() && known(tid).is_none() {
        loss::count(Loss::SleepsFull);
    }
    known(tid)
}

/// Forgets a thread.
#[inline(always)]
pub(super) fn forget(tid: u32) {
    let _absent = SLEEPS.remove(tid);
}
