//! The agent's counts against the kernel's own, over the same window.

use std::time::Duration;

use anyhow::{Result, ensure};
use stall_agent::capture::Op;
use stall_tests::spawned::wait_until;
use stall_tests::staged::{KernelCounters, StagedDisk};

use super::agent::Agent;
use super::seen::Trace;
use super::{note, same};

const QUIET_WITHIN: Duration = Duration::from_secs(10);

/// What the kernel's `stat` counts as writes (`op_stat_group()` in include/linux/blk_types.h).
const WRITES: [Op; 5] = [
    Op::Write,
    Op::AsyncWrite,
    Op::Preflush,
    Op::WriteZeroes,
    Op::SecureErase,
];

/// Losses that would make counts of requests wrong.
const OF_REQUESTS: [&str; 7] = [
    "requests_map_full",
    "disks_map_full",
    "series_map_full",
    "uses_map_full",
    "discards_map_full",
    "unmatched_completions",
    "program_recursion_misses",
];

/// Traces a disk while something is done to it, which begins and ends with the disk at rest. What
/// the agent saw, what the kernel counted, what came of it.
pub(crate) fn traced<T>(
    disk: &StagedDisk,
    agent: &Agent,
    act: impl FnOnce() -> Result<T>,
) -> Result<(Trace, KernelCounters, T)> {
    rest(disk)?;
    let tracing = agent.start()?;
    let before = disk.counters()?;
    let result = act()?;
    rest(disk)?;
    let counted = disk.counters()?.since(&before);
    Ok((tracing.stop()?, counted, result))
}

/// Waits until nothing is in flight on the disk, and nothing comes for a moment.
pub(crate) fn rest(disk: &StagedDisk) -> Result<()> {
    let mut last = disk.counters()?;
    let quiet = wait_until(QUIET_WITHIN, || {
        std::thread::sleep(Duration::from_millis(30));
        let Ok(now) = disk.counters() else {
            return false;
        };
        let quiet = now == last && disk.in_flight().is_ok_and(|there| there.total() == 0);
        last = now;
        quiet
    });
    ensure!(quiet, "{} does not come to rest", disk.name());
    Ok(())
}

/// Operations and bytes equal the kernel's, what actors did adds up to them, nothing was lost.
///
/// A hardened kernel may run no BPF program in an interrupt that comes while certain tasks run. The
/// agent cannot know what it did not see, but it must know how much that was: what is missing is
/// held against the completions it says it missed.
pub(crate) fn equals_kernel(
    trace: &Trace,
    disk: &StagedDisk,
    counted: &KernelCounters,
) -> Result<()> {
    let missed = trace.lost("missed_completions")?;
    let missing = missing_to_kernel(trace, disk, counted)?;
    ensure!(
        missing <= missed,
        "{missing} requests are missing, and the agent says {missed}"
    );
    let missing = missing_to_actors(trace, disk)?;
    ensure!(
        missing <= missed,
        "{missing} requests are nobody's, and the agent says {missed}"
    );
    nothing_lost(trace)
}

fn missing_to_kernel(trace: &Trace, disk: &StagedDisk, counted: &KernelCounters) -> Result<u64> {
    let rows = [
        (
            "reads",
            &[Op::Read, Op::ReadAhead][..],
            counted.reads.ios,
            counted.reads.bytes(),
        ),
        (
            "writes",
            &WRITES,
            counted.writes.ios,
            counted.writes.bytes(),
        ),
        (
            "discards",
            &[Op::Discard],
            counted.discards.ios,
            counted.discards.bytes(),
        ),
        ("flushes", &[Op::Flush], counted.flushes, 0),
        ("other requests", &[Op::Other], 0, 0),
    ];
    let mut missing = 0;
    for (what, ops, truth, bytes) in rows {
        let seen = trace.ops_of(disk, ops);
        note!("{what}: {seen} (truth {truth})");
        ensure!(
            seen <= truth,
            "{what}: the agent says {seen}, the truth is {truth}"
        );
        missing += truth - seen;
        if seen == truth {
            same(
                &format!("bytes of {what}"),
                trace.bytes_of(disk, ops),
                bytes,
            )?;
        }
    }
    Ok(missing)
}

/// A request whose end was not seen counts on its disk, but is nobody's and has no latency.
fn missing_to_actors(trace: &Trace, disk: &StagedDisk) -> Result<u64> {
    let index = trace.index(disk);
    let mut missing = 0;
    let rows = trace.capture.series.iter();
    for row in rows.filter(|row| Some(row.disk) == index) {
        let uses = || trace.uses(disk).filter(|used| used.op == row.op);
        let (ops, op) = (uses().map(|used| used.ops).sum::<u64>(), row.op);
        ensure!(
            ops <= row.ops,
            "{op:?}: {ops} of all actors, {} of the disk",
            row.ops
        );
        missing += row.ops - ops;
        let time = uses().map(|used| used.total_ns).sum();
        same(&format!("time of {op:?} of all actors"), time, row.total_ns)?;
    }
    Ok(missing)
}

/// No loss that would make counts of requests wrong.
fn nothing_lost(trace: &Trace) -> Result<()> {
    for cause in OF_REQUESTS {
        same(cause, trace.lost(cause)?, 0)?;
    }
    Ok(())
}
