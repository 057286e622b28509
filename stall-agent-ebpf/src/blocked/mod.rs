//! Tasks in D: from the switch away from them to the wake-up.

mod wake;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::{Array, HashMap};
use aya_ebpf::programs::BtfTracePointContext;
use stall_common::blocked::{ACTIVE, KILLABLE, Sleep, WAKEKILL, WOKEN, is_d};
use stall_common::loss::Loss;

use crate::kernel::Task;
use crate::{counter, ktime, loss, task_io};

/// By thread. Updated in place for the next sleep; deleted when the thread exits.
#[map]
static SLEEPS: HashMap<u32, Sleep> = HashMap::with_max_entries(16384, 0);

/// Ids given so far.
#[map]
static TASK_IDS: Array<u64> = Array::with_max_entries(1, 0);

/// With the state as an argument (5.18 and later): it cannot have changed meanwhile.
///
/// match-proto: `sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)`
#[btf_tracepoint(function = "sched_switch")]
fn sched_switch(ctx: BtfTracePointContext) {
    let state: u32 = ctx.arg(3);
    if is_d(state) {
        switched(&ctx, state);
    }
}

/// Up to 5.17 the state is read from the task; a wake-up on another CPU may have changed it.
///
/// match-proto: `sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next)`
#[btf_tracepoint(function = "sched_switch")]
fn sched_switch_three(ctx: BtfTracePointContext) {
    // SAFETY: the second argument is the task switched away from.
    let state = unsafe { Task::new(ctx.arg(1)) }.state();
    if is_d(state) {
        switched(&ctx, state);
    }
}

/// Before the state is changed, and in the waker's context.
///
/// match-proto: `sched_waking(struct task_struct *p)`
#[btf_tracepoint(function = "sched_waking")]
fn sched_waking(ctx: BtfTracePointContext) {
    // SAFETY: the first argument is the task to be woken.
    let task = unsafe { Task::new(ctx.arg(0)) };
    if is_d(task.state()) {
        wake::woken(task);
    }
}

/// The thread's id may be given to another one from now on.
///
/// match-proto: `sched_process_exit(struct task_struct *p)`, since 6.18 `(.., bool group_dead)`
#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(ctx: BtfTracePointContext) {
    // SAFETY: the first argument is the exiting task.
    let task = unsafe { Task::new(ctx.arg(0)) };
    wake::exited(task);
    task_io::ended(task);
}

#[inline(always)]
fn switched(ctx: &BtfTracePointContext, state: u32) {
    // A task preempted after it set its state and before it slept is still runnable.
    let preempted: u32 = ctx.arg(0);
    if preempted & 0xff != 0 {
        return;
    }
    // SAFETY: the second argument is the task switched away from.
    let task = unsafe { Task::new(ctx.arg(1)) };
    // Woken already, on another CPU, while it was on its way here: `sched_waking` came first.
    if !is_d(task.state()) {
        return;
    }
    if let Some(sleep) = slot(task.tid()) {
        // Somebody holds the lock of its wake-up, has told `sched_waking` and is about to change its state: it is awake again
        // as soon as it has gone. (A wake-up that came earlier found it still running, and left no lock.)
        let is_over = sleep.flags & WOKEN != 0 && task.is_being_woken();
        sleep.flags &= !WOKEN;
        if is_over {
            sleep.short_sleeps += 1;
            return;
        }
        if sleep.flags & ACTIVE != 0 {
            loss::count(Loss::MissedWakeup);
        }
        let now = ktime::now();
        asleep(sleep, state, now, now);
    }
}

/// A task is in D: since `start`, and seen to be so since `seen`.
#[inline(always)]
pub(crate) fn asleep(sleep: &mut Sleep, state: u32, start: u64, seen: u64) {
    let killable = if state & WAKEKILL != 0 { KILLABLE } else { 0 };
    sleep.start_ns = start;
    sleep.seen_ns = seen;
    sleep.flags = (sleep.flags & !KILLABLE) | ACTIVE | killable;
}

/// The slot of a thread, made when there is none.
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
fn forget(tid: u32) {
    let _absent = SLEEPS.remove(tid);
}
