//! Tasks in uninterruptible sleep (D state).

/// `TASK_UNINTERRUPTIBLE`
pub const UNINTERRUPTIBLE: u32 = 0x0002;
/// `TASK_WAKEKILL`: a fatal signal ends the sleep
pub const WAKEKILL: u32 = 0x0100;
/// `TASK_NOLOAD`: an idle kernel thread, not in D for anybody
pub const NOLOAD: u32 = 0x0400;

/// Whether a sleeping task's `__state` is D.
///
/// `TASK_IDLE` has the bit too and is not D; the kernel counts both as such in
/// `task_state_index()` (include/linux/sched.h).
#[inline(always)]
#[must_use]
pub const fn is_d(state: u32) -> bool {
    state & UNINTERRUPTIBLE != 0 && state & NOLOAD == 0
}

/// In [`Sleep::flags`]: asleep.
pub const ACTIVE: u32 = 1;
/// In [`Sleep::flags`]: killable.
pub const KILLABLE: u32 = 2;
/// In [`Sleep::flags`]: a `Task` record was sent.
pub const ANNOUNCED: u32 = 4;
/// In [`Sleep::flags`]: a wake-up came that ended no sleep that was seen to begin.
pub const WOKEN: u32 = 8;

/// In [`BlockedKey::kind`] and in records of sleeps: a fatal signal ends it.
pub const KIND_KILLABLE: u32 = 1;
/// In the same: it slept in `io_schedule()`.
pub const KIND_IO_WAIT: u32 = 2;

/// What a task in D waits for, and the part of a lock's `owner` that is a task.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// None, or one of a kind the kernel does not note
    None = 0,
    /// `struct mutex`
    Mutex = 1,
    /// `struct semaphore`
    Semaphore = 2,
    /// `struct rw_semaphore`, taken by a writer
    Rwsem = 3,
    /// The same, taken by readers, of which the last is known
    RwsemRead = 4,
}

impl Lock {
    /// From its number.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Mutex,
            2 => Self::Semaphore,
            3 => Self::Rwsem,
            4 => Self::RwsemRead,
            _ => Self::None,
        }
    }
}

/// Flags in the low bits of `mutex.owner` (kernel/locking/mutex.h) and `rw_semaphore.owner`
/// (kernel/locking/rwsem.c); the rest is a `struct task_struct *`.
pub const OWNER_FLAGS: u64 = 7;
/// `RWSEM_READER_OWNED`
pub const READER_OWNED: u64 = 1;
/// `BLOCKER_TYPE_MASK` in `task_struct.blocker` (include/linux/hung_task.h): the rest is the lock.
pub const BLOCKER_KIND: u64 = 3;
/// `BLOCKER_TYPE_MUTEX`
pub const BLOCKER_MUTEX: u64 = 0;
/// `BLOCKER_TYPE_SEM`; what is neither is an rwsem, waited for to read or to write it
pub const BLOCKER_SEMAPHORE: u64 = 1;

/// Value of `SLEEPS`; the key is the thread. Deleted when the thread exits.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Sleep {
    /// When it fell asleep, or a lower bound of it.
    pub start_ns: u64,
    /// When we first saw it asleep: later than `start_ns` for sleeps older than the first hook.
    pub seen_ns: u64,
    /// Sum of sleeps shorter than `Params::stack_min_ns`.
    pub short_ns: u64,
    /// Their number.
    pub short_sleeps: u64,
    /// Id of the task: given once, never reused.
    pub task: u32,
    /// [`ACTIVE`], [`KILLABLE`], [`ANNOUNCED`], [`WOKEN`].
    pub flags: u32,
}

/// Key of `BLOCKED`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockedKey {
    /// Id of the kernel stack; 0 when it could not be taken, or for the short sleeps of an ended
    /// task.
    pub stack: u64,
    /// Id of the task.
    pub task: u32,
    /// [`KIND_KILLABLE`], [`KIND_IO_WAIT`].
    pub kind: u32,
}

/// Value of `BLOCKED`. Counted at the wake-up.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// Sleeps.
    pub sleeps: u64,
    /// Sum of the time we saw: wake-up - `seen_ns`.
    pub blocked_ns: u64,
    /// Sum of the time before we saw it: `seen_ns - start_ns`.
    pub before_ns: u64,
    /// Longest wake-up - `start_ns`.
    pub longest_ns: u64,
}

/// What the task iterator writes for each task in D.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DTask {
    /// `CLOCK_MONOTONIC` when it was looked at.
    pub now_ns: u64,
    /// Scheduler clock when it last ran, ns; 0 where the kernel forgot.
    pub ran_sched_ns: u64,
    /// Scheduler clock of the task that looks, at its last tick or switch, ns.
    pub now_sched_ns: u64,
    /// `start_boottime`
    pub start_boottime_ns: u64,
    /// Thread.
    pub tid: u32,
    /// Process.
    pub tgid: u32,
    /// `__state`
    pub state: u32,
    /// Entries of `frames`.
    pub depth: u32,
    /// Name of the thread.
    pub comm: [u8; crate::actor::COMM_LEN],
    /// The thread that holds the lock it waits for.
    pub holder_tid: u32,
    /// Its process.
    pub holder_tgid: u32,
    /// [`Lock`] as a number; with [`Lock::None`] the holder's other fields mean nothing.
    pub lock: u32,
    /// 1 when it sleeps in `io_schedule()`.
    pub io_wait: u32,
    /// Where it is, to find it by what points to it.
    pub task_at: u64,
    /// Where its stack begins.
    pub stack_at: u64,
    /// Name of the thread that holds the lock.
    pub holder_comm: [u8; crate::actor::COMM_LEN],
    /// Number of the system call it is in; [`NO_SYSCALL`] in none, or where that is not known.
    pub syscall: u32,
    /// Of the file that is the call's first argument, if it is one: `major << 20 | minor` of its filesystem, of a block device its
    /// own; 0 for none.
    pub file: u32,
    /// The same of a filesystem that takes no writes now: that of this file, of the working directory, or of another open file; else
    /// any that takes none; 0 for none.
    pub frozen: u32,
    /// 1 when `frozen` is any such filesystem: nothing says that the thread has to do with it.
    pub any_frozen: u32,
    /// Return addresses, innermost first.
    pub frames: [u64; crate::stack::DEPTH],
}

/// In [`DTask::syscall`].
pub const NO_SYSCALL: u32 = u32::MAX;

crate::abi!(Sleep: 40, BlockedKey: 16, Blocked: 32, DTask: 128 + 8 * crate::stack::DEPTH);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_is_told_from_idle_killable_and_interruptible() {
        assert!(is_d(UNINTERRUPTIBLE));
        assert!(is_d(UNINTERRUPTIBLE | WAKEKILL));
        assert!(!is_d(UNINTERRUPTIBLE | NOLOAD));
        assert!(!is_d(1));
        assert!(!is_d(0));
    }
}
