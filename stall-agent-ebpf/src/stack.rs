//! Kernel stacks, kept once each.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_get_stack, bpf_get_task_stack},
    macros::map,
    maps::{HashMap, PerCpuArray},
};
use core::ffi::c_void;
use stall_common::loss::Loss;
use stall_common::stack::{self, Stack};

use crate::kernel::Task;
use crate::loss;

#[map]
static STACKS: HashMap<u64, Stack> = HashMap::with_max_entries(2048, 0);

/// One buffer per program that takes stacks: the kernel keeps a program from running inside
/// itself, but not two programs from each other.
#[map]
static STACK_BUFFERS: PerCpuArray<Stack> = PerCpuArray::with_max_entries(2, 0);

const BYTES: u32 = size_of::<Stack>() as u32;

/// Takes the stack of a task that is not running; 0 when that fails.
#[inline(always)]
pub(crate) fn of_task(task: Task) -> u64 {
    take(0, |buffer| {
        // SAFETY: the buffer has BYTES bytes; the task is the tracepoint's trusted argument.
        unsafe { bpf_get_task_stack(task.as_ptr(), buffer, BYTES, 0) }
    })
}

/// Takes the stack of the running task, which begins with the frames of the tracepoint; 0 when
/// that fails.
#[inline(always)]
pub(crate) fn of_current(ctx: *mut c_void) -> u64 {
    take(1, |buffer| {
        // SAFETY: the buffer has BYTES bytes; the context is the program's own.
        unsafe { bpf_get_stack(ctx, buffer, BYTES, 0) }
    })
}

#[inline(always)]
fn take(buffer: u32, walk: impl FnOnce(*mut c_void) -> i64) -> u64 {
    let Some(buffer) = STACK_BUFFERS.get_ptr_mut(buffer) else {
        return 0;
    };
    // SAFETY: this CPU's buffer, which this program alone uses.
    let stack = unsafe { &mut *buffer };
    // The helper leaves what it does not fill as it was.
    clear(stack);
    if walk(buffer.cast()) <= 0 {
        loss::count(Loss::StackWalk);
        return 0;
    }
    keep(stack)
}

#[inline(always)]
fn clear(stack: &mut Stack) {
    for frame in &mut stack.frames {
        *frame = 0;
    }
}

#[inline(always)]
fn keep(stack: &Stack) -> u64 {
    let id = stack::id(&stack.frames);
    if STACKS.get_ptr(id).is_none() && STACKS.insert(id, stack, BPF_NOEXIST.into()).is_err() {
        // Another CPU may just have inserted it.
        if STACKS.get_ptr(id).is_none() {
            loss::count(Loss::StacksFull);
            return 0;
        }
    }
    id
}
