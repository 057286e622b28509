//! `struct task_struct` (include/linux/sched.h).

use core::marker::PhantomData;

use aya_ebpf::bindings::task_struct;
use stall_common::actor::COMM_LEN;
use stall_common::layout::ABSENT;

use super::reach::{Reach, Typed};
use super::{copy, layout, u32_at, u64_at};

/// `MAX_RT_PRIO`: from here on the fair scheduler keeps what a task had run when it got its CPU.
const FAIR: i32 = 100;
/// `PF_EXITING`
const PF_EXITING: u32 = 0x0000_0004;
/// `PF_IO_WORKER` and, since 6.4, `PF_USER_WORKER`
const PF_WORKERS: u32 = 0x0000_4010;
/// `PF_KTHREAD`
const PF_KTHREAD: u32 = 0x0020_0000;

/// A task given to a tracepoint, or the current one.
#[derive(Clone, Copy)]
pub(crate) struct Task<R = Typed>(pub(super) *const u8, PhantomData<R>);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident => $field:ident: $type:ty) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name(self) -> $type {
            // SAFETY: a field of a task of this size, by BTF.
            unsafe { R::field(self.0, layout!($field)) }
        }
    };
}

impl Task<Typed> {
    /// Wraps a tracepoint's or iterator's argument.
    ///
    /// # Safety
    ///
    /// `pointer` is a `struct task_struct *` argument of the program that runs.
    #[inline(always)]
    pub(crate) unsafe fn new(pointer: *const u8) -> Self {
        Self(pointer, PhantomData)
    }

    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }

    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut task_struct {
        self.0.cast_mut().cast()
    }
}

impl<R: Reach> Task<R> {
    /// The running task.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        Self(R::current(), PhantomData)
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
                return R::field::<u8>(self.0, layout!(task_on_cpu_byte)) != 0;
            }
            R::field::<u32>(self.0, layout!(task_on_cpu)) != 0
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
        let arrival: u64 = unsafe { R::field(self.0, layout!(task_last_arrival)) };
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
        unsafe { R::field(self.0, layout!(task_blocker)) }
    }

    /// Where its stack begins; 0 where the kernel does not say.
    #[inline(always)]
    pub(crate) fn stack(self) -> u64 {
        if layout!(task_stack) == ABSENT {
            return 0;
        }
        // SAFETY: a pointer of a task, by BTF, whose value alone is used.
        unsafe { R::field(self.0, layout!(task_stack)) }
    }

    /// Whether somebody is at waking it, or at changing its priority or CPUs; false where the kernel does not say.
    #[inline(always)]
    pub(crate) fn is_being_woken(self) -> bool {
        if layout!(task_pi_lock) == ABSENT {
            return false;
        }
        // SAFETY: the word of a lock of a task, by BTF.
        let lock: u32 = unsafe { R::field(self.0, layout!(task_pi_lock)) };
        lock != 0
    }

    /// Whether it sleeps in `io_schedule()`; false where the kernel does not say.
    #[inline(always)]
    pub(crate) fn is_in_io_wait(self) -> bool {
        if layout!(task_io_wait) == ABSENT {
            return false;
        }
        // SAFETY: the byte of a task that has the bit, by BTF.
        let byte: u8 = unsafe { R::field(self.0, layout!(task_io_wait)) };
        u32::from(byte) & layout!(io_wait_bit) != 0
    }

    #[inline(always)]
    pub(crate) fn leader(self) -> Self {
        // SAFETY: a pointer to a task, by BTF.
        let leader = unsafe { R::field(self.0, layout!(task_group_leader)) };
        Self(leader, PhantomData)
    }

    /// `ioac.write_bytes` and `ioac.cancelled_write_bytes`: of its whole life; `None` where the kernel does not count them.
    #[inline(always)]
    pub(crate) fn written(self) -> Option<(u64, u64)> {
        if layout!(task_write_bytes) == ABSENT {
            return None;
        }
        // SAFETY: both are a u64 of a task, by BTF.
        unsafe {
            Some((
                R::field(self.0, layout!(task_write_bytes)),
                R::field(self.0, layout!(task_cancelled_bytes)),
            ))
        }
    }

    /// The process that started it; for where [`Self::written`] is known.
    #[inline(always)]
    pub(crate) fn parent_tgid(self) -> u32 {
        let parent = u64_at(self.0, layout!(task_parent)) as *const u8;
        u32_at(parent, layout!(task_tgid))
    }

    #[inline(always)]
    pub(crate) fn is_kernel_thread(self) -> bool {
        self.flags() & PF_KTHREAD != 0
    }

    /// Whether it is a thread of the kernel, or one that the kernel made for a program.
    #[inline(always)]
    pub(crate) fn is_made_by_kernel(self) -> bool {
        self.flags() & (PF_KTHREAD | PF_WORKERS) != 0
    }

    /// Whether it has begun to exit.
    #[inline(always)]
    pub(crate) fn is_exiting(self) -> bool {
        self.flags() & PF_EXITING != 0
    }

    #[inline(always)]
    fn flags(self) -> u32 {
        // SAFETY: `flags` of a task is an unsigned int.
        unsafe { R::field(self.0, layout!(task_flags)) }
    }

    #[inline(always)]
    pub(crate) fn copy_comm(self, to: *mut [u8; COMM_LEN]) {
        // SAFETY: `comm` has TASK_COMM_LEN = 16 bytes; `to` is a field of a record or buffer.
        unsafe { copy(self.0, layout!(task_comm), to) };
    }
}
