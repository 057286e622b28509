//! Who wrote: what each thread has written in its life. An iterator reads live threads; exiting ones are read at their exit.
//!
//! The kernel charges a page to the thread that dirties it, long before a kernel worker sends it to the disk.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_seq_write};
use aya_ebpf::{macros::map, maps::HashMap, maps::PerCpuArray};
use stall_common::task_io::{ENDED, EndedIo, LEAST, OTHERS, ProcessKey, ThreadIo};

use crate::counter;
use crate::kernel::{Context, Reach, Task};

/// The first descriptor checked of a live process: its output may go to stdout.
const STDOUT: u32 = 1;
/// The first one checked of an exiting process: its stdout may be closed already, and then be the file of whoever started it.
const AFTER_STDERR: u32 = 3;

/// Too large for the stack of a BPF program.
#[map]
static THREAD_IO: PerCpuArray<ThreadIo> = PerCpuArray::with_max_entries(1, 0);

/// What an element begins as.
#[map]
static NEW_IO: PerCpuArray<EndedIo> = PerCpuArray::with_max_entries(1, 0);

/// Processes of which threads ended.
#[map]
static ENDED_IO: HashMap<ProcessKey, EndedIo> = HashMap::with_max_entries(ENDED, 0);

/// Threads that have written, but for those that are ending: these count when they have.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
fn task_io(ctx: *mut Context) -> i32 {
    // SAFETY: the context of a task iterator.
    let Context { meta, task } = unsafe { core::ptr::read_volatile(ctx) };
    if task.is_null() {
        return 0;
    }
    // SAFETY: the iterator's task, not null.
    let task = unsafe { Task::new(task) };
    let Some((written, cancelled)) = has_written(task) else {
        return 0;
    };
    if task.is_exiting() {
        return 0;
    }
    let Some(to) = THREAD_IO.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: this CPU's buffer, which this program alone uses.
    let to = unsafe { &mut *to };
    let leader = task.leader();
    to.start_boottime_ns = leader.start_boottime_ns();
    to.written = written;
    to.cancelled = cancelled;
    to.tgid = task.tgid();
    to.kernel_thread = task.is_kernel_thread().into();
    leader.copy_comm(&raw mut to.comm);
    to.open.count = 0;
    if let Some(files) = task.files() {
        files.written(STDOUT, &raw mut to.open);
    }
    // SAFETY: the iterator's own seq_file, and the whole buffer.
    unsafe {
        bpf_seq_write(
            (*meta).cast(),
            (&raw const *to).cast(),
            size_of::<ThreadIo>() as u32,
        );
    }
    0
}

/// The running thread ends.
#[inline(always)]
pub(crate) fn ended(task: Task) {
    if let Some((written, cancelled)) = has_written(task) {
        add(task, written, cancelled);
    }
}

#[inline(always)]
fn has_written<R: Reach>(task: Task<R>) -> Option<(u64, u64)> {
    let (written, cancelled) = task.written()?;
    (written >= LEAST || cancelled >= LEAST).then_some((written, cancelled))
}

#[inline(always)]
fn add(task: Task, written: u64, cancelled: u64) {
    let leader = task.leader();
    let key = ProcessKey {
        start_boottime_ns: leader.start_boottime_ns(),
        tgid: task.tgid(),
        reserved: 0,
    };
    let Some(row) = ENDED_IO.get_ptr_mut(key).or_else(|| introduce(task, key)) else {
        return;
    };
    // SAFETY: fields of an element of a hash map that is never deleted.
    unsafe {
        counter::add(&raw mut (*row).written, written);
        counter::add(&raw mut (*row).cancelled, cancelled);
    }
}

#[inline(always)]
fn introduce(task: Task, key: ProcessKey) -> Option<*mut EndedIo> {
    // SAFETY: this CPU's buffer; a program that came in between on this CPU would describe another thread, wrongly named.
    let new = unsafe { &mut *NEW_IO.get_ptr_mut(0)? };
    let leader = task.leader();
    new.written = 0;
    new.cancelled = 0;
    new.parent = task.parent_tgid();
    new.kernel_thread = task.is_kernel_thread().into();
    // SAFETY: the helper takes nothing.
    new.cgroup = unsafe { bpf_get_current_cgroup_id() };
    leader.copy_comm(&raw mut new.comm);
    new.open.count = 0;
    if let Some(files) = task.files() {
        files.written(AFTER_STDERR, &raw mut new.open);
    }
    // Another thread of it on another CPU was faster, or there is no room.
    let _exists = ENDED_IO.insert(key, *new, BPF_NOEXIST.into());
    if let Some(row) = ENDED_IO.get_ptr_mut(key) {
        return Some(row);
    }
    // User space has made room for the rest.
    ENDED_IO.get_ptr_mut(OTHERS)
}
