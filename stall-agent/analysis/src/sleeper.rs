//! Threads by their recorded sleeps in D: when, for what, and who ended them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::reason::{self, Facts, facts};
use super::symbol;
use stall_capture::{Capture, Holder, Process, Waker};
use stall_report::model::Reason;

/// Index of a thread.
pub(super) type Thread = usize;

/// A recorded sleep, as far as it lies in the window.
pub(super) struct Sleep {
    pub(super) span: Range<u64>,
    pub(super) reason: Reason,
    pub(super) decided_by: Option<String>,
    /// It is ended by the task that lets go of a lock.
    pub(super) is_lock: bool,
    /// Who that was, of a sleep on a lock.
    pub(super) holder: Option<Thread>,
    pub(super) unfinished: bool,
}

/// Threads that slept, and those that ended their sleeps.
pub(super) struct Sleepers<'a> {
    threads: Vec<One>,
    /// Threads by number; a number may have been given more than once.
    by_tid: HashMap<u32, Vec<Thread>>,
    /// The first thread known of each process, by its number and start.
    leaders: HashMap<(u32, u64), Thread>,
    requests: HashMap<u32, Vec<Waited>>,
    window: &'a Range<u64>,
}

struct One {
    tid: u32,
    start_boottime_ns: u64,
    process: Arc<Process>,
    sleeps: Vec<Sleep>,
}

/// A slow or unfinished request.
struct Waited {
    tid: u32,
    disk: u16,
    span: Range<u64>,
}

impl<'a> Sleepers<'a> {
    pub(super) fn new(capture: &Capture, window: &'a Range<u64>) -> Self {
        let mut sleepers = Self {
            threads: Vec::new(),
            by_tid: HashMap::new(),
            leaders: HashMap::new(),
            requests: requests(capture),
            window,
        };
        for task in &capture.tasks {
            sleepers.add(task.tid, task.start_boottime_ns, task.process.clone());
        }
        sleepers.take_in(capture);
        sleepers
    }

    /// Sleeps on locks, with the threads that slept.
    pub(super) fn on_locks(&self) -> impl Iterator<Item = (Thread, &Sleep)> {
        let threads = self.threads.iter().enumerate();
        threads.flat_map(|(thread, one)| {
            let locks = one.sleeps.iter().filter(|sleep| sleep.is_lock);
            locks.map(move |sleep| (thread, sleep))
        })
    }

    /// Sleeps of a thread that overlap a time, in order.
    pub(super) fn during(&self, thread: Thread, span: &Range<u64>) -> impl Iterator<Item = &Sleep> {
        let sleeps = &self.threads[thread].sleeps;
        let first = sleeps.partition_point(|sleep| sleep.span.end <= span.start);
        let end = span.end;
        let rest = sleeps[first..].iter();
        rest.take_while(move |sleep| sleep.span.start < end)
    }

    /// The process it is a thread of.
    pub(super) fn process(&self, thread: Thread) -> &Process {
        &self.threads[thread].process
    }

    /// The first thread known of the same process.
    pub(super) fn leader(&self, thread: Thread) -> Thread {
        let process = self.process(thread);
        let leader = self.leaders.get(&(process.pid, process.start_boottime_ns));
        leader.copied().unwrap_or(thread)
    }

    /// The disk of the request of its process that was there for the most of a time; one of its own before others'.
    pub(super) fn disk_waited_for(&self, thread: Thread, span: &Range<u64>) -> Option<u16> {
        let one = &self.threads[thread];
        let requests = self.requests.get(&one.process.pid)?.iter();
        let there = requests
            .map(|request| (request, overlap(&request.span, span)))
            .filter(|(_, ns)| *ns > 0);
        let most = there.max_by_key(|(request, ns)| (request.tid == one.tid, *ns));
        most.map(|(request, _)| request.disk)
    }

    fn add(&mut self, tid: u32, start_boottime_ns: u64, process: Arc<Process>) -> Thread {
        let thread = self.threads.len();
        self.by_tid.entry(tid).or_default().push(thread);
        let key = (process.pid, process.start_boottime_ns);
        self.leaders.entry(key).or_insert(thread);
        self.threads.push(One {
            tid,
            start_boottime_ns,
            process,
            sleeps: Vec::new(),
        });
        thread
    }

    fn take_in(&mut self, capture: &Capture) {
        let tasks = capture.tasks.iter().enumerate();
        let rows: HashMap<u32, Thread> = tasks.map(|(thread, task)| (task.id, thread)).collect();
        let mut decided = Decided::new(capture);
        for sleep in &capture.long_sleeps {
            if let Some(&thread) = rows.get(&sleep.task) {
                let times = sleep.start_ns..sleep.end_ns;
                let mut taken =
                    self.sleep(decided.of(sleep.stack, facts(false, sleep.io_wait)), &times);
                let waker = sleep.waker.as_ref().filter(|_| taken.is_lock);
                taken.holder = waker.map(|waker| self.waker(capture, waker));
                self.threads[thread].sleeps.push(taken);
            }
        }
        for sleep in &capture.unfinished_sleeps {
            if let Some(&thread) = rows.get(&sleep.task) {
                let times = sleep.start_ns..capture.window.end_ns;
                let facts = facts(sleep.holder.is_some(), sleep.io_wait);
                let mut taken = self.sleep(decided.of(sleep.stack, facts), &times);
                taken.unfinished = true;
                taken.holder = sleep.holder.as_ref().map(|one| self.holder(capture, one));
                self.threads[thread].sleeps.push(taken);
            }
        }
        for one in &mut self.threads {
            one.sleeps.sort_by_key(|sleep| sleep.span.start);
        }
    }

    fn sleep(&self, decision: &reason::Decision, times: &Range<u64>) -> Sleep {
        let start = times.start.max(self.window.start);
        Sleep {
            span: start..times.end.min(self.window.end).max(start),
            reason: decision.reason,
            decided_by: decision.decided_by.clone(),
            is_lock: decision.is_released_by_a_task,
            holder: None,
            unfinished: false,
        }
    }

    fn waker(&mut self, capture: &Capture, waker: &Waker) -> Thread {
        let known = self.by_tid.get(&waker.tid).into_iter().flatten();
        let mut same =
            known.filter(|one| self.threads[**one].start_boottime_ns == waker.start_boottime_ns);
        if let Some(thread) = same.next() {
            return *thread;
        }
        let unknown = || Process {
            pid: waker.pid,
            comm: waker.comm.clone(),
            kernel_thread: waker.kernel_thread,
            start_boottime_ns: waker.start_boottime_ns,
            ..Process::default()
        };
        let process = process(capture, waker.pid).unwrap_or_else(|| unknown().into());
        self.add(waker.tid, waker.start_boottime_ns, process)
    }

    /// A number may have been given again; the youngest thread is the one that is there.
    fn holder(&mut self, capture: &Capture, holder: &Holder) -> Thread {
        let known = self.by_tid.get(&holder.tid).into_iter().flatten();
        let youngest = known.max_by_key(|one| self.threads[**one].start_boottime_ns);
        if let Some(thread) = youngest {
            return *thread;
        }
        let unknown = || Process {
            pid: holder.pid,
            comm: holder.comm.clone(),
            ..Process::default()
        };
        let process = process(capture, holder.pid).unwrap_or_else(|| unknown().into());
        self.add(holder.tid, 0, process)
    }
}

/// Reasons by stack: the same few stacks have most of the sleeps.
struct Decided<'a> {
    capture: &'a Capture,
    by_stack: HashMap<(Option<usize>, Facts), reason::Decision>,
}

impl<'a> Decided<'a> {
    fn new(capture: &'a Capture) -> Self {
        Self {
            capture,
            by_stack: HashMap::new(),
        }
    }

    fn of(&mut self, stack: Option<usize>, facts: Facts) -> &reason::Decision {
        let decide = || reason::decide(symbol::stack(self.capture, stack), facts);
        self.by_stack.entry((stack, facts)).or_insert_with(decide)
    }
}

/// Of a thread that was in D for no time worth a record.
fn process(capture: &Capture, pid: u32) -> Option<Arc<Process>> {
    let mut of_tasks = capture.tasks.iter().map(|task| &task.process);
    let of_task = of_tasks.find(|one| one.pid == pid);
    let mut of_actors = capture.actors.iter().filter_map(|one| one.process.as_ref());
    let mut of_actor = || of_actors.find(|one| one.pid == pid);
    of_task
        .cloned()
        .or_else(|| of_actor().cloned().map(Arc::new))
}

/// By process id.
fn requests(capture: &Capture) -> HashMap<u32, Vec<Waited>> {
    let actors = capture.actors.iter();
    let pids: HashMap<u32, u32> = actors
        .filter_map(|actor| Some((actor.id, actor.process.as_ref()?.pid)))
        .collect();
    let ended = capture
        .slow_requests
        .iter()
        .chain(&capture.discard_requests);
    let ended = ended.map(|one| {
        (
            one.actor,
            one.tid,
            one.disk,
            one.queued_ns..one.completed_ns,
        )
    });
    let end_ns = capture.window.end_ns;
    let unfinished = capture.unfinished_requests.iter();
    let unfinished = unfinished.map(|one| (one.actor, one.tid, one.disk, one.queued_ns..end_ns));
    let mut by_pid = HashMap::<u32, Vec<Waited>>::new();
    for (actor, tid, disk, span) in ended.chain(unfinished) {
        if let Some(pid) = pids.get(&actor) {
            by_pid
                .entry(*pid)
                .or_default()
                .push(Waited { tid, disk, span });
        }
    }
    by_pid
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> u64 {
    let end = one.end.min(other.end);
    end.saturating_sub(one.start.max(other.start))
}
