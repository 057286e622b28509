//! The lock a task in D waits for, and the task that holds it (include/linux/hung_task.h).
//!
//! The address of the lock is a number to the verifier, so that everything behind it is copied by
//! a helper that does not fault. A holder that is a reader may have exited, and its memory been freed
//! or reused: the caller has to check whether there is such a thread.

use stall_common::actor::COMM_LEN;
use stall_common::blocked::{
    BLOCKER_KIND, BLOCKER_MUTEX, BLOCKER_SEMAPHORE, Lock, OWNER_FLAGS, READER_OWNED,
};
use stall_common::layout::ABSENT;

use super::{Task, copy, layout, u32_at, u64_at};

/// A task that holds a lock.
pub(crate) struct Holder(*const u8);

/// What a task waits for, and who holds it; `None` where the kernel does not note it, or nobody
/// does.
#[inline(always)]
pub(crate) fn holder(waiter: Task) -> Option<(Lock, Holder)> {
    let blocker = waiter.blocker();
    if blocker == 0 {
        return None;
    }
    let (mut lock, offset) = match blocker & BLOCKER_KIND {
        BLOCKER_MUTEX => (Lock::Mutex, layout!(mutex_owner)),
        BLOCKER_SEMAPHORE => (Lock::Semaphore, layout!(semaphore_last_holder)),
        _ => (Lock::Rwsem, layout!(rwsem_owner)),
    };
    if offset == ABSENT {
        return None;
    }
    let owner = u64_at((blocker & !BLOCKER_KIND) as *const u8, offset);
    if matches!(lock, Lock::Rwsem) && owner & READER_OWNED != 0 {
        lock = Lock::RwsemRead;
    }
    let task = (owner & !OWNER_FLAGS) as *const u8;
    (!task.is_null()).then_some((lock, Holder(task)))
}

impl Holder {
    /// Thread.
    #[inline(always)]
    pub(crate) fn tid(&self) -> u32 {
        u32_at(self.0, layout!(task_pid))
    }

    /// Process.
    #[inline(always)]
    pub(crate) fn tgid(&self) -> u32 {
        u32_at(self.0, layout!(task_tgid))
    }

    #[inline(always)]
    pub(crate) fn copy_comm(&self, to: *mut [u8; COMM_LEN]) {
        // SAFETY: `to` is a field of a buffer; the helper refuses an address that is none.
        unsafe { copy(self.0, layout!(task_comm), to) };
    }
}
