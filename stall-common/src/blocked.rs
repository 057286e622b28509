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
    /// [`ACTIVE`], [`KILLABLE`], [`ANNOUNCED`].
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
    /// 1 for killable sleeps.
    pub killable: u32,
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
    /// Return addresses, innermost first.
    pub frames: [u64; crate::stack::DEPTH],
}

crate::abi!(Sleep: 40, BlockedKey: 16, Blocked: 32, DTask: 64 + 8 * crate::stack::DEPTH);

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
