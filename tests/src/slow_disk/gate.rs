//! Who may be in service at once: the disk's lock, first come, first served.
//!
//! Contract: operations are admitted strictly in order of arrival; a waiting exclusive operation
//! holds back everything that came after it. Mode and width may change while operations wait.

use std::collections::VecDeque;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use anyhow::{Error, bail};

use super::op::Op;

/// What excludes what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockMode {
    /// 0: nothing excludes anything.
    #[default]
    Parallel,
    /// 1: a discard (or a zeroing) excludes everything, as in a busy device.
    DiscardExclusive,
    /// 2: one operation at a time.
    Serial,
}

impl LockMode {
    /// The number used in commands.
    pub fn number(self) -> u8 {
        self as u8
    }

    fn excludes(self, op: Op) -> bool {
        match self {
            LockMode::Parallel => false,
            LockMode::DiscardExclusive => op.is_exclusive(),
            LockMode::Serial => true,
        }
    }
}

impl FromStr for LockMode {
    type Err = Error;

    fn from_str(number: &str) -> Result<Self, Error> {
        match number {
            "0" => Ok(LockMode::Parallel),
            "1" => Ok(LockMode::DiscardExclusive),
            "2" => Ok(LockMode::Serial),
            _ => bail!("lock is 0, 1 or 2, not `{number}`"),
        }
    }
}

#[derive(Debug)]
struct Ticket {
    op: Op,
    admitted: AtomicBool,
    thread: Thread,
}

#[derive(Debug, Default)]
struct State {
    mode: LockMode,
    /// Most operations in service at once; 0 is no bound.
    width: usize,
    waiting: VecDeque<Arc<Ticket>>,
    in_service: usize,
    exclusive_in_service: bool,
}

impl State {
    fn fits(&self, op: Op) -> bool {
        let full = self.width > 0 && self.in_service >= self.width;
        let alone = self.in_service == 0;
        !self.exclusive_in_service && !full && (alone || !self.mode.excludes(op))
    }

    fn admit(&mut self) {
        while self
            .waiting
            .front()
            .is_some_and(|first| self.fits(first.op))
        {
            let Some(ticket) = self.waiting.pop_front() else {
                return;
            };
            self.in_service += 1;
            self.exclusive_in_service = self.mode.excludes(ticket.op);
            ticket.admitted.store(true, Ordering::Release);
            ticket.thread.unpark();
        }
    }
}

/// The lock in front of the disk's service.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
}

impl Gate {
    /// Waits for this operation's turn; it is in service until the pass is dropped.
    pub fn enter(&self, op: Op) -> Pass<'_> {
        let ticket = Arc::new(Ticket {
            op,
            admitted: AtomicBool::new(false),
            thread: thread::current(),
        });
        let mut state = self.state();
        state.waiting.push_back(Arc::clone(&ticket));
        state.admit();
        drop(state);
        while !ticket.admitted.load(Ordering::Acquire) {
            thread::park();
        }
        Pass { gate: self }
    }

    /// Changes what excludes what, for every operation not yet in service.
    pub fn set_mode(&self, mode: LockMode) {
        let mut state = self.state();
        state.mode = mode;
        state.admit();
    }

    /// Changes how many operations may be in service at once; 0 is no bound.
    pub fn set_width(&self, width: usize) {
        let mut state = self.state();
        state.width = width;
        state.admit();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to be in service.
#[derive(Debug)]
pub struct Pass<'a> {
    gate: &'a Gate,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.in_service -= 1;
        state.exclusive_in_service = false;
        state.admit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(mode: LockMode) -> State {
        State {
            mode,
            ..State::default()
        }
    }

    fn occupy(state: &mut State, op: Op) {
        assert!(state.fits(op));
        state.in_service += 1;
        state.exclusive_in_service = state.mode.excludes(op);
    }

    #[test]
    fn parallel_admits_everything() {
        let mut state = state(LockMode::Parallel);
        occupy(&mut state, Op::Discard);
        assert!(state.fits(Op::Read) && state.fits(Op::Discard));
    }

    #[test]
    fn a_discard_excludes_and_is_excluded() {
        let mut state = state(LockMode::DiscardExclusive);
        occupy(&mut state, Op::Read);
        assert!(state.fits(Op::Write) && !state.fits(Op::Discard));
        let mut state = self::state(LockMode::DiscardExclusive);
        occupy(&mut state, Op::Discard);
        assert!(!state.fits(Op::Read));
    }

    #[test]
    fn serial_and_width_one_admit_one() {
        for (mode, width) in [(LockMode::Serial, 0), (LockMode::Parallel, 1)] {
            let mut state = state(mode);
            state.width = width;
            occupy(&mut state, Op::Read);
            assert!(!state.fits(Op::Read));
        }
    }

    #[test]
    fn passes_serialise_threads() {
        let gate = Gate::default();
        gate.set_mode(LockMode::Serial);
        let inside = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _pass = gate.enter(Op::Read);
                        assert!(!inside.swap(true, Ordering::SeqCst));
                        inside.store(false, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
