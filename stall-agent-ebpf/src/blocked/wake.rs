//! The end of a sleep in D, and of a thread.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::HashMap};
use stall_common::blocked::{
    ACTIVE, ANNOUNCED, Blocked, BlockedKey, KILLABLE, KIND_IO_WAIT, KIND_KILLABLE, Sleep, WOKEN,
};
use stall_common::loss::Loss;
use stall_common::record::{self as records, EndedSleep, Kind};

use super::sleeps;
use crate::kernel::{Either, Task};
use crate::{actor, counter, ktime, loss, params, record, stack};

#[map]
static BLOCKED: HashMap<BlockedKey, Blocked> = HashMap::with_max_entries(8192, 0);

/// Ends a sleep that was seen to begin.
#[inline(always)]
pub(super) fn woken(task: Task) {
    let Some(sleep) = sleeps::slot(task.tid()) else {
        return;
    };
    if sleep.flags & ACTIVE == 0 {
        sleep.flags |= WOKEN;
        return;
    }
    sleep.flags &= !ACTIVE;
    let now = ktime::now();
    let length = ktime::between(sleep.start_ns, now);
    if length < params::stack_min_ns() {
        sleep.short_ns += length;
        sleep.short_sleeps += 1;
        return;
    }
    // A wake-up that overtook the switch ended a sleep before we saw it start. The apparent sleep
    // that followed ends here, at the next wake-up, and was none: the task has been running and still
    // is. (A sleep that has just started is on a CPU too, but is not as long.)
    if task.is_on_cpu() {
        loss::count(Loss::MissedWakeup);
        return;
    }
    long(task, sleep, length, now);
}

/// Keeps the sums of short sleeps beyond the thread's life, and says that an actor has ended.
#[inline(always)]
pub(super) fn exited(task: Task) {
    let tid = task.tid();
    if let Some(sleep) = sleeps::known(tid) {
        if sleep.flags & ANNOUNCED != 0 && sleep.short_sleeps > 0 {
            let key = BlockedKey {
                stack: 0,
                task: sleep.task,
                kind: 0,
            };
            add(key, sleep.short_sleeps, sleep.short_ns, 0, 0);
        }
        sleeps::forget(tid);
    }
    let leader = task.leader();
    if leader.is_exiting() {
        actor::exited(leader);
    }
}

/// A sleep long enough to ask what it was for. The sleeper's stack is as it was when it fell
/// asleep, so it is taken only now that the length is known.
#[inline(always)]
fn long(task: Task, sleep: &mut Sleep, length: u64, now: u64) {
    let stack = stack::of_task(task);
    if sleep.flags & ANNOUNCED == 0 {
        sleep.flags |= ANNOUNCED;
        announce(task, sleep.task);
    }
    let seen = ktime::between(sleep.seen_ns, now);
    let before = length.saturating_sub(seen);
    let killable = sleep.flags & KILLABLE != 0;
    let io_wait = task.is_in_io_wait();
    let key = BlockedKey {
        stack,
        task: sleep.task,
        kind: if killable { KIND_KILLABLE } else { 0 } | if io_wait { KIND_IO_WAIT } else { 0 },
    };
    add(key, 1, seen, before, length);
    if before > 0 || (length >= params::slow_ns() && record::within_budget(records::SLEEPS, false))
    {
        send(sleep, &key);
    }
}

#[inline(always)]
fn add(key: BlockedKey, sleeps: u64, seen_ns: u64, before_ns: u64, longest_ns: u64) {
    let Some(row) = row(key) else {
        return;
    };
    // SAFETY: fields of an element of a hash map that is never deleted.
    unsafe {
        counter::add(&raw mut (*row).sleeps, sleeps);
        counter::add(&raw mut (*row).blocked_ns, seen_ns);
        counter::add(&raw mut (*row).before_ns, before_ns);
        counter::raise(&raw mut (*row).longest_ns, longest_ns);
    }
}

#[inline(always)]
fn row(key: BlockedKey) -> Option<*mut Blocked> {
    if let Some(row) = BLOCKED.get_ptr_mut(key) {
        return Some(row);
    }
    // A task's row is made by its own wake-up only, but a wake-up may run on any CPU.
    let _exists = BLOCKED.insert(key, Blocked::default(), BPF_NOEXIST.into());
    let row = BLOCKED.get_ptr_mut(key);
    if row.is_none() {
        loss::count(Loss::BlockedFull);
    }
    row
}

#[inline(always)]
fn announce(task: Task, id: u32) {
    record::send(Kind::Task, |to: *mut records::Task| {
        // SAFETY: a reserved record; each field is written.
        unsafe {
            (*to).start_boottime_ns = task.start_boottime_ns();
            (*to).task = id;
            (*to).tid = task.tid();
            (*to).tgid = task.tgid();
            (*to).kernel_thread = task.is_kernel_thread().into();
            task.copy_comm(&raw mut (*to).comm);
        }
    });
}

#[inline(always)]
fn send(sleep: &Sleep, key: &BlockedKey) {
    record::send(Kind::LongSleep, |to: *mut EndedSleep| {
        // SAFETY: a reserved record; each field is written.
        unsafe {
            (*to).start_ns = sleep.start_ns;
            (*to).seen_ns = sleep.seen_ns;
            (*to).stack = key.stack;
            (*to).task = key.task;
            (*to).kind = key.kind;
            let waker = Task::<Either>::current();
            (*to).waker_start_boottime_ns = waker.start_boottime_ns();
            (*to).waker_tid = waker.tid();
            (*to).waker_tgid = waker.tgid();
            (*to).waker_kernel_thread = waker.is_kernel_thread().into();
            (*to).reserved = 0;
            waker.copy_comm(&raw mut (*to).waker_comm);
        }
    });
}
