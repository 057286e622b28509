//! Whether an event costs the agent more where there is more: disks, tasks, threads.

use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};
use serde_json::{Value, json};

use super::contender::{Contender, Kind};
use super::device::{Device, reads};
use super::measure::{DEPTHS, programs_under};
use super::options::Options;
use super::programs::{self, Count};
use super::running::Running;
use crate::fio::Job;

const DISKS: usize = 64;
const THREADS: u32 = 16;
const TASKS: usize = 10_000;
/// A sleeping thread needs little.
const STACK: usize = 16 << 10;

/// What there was, and what each program then took.
pub(super) struct Step {
    name: &'static str,
    /// By hook, ns per event in each round, timing included.
    events: Vec<(&'static str, Vec<f64>)>,
}

/// The agent alone, with one and with many, in turn.
pub(super) fn measure(
    contenders: &[Contender],
    device: &Device,
    options: &Options,
) -> Result<Vec<Step>> {
    let is_agent = |contender: &&Contender| matches!(contender.kind, Kind::Agent(_));
    let agent = contenders
        .iter()
        .find(is_agent)
        .context("the agent is a contender")?;
    let disks = Device::many(DISKS)?;
    let paths: Vec<_> = disks
        .iter()
        .map(|disk| disk.path().display().to_string())
        .collect();
    let one = device.load(DEPTHS[2], options.load);
    let many_disks = reads(&paths.join(":"), DEPTHS[2], options.load);
    let many_threads = device.load(2, options.load).jobs(THREADS);
    let mut steps = ["one of each", "64 disks", "16 threads", "10,000 tasks"].map(Step::new);
    for _ in 0..options.rounds {
        for (index, job) in [&one, &many_disks, &many_threads, &one]
            .into_iter()
            .enumerate()
        {
            let sleepers = (index == 3).then(Sleepers::start).transpose()?;
            eprintln!("growth: {}", steps[index].name);
            steps[index].round(agent, device, job)?;
            drop(sleepers);
        }
    }
    Ok(steps.into())
}

/// Of each step, the median beside that of the first.
pub(super) fn table(steps: &[Step]) -> String {
    let mut table = "\n| stall-agent with | hook | ns per event, timing included | of the first |\n|---|---|---:|---:|\n".to_owned();
    let median = |step: &Step, hook: &str| {
        let of = step.events.iter().find(|(name, _)| *name == hook)?;
        let mut values = of.1.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    for step in steps {
        for (hook, _) in &step.events {
            if let (Some(ns), Some(first)) = (median(step, hook), median(&steps[0], hook)) {
                writeln!(
                    table,
                    "| {} | `{hook}` | {ns:.0} | {:.2} |",
                    step.name,
                    ns / first
                )
                .unwrap_or_default();
            }
        }
    }
    table
}

impl Step {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            events: Vec::new(),
        }
    }

    fn round(&mut self, agent: &Contender, device: &Device, job: &Job) -> Result<()> {
        let _timing = enable_stats(Stats::RunTime)?;
        let (running, _) = Running::start(agent, &mut device.probe()?)?;
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

    pub(super) fn json(&self) -> Value {
        json!({ "with": self.name, "ns_per_event": self.events.iter().cloned().collect::<std::collections::BTreeMap<_, _>>() })
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
    fn each_step_stands_beside_the_first() {
        let mut steps = [Step::new("one"), Step::new("many")];
        steps[0].add("sched_switch", 50.0);
        steps[1].add("sched_switch", 60.0);
        assert!(table(&steps).contains("| many | `sched_switch` | 60 | 1.20 |"));
    }
}
