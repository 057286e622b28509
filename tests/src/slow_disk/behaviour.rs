//! What the disk does with an operation now: its time, whether it hangs, whether it fails.
//!
//! Contract: settings are read when an operation enters service; those that change later do not
//! touch it, but for `release`, which ends a hang, and `hurry`, which ends every wait at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::delay::{Delay, Random};
use super::gate::{Gate, LockMode};
use super::op::Op;
use crate::clock::{Sleeper, monotonic_ns};

const KINDS: usize = Op::ALL.len();
const SECTOR: usize = 512;

/// How long a sleeper may overlook `hurry`.
const SLICE_NS: u64 = 20_000_000;

#[derive(Debug)]
struct Settings {
    delays: [Delay; KINDS],
    /// How many operations of each kind are still to hang or to fail.
    to_hang: [u64; KINDS],
    to_fail: [u64; KINDS],
    /// How many reads are still to return half of what was asked for.
    to_shorten: u64,
    /// Moves with each release, so that a hanging operation sees that it is meant.
    releases: [u64; KINDS],
    hanging: usize,
    random: Random,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delays: Default::default(),
            to_hang: Default::default(),
            to_fail: Default::default(),
            to_shorten: 0,
            releases: Default::default(),
            hanging: 0,
            random: Random::new(1),
        }
    }
}

/// The disk's settings, shared by its threads.
#[derive(Debug, Default)]
pub struct Behaviour {
    settings: Mutex<Settings>,
    released: Condvar,
    hurry: AtomicBool,
    sleeper: Sleeper,
    pub gate: Gate,
}

/// What was decided for one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    pub delay_ns: u64,
    pub fails: bool,
    /// It has hung; its own time begins now.
    pub hung: bool,
}

impl Behaviour {
    /// Decides about an operation that enters service; returns after its hang, if it hangs.
    pub fn begin(&self, op: Op, length: u64) -> Service {
        let mut settings = self.settings();
        let Settings { delays, random, .. } = &mut *settings;
        let drawn = delays[op.index()].draw_ns(length, random);
        let fails = take_one(&mut settings.to_fail[op.index()]);
        let hung = take_one(&mut settings.to_hang[op.index()]);
        if hung {
            settings = self.wait_for_release(settings, op);
        }
        drop(settings);
        let delay_ns = if self.is_hurried() { 0 } else { drawn };
        Service {
            delay_ns,
            fails,
            hung,
        }
    }

    /// Sleeps the service time from its start on, unless hurried.
    pub fn sleep(&self, start_ns: u64, delay_ns: u64) {
        let deadline = start_ns + delay_ns;
        while !self.is_hurried() && monotonic_ns() < deadline {
            self.sleeper.until(deadline.min(monotonic_ns() + SLICE_NS));
        }
    }

    /// Sets the time of one kind of operation.
    pub fn set_delay(&self, op: Op, delay: Delay) {
        self.settings().delays[op.index()] = delay;
    }

    /// Restarts the random draws.
    pub fn set_seed(&self, seed: u64) {
        self.settings().random = Random::new(seed);
    }

    /// Lets the next `count` operations of a kind hang in service until released.
    pub fn hang(&self, op: Op, count: u64) {
        self.settings().to_hang[op.index()] = count;
    }

    /// Ends the hangs of a kind, present and to come; `None` means every kind.
    pub fn release(&self, op: Option<Op>) {
        let mut settings = self.settings();
        for op in kinds(op) {
            settings.to_hang[op.index()] = 0;
            settings.releases[op.index()] += 1;
        }
        drop(settings);
        self.released.notify_all();
    }

    /// Lets the next `count` operations of a kind fail with EIO, after their time.
    pub fn fail(&self, op: Op, count: u64) {
        self.settings().to_fail[op.index()] = count;
    }

    /// Lets the next `count` reads return half of what was asked for.
    pub fn shorten(&self, count: u64) {
        self.settings().to_shorten = count;
    }

    /// How much of a read is to be returned, in whole sectors and never nothing.
    pub fn length_of_read(&self, asked: usize) -> usize {
        let half = asked / 2 / SECTOR * SECTOR;
        if half > 0 && take_one(&mut self.settings().to_shorten) {
            half
        } else {
            asked
        }
    }

    /// Ends the failing of a kind; `None` means every kind.
    pub fn pass(&self, op: Option<Op>) {
        let mut settings = self.settings();
        for op in kinds(op) {
            settings.to_fail[op.index()] = 0;
        }
    }

    /// From now on the disk is fast, free and sound: nothing waits, hangs or fails.
    pub fn hurry(&self) {
        self.hurry.store(true, Ordering::Release);
        self.pass(None);
        self.shorten(0);
        self.release(None);
        self.gate.set_width(0);
        self.gate.set_mode(LockMode::Parallel);
    }

    /// How many operations hang now.
    pub fn hanging(&self) -> usize {
        self.settings().hanging
    }

    fn wait_for_release<'a>(
        &'a self,
        mut settings: MutexGuard<'a, Settings>,
        op: Op,
    ) -> MutexGuard<'a, Settings> {
        let mine = settings.releases[op.index()];
        settings.hanging += 1;
        let mut settings = self
            .released
            .wait_while(settings, |now| {
                now.releases[op.index()] == mine && !self.is_hurried()
            })
            .unwrap_or_else(PoisonError::into_inner);
        settings.hanging -= 1;
        settings
    }

    fn is_hurried(&self) -> bool {
        self.hurry.load(Ordering::Acquire)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kinds(op: Option<Op>) -> Vec<Op> {
    op.map_or_else(|| Op::ALL.to_vec(), |op| vec![op])
}

fn take_one(count: &mut u64) -> bool {
    let some = *count > 0;
    *count = count.saturating_sub(1);
    some
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn counted_failures_end_by_themselves() {
        let behaviour = Behaviour::default();
        behaviour.fail(Op::Read, 2);
        let fails = || behaviour.begin(Op::Read, 0).fails;
        assert_eq!([fails(), fails(), fails()], [true, true, false]);
    }

    #[test]
    fn shortened_reads_keep_whole_sectors_and_something() {
        let behaviour = Behaviour::default();
        behaviour.shorten(2);
        let lengths = [512, 4096, 3072, 4096].map(|asked| behaviour.length_of_read(asked));
        assert_eq!(lengths, [512, 2048, 1536, 4096]);
    }

    #[test]
    fn a_hang_lasts_until_its_own_release() {
        let behaviour = Behaviour::default();
        behaviour.hang(Op::Discard, 1);
        thread::scope(|scope| {
            let hung = scope.spawn(|| behaviour.begin(Op::Discard, 0));
            while behaviour.hanging() == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            behaviour.release(Some(Op::Read));
            assert_eq!(behaviour.hanging(), 1);
            behaviour.release(Some(Op::Discard));
            assert!(!hung.join().unwrap().fails);
        });
        assert_eq!(behaviour.hanging(), 0);
    }

    #[test]
    fn hurry_ends_a_long_sleep() {
        let behaviour = Behaviour::default();
        let start = monotonic_ns();
        thread::scope(|scope| {
            scope.spawn(|| behaviour.sleep(start, 60_000_000_000));
            behaviour.hurry();
        });
        assert!(monotonic_ns() - start < 5_000_000_000);
        behaviour.set_delay(Op::Read, Delay::constant(1000));
        assert_eq!(behaviour.begin(Op::Read, 0).delay_ns, 0);
    }
}
