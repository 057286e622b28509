//! `struct task_struct` (include/linux/sched.h).

use aya_ebpf::bindings::task_struct;
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_probe_read_user};
use stall_common::actor::{ARGS_LEN, COMM_LEN};
use stall_common::layout::ABSENT;

use super::{copy, layout, load};

/// `MAX_RT_PRIO`: from here on the fair scheduler keeps what a task had run when it got its CPU.
const FAIR: i32 = 100;
/// `PF_KTHREAD`
const PF_KTHREAD: u32 = 0x0020_0000;

/// A task given to a tracepoint, or the current one.
#[derive(Clone, Copy)]
pub(crate) struct Task(*const u8);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident => $field:ident: $type:ty) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name(self) -> $type {
            // SAFETY: a field of a task of this size, by BTF.
            unsafe { load(self.0, layout!($field)) }
        }
    };
}

impl Task {
    /// Wraps a tracepoint's or iterator's argument.
    ///
    /// # Safety
    ///
    /// `pointer` is a `struct task_struct *` argument of the program that runs.
    #[inline(always)]
    pub(crate) unsafe fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    /// The running task.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: the helper takes nothing (kernel 5.11 and later).
        Self(unsafe { bpf_get_current_task_btf() }.cast())
    }

    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut task_struct {
        self.0.cast_mut().cast()
    }

    number!(
        /// `__state`. Low half where it is a long.
        state => task_state: u32
    );
    number!(
        /// Thread.
        tid => task_pid: u32
    );
    number!(
        /// Process.
        tgid => task_tgid: u32
    );
    number!(
        /// Start of the thread, ns of `CLOCK_BOOTTIME`.
        start_boottime_ns => task_start_boottime: u64
    );
    /// Whether it is running.
    #[inline(always)]
    pub(crate) fn is_on_cpu(self) -> bool {
        // SAFETY: a field of a task of this size, by BTF.
        unsafe {
            if layout!(task_on_cpu) == ABSENT {
                return load::<u8>(self.0, layout!(task_on_cpu_byte)) != 0;
            }
            load::<u32>(self.0, layout!(task_on_cpu)) != 0
        }
    }

    number!(sum_exec_ns => task_sum_exec: u64);
    number!(prev_sum_exec_ns => task_prev_sum_exec: u64);
    number!(priority => task_prio: i32);

    /// Scheduler clock when it last ran, or of the running task its last tick, ns; 0 where the
    /// kernel does not know: when it got its CPU, and how long it had it.
    ///
    /// Not `se.exec_start`: that is `rq_clock_task`, which each CPU stops for interrupts and for
    /// time stolen by a hypervisor, so that two CPUs' readings may be hours apart.
    #[inline(always)]
    pub(crate) fn ran_sched_ns(self) -> u64 {
        if layout!(task_last_arrival) == ABSENT {
            return 0;
        }
        // SAFETY: a field of a task of this size, by BTF.
        let arrival: u64 = unsafe { load(self.0, layout!(task_last_arrival)) };
        if arrival == 0 || self.priority() < FAIR {
            return arrival;
        }
        arrival + self.sum_exec_ns().saturating_sub(self.prev_sum_exec_ns())
    }

    /// The lock it waits for, with its kind in the low bits; 0 where the kernel does not say.
    #[inline(always)]
    pub(crate) fn blocker(self) -> u64 {
        if layout!(task_blocker) == ABSENT {
            return 0;
        }
        // SAFETY: an unsigned long of a task, by BTF.
        unsafe { load(self.0, layout!(task_blocker)) }
    }

    #[inline(always)]
    pub(crate) fn leader(self) -> Self {
        // SAFETY: a pointer to a task, by BTF.
        Self(unsafe { load(self.0, layout!(task_group_leader)) })
    }

    #[inline(always)]
    pub(crate) fn is_kernel_thread(self) -> bool {
        // SAFETY: `flags` of a task is an unsigned int.
        let flags: u32 = unsafe { load(self.0, layout!(task_flags)) };
        flags & PF_KTHREAD != 0
    }

    #[inline(always)]
    pub(crate) fn copy_comm(self, to: *mut [u8; COMM_LEN]) {
        // SAFETY: `comm` has TASK_COMM_LEN = 16 bytes; `to` is a field of a record or buffer.
        unsafe { copy(self.0, layout!(task_comm), to) };
    }

    /// Copies the beginning of the command line; only of the running task. Returns the number of
    /// bytes copied and the length of the whole.
    #[inline(always)]
    pub(crate) fn copy_args(self, to: *mut [u8; ARGS_LEN]) -> (u32, u32) {
        if layout!(task_mm) == ABSENT {
            return (0, 0);
        }
        // SAFETY: a pointer to an mm_struct and two of its unsigned longs, by BTF.
        let (start, end): (u64, u64) = unsafe {
            let mm: *const u8 = load(self.0, layout!(task_mm));
            if mm.is_null() {
                return (0, 0);
            }
            (
                load(mm, layout!(mm_arg_start)),
                load(mm, layout!(mm_arg_end)),
            )
        };
        let total = end.saturating_sub(start);
        let len = if total > ARGS_LEN as u64 {
            ARGS_LEN as u64
        } else {
            total
        };
        // SAFETY: at most ARGS_LEN bytes into a field of that size; the helper does not fault.
        let failed = unsafe { bpf_probe_read_user(to.cast(), len as u32, start as *const _) } != 0;
        (if failed { 0 } else { len as u32 }, total as u32)
    }
}
