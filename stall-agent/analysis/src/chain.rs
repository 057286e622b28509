//! From a sleep on a lock to what it was in the end that was waited for: the time of each sleep is divided among
//! chains, so that nothing of it is lost or counted twice. The method is in `docs/principles.md`.

use std::collections::BTreeMap;
use std::ops::Range;

use super::names::{Names, process_label};
use super::sleeper::{Sleep, Sleepers, Thread};
use crate::number::ratio;
use stall_capture::Capture;
use stall_capture::is_discard;
use stall_report::model::{Blame, BlameRow, Chain, ChainDelay, ChainEnd, ChainLink, Reason};

/// Threads in a chain, at most.
const LONGEST: usize = 8;

/// All chains of the window, those most waited in first.
pub(super) fn chains(capture: &Capture, names: &Names<'_>, blame: &[Blame]) -> Vec<Chain> {
    let window = capture.window.start_ns..capture.window.end_ns;
    let sleepers = Sleepers::new(capture, &window);
    let mut sums = BTreeMap::<Key, Sum>::new();
    for (thread, sleep) in sleepers.on_locks() {
        let mut ways = BTreeMap::<Key, u64>::new();
        let mut walk = Walk {
            sleepers: &sleepers,
            path: Vec::new(),
            ways: &mut ways,
        };
        walk.follow(thread, sleep, sleep.span.clone());
        for (key, ns) in ways {
            sums.entry(key).or_default().add(ns, sleep.unfinished);
        }
    }
    let namer = Namer {
        sleepers: &sleepers,
        names,
        blame,
    };
    let chains = sums.iter().map(|(key, sum)| namer.chain(key, sum));
    let mut chains: Vec<Chain> = chains.collect();
    chains.sort_by_key(|chain| std::cmp::Reverse(chain.waited_ns));
    chains
}

/// Chains with the same key are added up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    steps: Vec<Step>,
    end: ChainEnd,
}

/// One process, and what it slept for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    thread: Thread,
    reason: Option<Reason>,
    decided_by: Option<String>,
    disk: Option<u16>,
}

#[derive(Default)]
struct Sum {
    waited_ns: u64,
    sleeps: u64,
    longest_ns: u64,
    unfinished: bool,
}

impl Sum {
    fn add(&mut self, ns: u64, unfinished: bool) {
        self.waited_ns = self.waited_ns.saturating_add(ns);
        self.sleeps += 1;
        self.longest_ns = self.longest_ns.max(ns);
        self.unfinished |= unfinished;
    }
}

/// One sleep on its way to where it ends.
struct Walk<'a> {
    sleepers: &'a Sleepers<'a>,
    path: Vec<(Thread, Step)>,
    ways: &'a mut BTreeMap<Key, u64>,
}

impl Walk<'_> {
    /// Divides the part of a sleep on a lock that lies in `span`.
    fn follow(&mut self, thread: Thread, sleep: &Sleep, span: Range<u64>) {
        self.path
            .push((thread, self.step(thread, Some(sleep), &span)));
        match sleep.holder {
            None => self.end(ChainEnd::Unknown, &span),
            Some(holder) if self.is_passed(holder) => self.end(ChainEnd::Cut, &span),
            Some(holder) => self.divide(holder, span),
        }
        self.path.pop();
    }

    /// What the holder did meanwhile.
    fn divide(&mut self, holder: Thread, span: Range<u64>) {
        let mut from = span.start;
        for sleep in self.sleepers.during(holder, &span) {
            let part = sleep.span.start.max(from)..sleep.span.end.min(span.end);
            if part.is_empty() {
                continue;
            }
            self.runs(holder, from..part.start);
            from = part.end;
            if sleep.is_lock {
                self.follow(holder, sleep, part);
            } else {
                self.last(holder, Some(sleep), &part, ChainEnd::Waits);
            }
        }
        self.runs(holder, from..span.end);
    }

    fn runs(&mut self, holder: Thread, span: Range<u64>) {
        if !span.is_empty() {
            self.last(holder, None, &span, ChainEnd::Runs);
        }
    }

    fn last(&mut self, thread: Thread, sleep: Option<&Sleep>, span: &Range<u64>, end: ChainEnd) {
        self.path.push((thread, self.step(thread, sleep, span)));
        self.end(end, span);
        self.path.pop();
    }

    fn end(&mut self, end: ChainEnd, span: &Range<u64>) {
        let steps = self.path.iter().map(|(_, step)| step.clone()).collect();
        let sum = self.ways.entry(Key { steps, end }).or_default();
        *sum = sum.saturating_add(span.end - span.start);
    }

    fn is_passed(&self, thread: Thread) -> bool {
        self.path.len() >= LONGEST || self.path.iter().any(|(one, _)| *one == thread)
    }

    fn step(&self, thread: Thread, sleep: Option<&Sleep>, span: &Range<u64>) -> Step {
        let sleeps_for_disk = sleep.is_some_and(|sleep| !sleep.is_lock);
        Step {
            thread: self.sleepers.leader(thread),
            reason: sleep.map(|sleep| sleep.reason),
            decided_by: sleep.and_then(|sleep| sleep.decided_by.clone()),
            disk: sleeps_for_disk
                .then(|| self.sleepers.disk_waited_for(thread, span))
                .flatten(),
        }
    }
}

/// From threads to what people call them.
struct Namer<'a> {
    sleepers: &'a Sleepers<'a>,
    names: &'a Names<'a>,
    blame: &'a [Blame],
}

impl Namer<'_> {
    fn chain(&self, key: &Key, sum: &Sum) -> Chain {
        Chain {
            links: key.steps.iter().map(|step| self.link(step)).collect(),
            end: key.end,
            waited_ns: sum.waited_ns,
            sleeps: sum.sleeps,
            longest_ns: sum.longest_ns,
            unfinished: sum.unfinished,
        }
    }

    fn link(&self, step: &Step) -> ChainLink {
        let process = self.sleepers.process(step.thread);
        let actor = self.names.actor_of(process);
        let device = step.disk.map(|disk| self.names.device(disk));
        ChainLink {
            pid: process.pid,
            label: process_label(process),
            actor,
            kernel_thread: process.kernel_thread,
            reason: step.reason,
            decided_by: step.decided_by.clone(),
            delayed_by: self.delay(actor, device.as_deref()),
            device,
        }
    }

    fn delay(&self, actor: Option<u32>, device: Option<&str>) -> Option<ChainDelay> {
        let (actor, device) = (actor?, device?);
        let mut tables = self.blame.iter();
        let table = tables.find(|table| table.device == device)?;
        let row = table.victims.iter().find(|row| row.actor == actor)?;
        largest(row)
    }
}

/// Of what a row lays on somebody, or on the device.
fn largest(row: &BlameRow) -> Option<ChainDelay> {
    let slow_ns = row.waited_ns.saturating_sub(row.fast_ns);
    let cell = row.by.iter().max_by_key(|cell| cell.waited_ns);
    match cell.filter(|cell| cell.waited_ns > row.device_ns.max(row.own_ns)) {
        Some(cell) => Some(ChainDelay {
            actor: Some(cell.actor),
            label: cell.label.clone(),
            op: Some(cell.op),
            origin: cell.origin.filter(|_| is_discard(cell.op)),
            share: ratio(cell.waited_ns, slow_ns)?,
        }),
        None if row.own_ns > row.device_ns => Some(ChainDelay {
            actor: Some(row.actor),
            label: row.label.clone(),
            op: None,
            origin: None,
            share: ratio(row.own_ns, slow_ns)?,
        }),
        None => Some(ChainDelay {
            actor: None,
            label: "the device itself".to_owned(),
            op: None,
            origin: None,
            share: ratio(row.device_ns, slow_ns)?,
        }),
    }
}
