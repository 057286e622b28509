//! Tasks in D: from the switch away from them to the wake-up.

mod sleeps;
mod wake;

pub(crate) use sleeps::{asleep, slot};

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use stall_common::blocked::{ACTIVE, WOKEN, is_d};
use stall_common::loss::Loss;

use crate::kernel::Task;
use crate::{ktime, loss, task_io};

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
        // A waker holds its lock, has passed `sched_waking` and is about to change its state: the task wakes up again as soon
        // as it is switched away. (A wake-up that came earlier found it still running, and left no lock.)
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
