//! Keeps signals away from a part of the run that they would break.
//!
//! The kernel gives up checking a program when a signal is pending (`do_check` in kernel/bpf/verifier.c: `EAGAIN`). One
//! that comes meanwhile is delivered when this is dropped. It is for the thread that begins it, and for those started
//! meanwhile, which are to end before it does.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// What ends a window, and what stops a process from its terminal. Other signals end the process in any case.
const KEPT_AWAY: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
];

/// While it lives no such signal is delivered to this thread.
#[must_use]
pub(super) struct HeldSignals {
    /// What was kept away before; unknown when the kernel refused, and then nothing is.
    before: Option<SigSet>,
}

impl HeldSignals {
    pub(super) fn begin() -> Self {
        let set: SigSet = KEPT_AWAY.into_iter().collect();
        Self {
            before: set.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok(),
        }
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // The kernel gave this very mask, so it has no reason to refuse it.
            let _ = before.thread_set_mask();
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn a_signal_waits_and_the_mask_comes_back() {
        let before = SigSet::thread_get_mask().unwrap();
        let held_signals = HeldSignals::begin();
        for signal in KEPT_AWAY {
            // To this thread alone; it would end the test.
            raise(signal).unwrap();
            let only: SigSet = [signal].into_iter().collect();
            assert_eq!(only.wait().unwrap(), signal);
        }
        drop(held_signals);
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
