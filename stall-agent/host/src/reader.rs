//! Looks up processes on threads of its own, so that a read of `/proc` that hangs hangs nobody else.
//!
//! Reading a command line waits for a lock of the process read, which that process may hold in the
//! very D sleep under investigation. One thread answers; when it has been at one process for too
//! long, it is left to it and another one goes on, up to [`MAX_THREADS`]. The queue is bounded, and
//! what was refused or given up is counted.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::HostRoot;
use super::identity::Identity;
use super::procfs::Missing;
use stall_capture::Process;

/// Look-ups waiting at a time.
const MAX_QUEUE: usize = 4096;
/// Threads, those that hang included.
const MAX_THREADS: usize = 4;
/// At one process for longer than this, a thread counts as hanging.
const PATIENCE: Duration = Duration::from_millis(250);

/// What is to be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// The asker's own name for it.
    pub id: u32,
    pub pid: u32,
    /// Start in nanoseconds of `CLOCK_BOOTTIME`, when known.
    pub start_boottime_ns: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub query: Query,
    pub process: Result<Process, Missing>,
}

/// What is there when no more is asked.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    pub answers: Vec<Answer>,
    /// Look-ups that had no answer at the deadline.
    pub given_up: u64,
    /// Look-ups that found the queue full.
    pub refused: u64,
}

/// The asker's side; its threads end with it, as soon as `/proc` lets them.
pub struct Reader {
    shared: Arc<Shared>,
}

struct Shared {
    look_up: Box<LookUp>,
    state: Mutex<State>,
    /// Told of queries, answers and the end.
    changed: Condvar,
}

type LookUp = dyn Fn(Query) -> Result<Process, Missing> + Send + Sync;

#[derive(Default)]
struct State {
    queue: VecDeque<Query>,
    answers: Vec<Answer>,
    refused: u64,
    threads: usize,
    /// Number of the thread that takes from the queue; older ones are left to what they do.
    current: u64,
    /// Since when the current thread is at one process.
    busy_since: Option<Instant>,
    /// Queries taken and not answered, also by threads that hang.
    in_hand: u64,
    closed: bool,
}

impl Reader {
    /// Starts the first thread.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(root: HostRoot) -> io::Result<Self> {
        let identity = Identity::new(root);
        Self::with(Box::new(move |query| {
            identity.process(query.pid, query.start_boottime_ns)
        }))
    }

    fn with(look_up: Box<LookUp>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            look_up,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        shared.start_thread(&mut shared.lock())?;
        Ok(Self { shared })
    }

    /// Asks for a process; false when the queue is full. Returns at once.
    pub fn request(&self, id: u32, pid: u32, start_boottime_ns: Option<u64>) -> bool {
        let mut state = self.shared.lock();
        self.shared.replace_if_hanging(&mut state);
        if state.queue.len() >= MAX_QUEUE {
            state.refused += 1;
            return false;
        }
        state.queue.push_back(Query {
            id,
            pid,
            start_boottime_ns,
        });
        self.shared.changed.notify_all();
        true
    }

    /// The answers since the last call, in the order they came. Returns at once.
    #[must_use]
    pub fn answers(&self) -> Vec<Answer> {
        let mut state = self.shared.lock();
        self.shared.replace_if_hanging(&mut state);
        std::mem::take(&mut state.answers)
    }

    /// Waits until all is answered or `deadline` has come.
    #[must_use]
    pub fn finish(self, deadline: Instant) -> Finished {
        let mut state = self.shared.lock();
        while state.open() > 0 && Instant::now() < deadline {
            self.shared.replace_if_hanging(&mut state);
            let wait = deadline.saturating_duration_since(Instant::now());
            state = self.shared.wait(state, wait.min(PATIENCE));
        }
        Finished {
            answers: std::mem::take(&mut state.answers),
            given_up: state.open(),
            refused: state.refused,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        self.shared.changed.notify_all();
    }
}

impl State {
    /// Queries without an answer.
    fn open(&self) -> u64 {
        self.queue.len() as u64 + self.in_hand
    }
}

impl Shared {
    /// The state is valid after each statement under the lock, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let woken = self.changed.wait_timeout(state, time);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let number = state.current + 1;
        let shared = Arc::clone(self);
        thread::Builder::new()
            .name("proc-reader".to_owned())
            .stack_size(256 << 10)
            .spawn(move || shared.serve(number))?;
        state.current = number;
        state.threads += 1;
        state.busy_since = None;
        Ok(())
    }

    fn replace_if_hanging(self: &Arc<Self>, state: &mut State) {
        let hangs = state
            .busy_since
            .is_some_and(|since| since.elapsed() > PATIENCE);
        if hangs && state.threads < MAX_THREADS && !state.queue.is_empty() {
            // Without another thread the queue waits for the one there is.
            let _ = self.start_thread(state);
        }
    }

    /// What a thread does until it is replaced or the reader is gone.
    fn serve(&self, number: u64) {
        while let Some(query) = self.take(number) {
            // A panic costs the process it was at, not those behind it in the queue.
            let look_up = AssertUnwindSafe(|| (self.look_up)(query));
            let process = catch_unwind(look_up).unwrap_or(Err(Missing::Failed));
            self.answer(number, Answer { query, process });
        }
        self.lock().threads -= 1;
    }

    fn take(&self, number: u64) -> Option<Query> {
        let mut state = self.lock();
        loop {
            if state.closed || state.current != number {
                return None;
            }
            if let Some(query) = state.queue.pop_front() {
                state.busy_since = Some(Instant::now());
                state.in_hand += 1;
                return Some(query);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn answer(&self, number: u64, answer: Answer) {
        let mut state = self.lock();
        state.in_hand -= 1;
        if state.current == number {
            state.busy_since = None;
        }
        if !state.closed {
            state.answers.push(answer);
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
