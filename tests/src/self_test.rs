//! Does the disk take the time it was told to? Measured from outside, through the loop device.
//!
//! Contract: one request at a time on a bare disk of its own. The median in the disk's own log must
//! be within a tenth of what was set, and so must (but for a wake-up) what a caller waits beyond
//! what it waits at least for a disk that takes no time. Of the caller's the lower quartile is
//! taken: the rest tells how busy the machine is.

use std::fmt;

use anyhow::{Context as _, Result, ensure};

use crate::block_io::Direct;
use crate::clock::monotonic_ns;
use crate::intervals::percentile;
use crate::slow_disk::{Delay, Op, OpRecord};
use crate::staged::StagedDisk;

/// What is set, in microseconds, and how often it is measured.
const CASES: [(Op, u64, u64); 5] = [
    (Op::Read, 200, 500),
    (Op::Write, 300, 300),
    (Op::Fsync, 500, 200),
    (Op::Discard, 30_000, 20),
    (Op::Zero, 5000, 50),
];
const BLOCK: u64 = 4096;
/// What it costs a caller to be woken from a real sleep, which a disk that takes no time hides.
const WAKE_UP_NS: u64 = 50_000;

/// One measured kind of operation; times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    pub op: Op,
    pub set_ns: u64,
    pub disk_p50_ns: u64,
    pub disk_max_ns: u64,
    pub caller_p25_ns: u64,
    /// What the caller waits when the disk takes no time.
    pub way_ns: u64,
}

impl Figure {
    /// Whether disk and caller agree with what was set, within a tenth.
    pub fn is_exact(&self) -> bool {
        let within =
            |measured: u64, slack: u64| measured.abs_diff(self.set_ns) <= self.set_ns / 10 + slack;
        let beyond_the_way = self.caller_p25_ns.saturating_sub(self.way_ns);
        within(self.disk_p50_ns, 0) && within(beyond_the_way, WAKE_UP_NS)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |ns: u64| ns as f64 / 1000.0;
        write!(
            f,
            "{:8} set {:8.1} us: disk p50 {:8.1}, max {:8.1}; caller p25 {:8.1}, of it the way {:6.1}",
            self.op.name(),
            us(self.set_ns),
            us(self.disk_p50_ns),
            us(self.disk_max_ns),
            us(self.caller_p25_ns),
            us(self.way_ns)
        )
    }
}

/// Stages a bare disk and measures each kind of operation.
pub fn run(disk: &StagedDisk) -> Result<Vec<Figure>> {
    CASES
        .iter()
        .map(|(op, us, count)| measure(disk, *op, *us, *count))
        .collect()
}

/// The disk that `run` wants.
pub fn disk() -> Result<StagedDisk> {
    StagedDisk::builder().size(1 << 30).start()
}

/// An error for the first figure that is off by more than a tenth.
pub fn judge(figures: &[Figure]) -> Result<()> {
    for figure in figures {
        ensure!(figure.is_exact(), "not within 10 %: {figure}");
    }
    Ok(())
}

fn measure(disk: &StagedDisk, op: Op, us: u64, count: u64) -> Result<Figure> {
    let (_, way) = times(disk, op, 0, count)?;
    let (served, waited) = times(disk, op, us, count)?;
    let percentile = |values, percent| percentile(values, percent).context("none was measured");
    Ok(Figure {
        op,
        set_ns: us * 1000,
        disk_p50_ns: percentile(&served, 50.0)?,
        disk_max_ns: percentile(&served, 100.0)?,
        caller_p25_ns: percentile(&waited, 25.0)?,
        way_ns: percentile(&way, 0.0)?,
    })
}

/// The disk's times and the caller's.
fn times(disk: &StagedDisk, op: Op, us: u64, count: u64) -> Result<(Vec<u64>, Vec<u64>)> {
    let mut direct = Direct::open(&disk.device())?;
    disk.control().set_delay(op, Delay::constant(us))?;
    let begin = monotonic_ns();
    let waited = (0..count)
        .map(|turn| time_one(&mut direct, op, turn * BLOCK))
        .collect::<Result<Vec<u64>>>()?;
    disk.control().set_delay(op, Delay::default())?;
    let log = disk.control().log()?.within(&(begin..u64::MAX));
    let served = log.of(op).filter_map(OpRecord::total_ns).collect();
    Ok((served, waited))
}

fn time_one(direct: &mut Direct, op: Op, offset: u64) -> Result<u64> {
    if op == Op::Fsync {
        // Without something written there is nothing to flush.
        direct.write(offset, BLOCK as usize, 1)?;
    }
    let begin = monotonic_ns();
    match op {
        Op::Read => direct.read(offset, BLOCK as usize).map(drop)?,
        Op::Write => direct.write(offset, BLOCK as usize, 1)?,
        Op::Fsync => direct.sync()?,
        Op::Discard => direct.discard(offset, BLOCK)?,
        Op::Zero => direct.zero(offset, BLOCK)?,
    }
    Ok(monotonic_ns() - begin)
}
