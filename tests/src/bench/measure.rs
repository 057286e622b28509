//! One contender, once: attached, timed under load, then left alone under load, detached.
//!
//! The kernel's timing of programs costs by itself, so it is on only while programs are timed; while the disk's speed
//! is measured it is off, but for what the contender itself turns on.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use aya::sys::{Stats, enable_stats};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde_json::{Value, json};

use super::contender::Contender;
use super::device::Device;
use super::options::Options;
use super::programs::{self, Count};
use super::running::{Lost, Running};
use crate::clock::monotonic_ns;
use crate::fio::Job;

/// Requests at once while programs are timed.
pub(super) const DEPTH: u32 = 32;

/// What was measured, or why nothing was.
pub(super) type Run = Result<Figures, String>;

/// What was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) attach_ms: f64,
    pub(super) detach_ms: f64,
    pub(super) programs: BTreeMap<String, Count>,
    pub(super) loads: Vec<Load>,
    /// Of one CPU, while the disk's speed was measured.
    pub(super) cpu_percent: Option<f64>,
    pub(super) peak_mib: Option<f64>,
    pub(super) lost: Option<Lost>,
    /// BPF programs of others on the machine, which was then not ours alone.
    pub(super) foreign: usize,
}

/// What the disk did at a depth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) depth: u32,
    pub(super) iops: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

pub(super) fn run(contender: &Contender, device: &Device, options: &Options) -> Run {
    measured(contender, device, options).map_err(|error| {
        eprintln!("{}: {error:#}", contender.name);
        format!("{error:#}")
    })
}

pub(super) fn json(run: &Run) -> Value {
    match run {
        Ok(figures) => figures.json(),
        Err(error) => json!({ "error": error }),
    }
}

fn measured(contender: &Contender, device: &Device, options: &Options) -> Result<Figures> {
    let mut figures = Figures::default();
    let timing = enable_stats(Stats::RunTime).context("the kernel does not time BPF programs")?;
    let mut probe = device.probe()?;
    let (running, attached) = Running::start(contender, &mut probe)?;
    figures.attach_ms = attached.as_secs_f64() * 1e3;
    figures.programs = programs_under(&running, &device.load(DEPTH, options.load))?;
    drop(timing);
    let before = running.process().and_then(Usage::of);
    figures.loads = loads(device, options)?;
    if let (Some(before), Some(after)) = (before, running.process().and_then(Usage::of)) {
        figures.cpu_percent = Some(after.cpu_percent_since(&before));
        figures.peak_mib = Some(after.peak_mib);
    }
    figures.foreign = programs::of_others(&running.programs().0);
    let ended = running.end()?;
    figures.detach_ms = ended.took.as_secs_f64() * 1e3;
    figures.lost = ended.lost;
    Ok(figures)
}

/// What its programs did while a job ran.
pub(super) fn programs_under(running: &Running, job: &Job) -> Result<BTreeMap<String, Count>> {
    let (before, names) = running.programs();
    job.run()?;
    let (after, _) = running.programs();
    Ok(programs::between(&before, &after, &names))
}

fn loads(device: &Device, options: &Options) -> Result<Vec<Load>> {
    options
        .depths
        .iter()
        .map(|depth| {
            let read = device.load(*depth, options.load).run()?.read;
            Ok(Load {
                depth: *depth,
                iops: read.ops as f64 * 1e3 / read.runtime_ms as f64,
                p50_us: read.latency.p50_ns as f64 / 1e3,
                p99_us: read.latency.p99_ns as f64 / 1e3,
            })
        })
        .collect()
}

impl Figures {
    fn json(&self) -> Value {
        let programs = self.programs.iter();
        let programs: BTreeMap<_, _> = programs.map(|(name, count)| (name, count.json())).collect();
        json!({
            "attach_ms": self.attach_ms,
            "detach_ms": self.detach_ms,
            "programs": programs,
            "loads": self.loads.iter().map(Load::json).collect::<Vec<_>>(),
            "cpu_percent": self.cpu_percent,
            "peak_mib": self.peak_mib,
            "lost": self.lost,
            "programs_of_others": self.foreign,
        })
    }
}

impl Load {
    fn json(&self) -> Value {
        json!({ "depth": self.depth, "iops": self.iops, "p50_us": self.p50_us, "p99_us": self.p99_us })
    }
}

/// CPU time and memory of a process.
struct Usage {
    at_ns: u64,
    cpu_s: f64,
    peak_mib: f64,
}

impl Usage {
    fn of(pid: Pid) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Self {
            at_ns: monotonic_ns(),
            cpu_s: ticks(&stat)? as f64 / sysconf(SysconfVar::CLK_TCK).ok()?? as f64,
            peak_mib: peak_kib(&status)? as f64 / 1024.0,
        })
    }

    fn cpu_percent_since(&self, before: &Self) -> f64 {
        let s = (self.at_ns - before.at_ns) as f64 / 1e9;
        100.0 * (self.cpu_s - before.cpu_s) / s
    }
}

/// User and system time: the 12th and 13th after the name.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after) = stat.rsplit_once(") ")?;
    let mut words = after.split_whitespace().skip(11);
    let mut next = || words.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read() {
        let stat = "1 (a) b) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(peak_kib("Name:\tx\nVmHWM:\t  2048 kB\n"), Some(2048));
        assert!(Usage::of(nix::unistd::getpid()).is_some());
    }
}
