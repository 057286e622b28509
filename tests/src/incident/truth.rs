//! What was true, from those who know: the disk's own log, the kernel's counters, fio.
//!
//! Contract: independent of the agent; the window is from the agent's start to its end.

use std::fmt;
use std::ops::Range;

use anyhow::Result;

use crate::clock::monotonic_ns;
use crate::fio::Latency;
use crate::intervals;
use crate::slow_disk::{Op, OpLog};
use crate::staged::{KernelCounters, StagedDisk};

/// What fio measured in those who suffer, over their whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Suffered {
    pub etcd: Latency,
    pub postgres: Latency,
}

/// The account of one incident.
#[derive(Clone, Debug)]
pub struct Truth {
    window: Range<u64>,
    trim: Range<u64>,
    before: KernelCounters,
    counted: KernelCounters,
    log: OpLog,
    suffered: Suffered,
}

impl Truth {
    /// Begins the window.
    pub fn begin(disk: &StagedDisk, trim_start_ns: u64) -> Result<Self> {
        let now = monotonic_ns();
        Ok(Self {
            window: now..now,
            trim: trim_start_ns..u64::MAX,
            before: disk.counters()?,
            counted: KernelCounters::default(),
            log: OpLog::default(),
            suffered: Suffered::default(),
        })
    }

    /// Notes the end of fstrim; the first call counts.
    pub fn trim_ended(&mut self, now_ns: u64) {
        self.trim.end = self.trim.end.min(now_ns);
    }

    /// Ends the window.
    pub fn end(&mut self, disk: &StagedDisk) -> Result<()> {
        self.window.end = monotonic_ns();
        self.counted = disk.counters()?.since(&self.before);
        self.log = disk.control().log()?.within(&self.window);
        Ok(())
    }

    /// Adds what those who suffer measured.
    pub fn add(&mut self, suffered: Suffered) {
        self.suffered = suffered;
    }

    /// The time of the window in which a discard was at the disk.
    fn with_discards_ns(&self) -> u64 {
        intervals::covered(&self.window, &self.log.present(Op::Discard))
    }

    fn trim_text(&self) -> String {
        let before = seconds(self.window.start - self.trim.start);
        let end = match self.trim.end {
            u64::MAX => "was still running at its end".to_owned(),
            end => format!("ended {:.1} s after it", seconds(end - self.window.start)),
        };
        format!("started {before:.1} s before the agent, {end}")
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "what was true while the agent ran:")?;
        writeln!(f, "  fstrim    {}", self.trim_text())?;
        writeln!(
            f,
            "  discards  {}, at the disk for {:.2} of {:.2} s (the disk's log)",
            self.log.count(Op::Discard),
            seconds(self.with_discards_ns()),
            seconds(intervals::length(&self.window))
        )?;
        writeln!(f, "  kernel    {}", self.counted)?;
        writeln!(f, "  etcd      fdatasync {}", latency(&self.suffered.etcd))?;
        write!(f, "  postgres  read {}", latency(&self.suffered.postgres))
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn latency(latency: &Latency) -> String {
    let ms = |ns: u64| ns as f64 / 1e6;
    format!(
        "x {}: p50 {:.2} ms, p99 {:.1} ms, max {:.1} ms (fio, its whole run)",
        latency.count,
        ms(latency.p50_ns),
        ms(latency.p99_ns),
        ms(latency.max_ns)
    )
}
