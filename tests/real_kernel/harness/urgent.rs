//! What is started here gets a CPU as soon as it wants one, so that a busy machine does not add to
//! what it measures.

use anyhow::{Context as _, Result};
use nix::errno::Errno;

/// Runs something as a real-time thread; processes started in it are so, too.
pub(crate) fn urgently<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    schedule(libc::SCHED_FIFO, 1)?;
    let result = act();
    schedule(libc::SCHED_OTHER, 0)?;
    result
}

/// Sets how this thread gets a CPU.
pub(crate) fn schedule(policy: i32, priority: i32) -> Result<()> {
    let parameter = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the pointer is to a live sched_param; 0 means this thread.
    let done = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    Errno::result(done)
        .map(drop)
        .context("setting the priority")
}
