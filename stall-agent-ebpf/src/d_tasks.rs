//! The task iterator: who is in D now, since when, and where in the kernel.
//!
//! Read at the start, where it also begins the sleeps that are older than the first hook; once
//! per interval; and at the end.

use aya_ebpf::helpers::generated::{bpf_get_task_stack, bpf_seq_write};
use aya_ebpf::{
    macros::map,
    maps::{Array, PerCpuArray},
};
use stall_common::blocked::{ACTIVE, DTask, Lock, NO_SYSCALL, is_d};
use stall_common::control::SEEDING;

use crate::kernel::{Context, Either, File, Task, devices, lock};
use crate::{blocked, control, ktime};

/// Too large for the stack of a BPF program.
#[map]
static D_TASK: PerCpuArray<DTask> = PerCpuArray::with_max_entries(1, 0);

/// What [`any_frozen`] found last.
#[repr(C)]
#[derive(Clone, Copy)]
struct AnyFrozen {
    /// `CLOCK_MONOTONIC`; 0 for never.
    at_ns: u64,
    /// `major << 20 | minor`; 0 for none.
    device: u64,
}

#[map]
static ANY_FROZEN: Array<AnyFrozen> = Array::with_max_entries(1, 0);

const LOOK_AGAIN_NS: u64 = 50_000_000;

/// aya has no macro for iterators.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
fn d_tasks(ctx: *mut Context) -> i32 {
    // SAFETY: the context of a task iterator.
    let Context { meta, task } = unsafe { core::ptr::read_volatile(ctx) };
    if task.is_null() {
        return 0;
    }
    // SAFETY: the iterator's task, not null.
    let task = unsafe { Task::new(task) };
    let state = task.state();
    // A task that set its state and still runs is not asleep yet.
    if !is_d(state) || task.is_on_cpu() {
        return 0;
    }
    let Some(to) = D_TASK.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: this CPU's buffer, which this program alone uses.
    let to = unsafe { &mut *to };
    describe(task, state, to);
    describe_holder(task, to);
    describe_place(task, to);
    seed(to);
    // SAFETY: the iterator's own seq_file, and the whole buffer.
    unsafe {
        bpf_seq_write(
            (*meta).cast(),
            (&raw const *to).cast(),
            size_of::<DTask>() as u32,
        );
    }
    0
}

#[inline(always)]
fn describe(task: Task, state: u32, to: &mut DTask) {
    to.now_ns = ktime::now();
    to.ran_sched_ns = task.ran_sched_ns();
    to.now_sched_ns = Task::<Either>::current().ran_sched_ns();
    to.start_boottime_ns = task.start_boottime_ns();
    to.tid = task.tid();
    to.tgid = task.tgid();
    to.state = state;
    to.task_at = task.address();
    to.stack_at = task.stack();
    to.io_wait = task.is_in_io_wait().into();
    task.copy_comm(&raw mut to.comm);
    // SAFETY: the buffer has as many bytes as said; the task is the iterator's trusted argument.
    let bytes = unsafe {
        bpf_get_task_stack(
            task.as_ptr(),
            (&raw mut to.frames).cast(),
            size_of_val(&to.frames) as u32,
            0,
        )
    };
    to.depth = if bytes > 0 { bytes as u32 / 8 } else { 0 };
}

#[inline(always)]
fn describe_holder(waiter: Task, to: &mut DTask) {
    let Some((lock, holder)) = lock::holder(waiter) else {
        to.lock = Lock::None as u32;
        return;
    };
    to.lock = lock as u32;
    to.holder_tid = holder.tid();
    to.holder_tgid = holder.tgid();
    holder.copy_comm(&raw mut to.holder_comm);
}

/// Threads that the kernel made for a program, `io_uring`'s among them, have entered it with no call.
#[inline(always)]
fn describe_place(task: Task, to: &mut DTask) {
    to.syscall = NO_SYSCALL;
    to.file = 0;
    to.frozen = 0;
    to.any_frozen = 0;
    let Some(files) = task.files() else {
        return;
    };
    if task.is_made_by_kernel() {
        return;
    }
    let (number, first) = task.system_call();
    to.syscall = number;
    let file = files.get(first).map(File::place);
    let place = file.unwrap_or_default();
    to.file = place.device;
    to.frozen = place
        .frozen()
        .or_else(|| task.working_directory().frozen())
        .or_else(|| files.frozen())
        .unwrap_or(0);
    if to.frozen == 0 && file.is_none() {
        to.frozen = any_frozen(task, to.now_ns);
        to.any_frozen = (to.frozen != 0).into();
    }
}

/// A filesystem that takes no writes, of all there are: who opens a file there by its path sleeps without one. Looked for
/// once for all tasks that are read at a time.
#[inline(always)]
fn any_frozen(task: Task, now_ns: u64) -> u32 {
    let Some(last) = ANY_FROZEN.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: an element of an array map, which one reader of the iterator at a time uses.
    let last = unsafe { &mut *last };
    if last.at_ns == 0 || now_ns.wrapping_sub(last.at_ns) > LOOK_AGAIN_NS {
        last.at_ns = now_ns;
        last.device = devices::any_frozen(task).into();
    }
    last.device as u32
}

#[inline(always)]
fn seed(task: &DTask) {
    if !control::is_on(SEEDING) {
        return;
    }
    if let Some(sleep) = blocked::slot(task.tid)
        && sleep.flags & ACTIVE == 0
    {
        let age = age(task);
        blocked::asleep(
            sleep,
            task.state,
            task.now_ns.saturating_sub(age),
            task.now_ns,
        );
    }
}

/// How long it has been asleep, to within a tick; 0, as a lower bound, where the kernel forgot.
#[inline(always)]
fn age(task: &DTask) -> u64 {
    if task.ran_sched_ns == 0 {
        return 0;
    }
    task.now_sched_ns.saturating_sub(task.ran_sched_ns)
}
