//! Whether an event costs more where there is more: disks, tasks, threads. Beside the agent's programs, what the machine makes of
//! programs that do nothing, of one look-up, and of a peer's.

use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};
use serde_json::{Value, json};

use super::contender::Contender;
use super::device::{Device, reads};
use super::measure::{DEPTH, programs_under};
use super::options::Options;
use super::programs::{self, Count};
use super::running::Running;
use super::summary::median;
use crate::fio::Job;

const DISKS: usize = 64;
const THREADS: u32 = 16;
const TASKS: usize = 10_000;
/// A sleeping thread needs little.
const STACK: usize = 16 << 10;

/// Names of what there is; the first is what the others are compared with.
const MANY: [&str; 4] = ["one of each", "64 disks", "16 threads", "10,000 tasks"];
/// Which of them has many tasks.
const MANY_TASKS: usize = 3;
/// Those whose programs tell how much of what grows is the agent's: whatever the programs do, the machine has less in its caches.
const OF: [&str; 4] = ["empty programs", "one look-up", "stall-agent", "biolatency"];

/// What there was, and what each program of a contender then took.
pub(super) struct Step {
    with: &'static str,
    contender: &'static str,
    /// By hook, ns per event in each round, timing included.
    events: Vec<(&'static str, Vec<f64>)>,
}

/// Some contenders, with one and with many, in turn.
pub(super) fn measure(
    contenders: &[Contender],
    device: &Device,
    options: &Options,
) -> Result<Vec<Step>> {
    let disks = Device::many(DISKS)?;
    let paths: Vec<_> = disks
        .iter()
        .map(|disk| disk.path().display().to_string())
        .collect();
    let one = device.load(DEPTH, options.load);
    let many_disks = reads(&paths.join(":"), DEPTH, options.load);
    let many_threads = device.load(2, options.load).jobs(THREADS);
    let loads = [&one, &many_disks, &many_threads, &one];
    let contenders = contenders.iter();
    let contenders: Vec<_> = contenders
        .filter(|contender| OF.contains(&contender.name))
        .collect();
    let mut steps: Vec<Step> = Vec::new();
    for with in MANY {
        let of = contenders
            .iter()
            .map(|contender| Step::new(with, contender.name));
        steps.extend(of);
    }
    for _ in 0..options.rounds {
        let mut steps = steps.iter_mut();
        for (index, job) in loads.into_iter().enumerate() {
            let sleepers = (index == MANY_TASKS).then(Sleepers::start).transpose()?;
            for (contender, step) in contenders.iter().zip(&mut steps) {
                eprintln!("growth: {} with {}", contender.name, MANY[index]);
                step.round(contender, device, job)?;
            }
            drop(sleepers);
        }
    }
    Ok(steps)
}

/// Of each step, the median, and beside it as a part of that of the first.
pub(super) fn table(steps: &[Step]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let mut table = "\n| with | program of | hook | ns per event, timing included | of the first |\n|---|---|---|---:|---:|\n".to_owned();
    for step in steps {
        let first = steps.iter().find(|first| first.contender == step.contender);
        for (hook, _) in &step.events {
            if let (Some(ns), Some(first)) = (
                step.median(hook),
                first.and_then(|first| first.median(hook)),
            ) {
                writeln!(
                    table,
                    "| {} | {} | `{hook}` | {ns:.0} | {:.2} |",
                    step.with,
                    step.contender,
                    ns / first
                )
                .unwrap_or_default();
            }
        }
    }
    table
}

impl Step {
    const fn new(with: &'static str, contender: &'static str) -> Self {
        Self {
            with,
            contender,
            events: Vec::new(),
        }
    }

    fn round(&mut self, contender: &Contender, device: &Device, job: &Job) -> Result<()> {
        let _timing = enable_stats(Stats::RunTime)?;
        let (running, _) = Running::start(contender, &mut device.probe()?)?;
        for (name, count) in programs_under(&running, job)? {
            if let Some(hook) = programs::hook(&name) {
                self.add(hook, Count::ns_per_run(count));
            }
        }
        running.end()?;
        Ok(())
    }

    fn add(&mut self, hook: &'static str, ns: f64) {
        match self.events.iter_mut().find(|(name, _)| *name == hook) {
            Some((_, values)) => values.push(ns),
            None => self.events.push((hook, vec![ns])),
        }
    }

    fn median(&self, hook: &str) -> Option<f64> {
        let of = self.events.iter().find(|(name, _)| *name == hook)?;
        median(of.1.clone())
    }

    pub(super) fn json(&self) -> Value {
        let events = self.events.iter().cloned();
        let events: std::collections::BTreeMap<_, _> = events.collect();
        json!({ "with": self.with, "contender": self.contender, "ns_per_event": events })
    }
}

/// Threads that only sleep; ended when dropped.
struct Sleepers {
    over: Arc<(Mutex<bool>, Condvar)>,
    threads: Vec<JoinHandle<()>>,
}

impl Sleepers {
    fn start() -> Result<Self> {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let mut sleepers = Self {
            over,
            threads: Vec::new(),
        };
        for _ in 0..TASKS {
            let over = Arc::clone(&sleepers.over);
            let thread = thread::Builder::new().stack_size(STACK).spawn(move || {
                let guard = over.0.lock().unwrap_or_else(PoisonError::into_inner);
                drop(over.1.wait_while(guard, |over| !*over));
            });
            sleepers
                .threads
                .push(thread.context("starting a sleeping thread")?);
        }
        Ok(sleepers)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
        for thread in self.threads.drain(..) {
            // It cannot have panicked: it only waits.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_stands_beside_the_first_of_its_contender() {
        let mut steps = [("one", "a"), ("one", "b"), ("many", "a"), ("many", "b")]
            .map(|(with, contender)| Step::new(with, contender));
        for (step, ns) in steps.iter_mut().zip([50.0, 100.0, 60.0, 150.0]) {
            step.add("sched_switch", ns);
        }
        let table = table(&steps);
        assert!(
            table.contains("| many | a | `sched_switch` | 60 | 1.20 |"),
            "{table}"
        );
        assert!(
            table.contains("| many | b | `sched_switch` | 150 | 1.50 |"),
            "{table}"
        );
    }
}
