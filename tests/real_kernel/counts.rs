//! Counts and percentiles against the kernel's counters and fio, for the same requests.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use stall_agent::capture::Op as Seen;
use stall_agent::report::model::Distribution;
use stall_common::histogram::wide_bounds;
use stall_tests::fio::{Engine, Job, Latency, Pattern};
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::staged::trim::trim;
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::seen::Trace;
use crate::harness::test::Test;
use crate::harness::urgent::urgently;
use crate::harness::{between, close, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_busy_file_system_equals_the_kernel", busy_file_system),
    Test::new("deep_queues_equal_the_kernel", deep_queues),
    Test::new("percentiles_agree_with_fio", percentiles),
];

const MIB: u64 = 1 << 20;
/// A value stands for its bucket: 3.2 %, and fio's own buckets are 1.6 % wide.
const HISTOGRAM_ERROR: f64 = 0.032 + 0.016;
/// What fio measures beyond the block layer: the system call, and being woken.
const SUBMIT_OVERHEAD_NS: u64 = 60_000;

/// Check that on ext4, with everything at once (buffered writes with fsync, direct reads, fstrim),
/// operations and bytes of every kind equal `/sys/block/*/stat`.
fn busy_file_system() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(1 << 30)
        .delay(Op::Read, Delay::constant(100))
        .start()?;
    let writer = Job::new(Pattern::Write, &disk.mount().join("log"))
        .size(4 * MIB)
        .direct(false)
        .fsync(8)
        .requests(400);
    let reader = Job::new(Pattern::RandRead, &disk.mount().join("table"))
        .size(16 * MIB)
        .runtime(Duration::from_secs(2));
    reader.create_only()?;
    nix::unistd::sync();
    let act = || {
        let reading = reader.start()?;
        writer.run()?;
        trim(&disk)?;
        let read = reading.wait()?;
        nix::unistd::sync();
        Ok(read)
    };
    let (trace, counted, read) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    intervals_add_up(&trace, &disk)?;
    note!("the kernel counted {counted}");
    let done = [read.read.ops, counted.discards.ios, counted.flushes];
    anyhow::ensure!(
        done.iter().all(|ops| *ops > 0),
        "nothing was done: {done:?}"
    );
    Ok(())
}

/// What the intervals counted by latency is all that ended, each in a bucket that its percentiles fit.
fn intervals_add_up(trace: &Trace, disk: &StagedDisk) -> Result<()> {
    let index = trace.index(disk);
    for series in trace
        .capture
        .series
        .iter()
        .filter(|row| Some(row.disk) == index)
    {
        let intervals = trace
            .capture
            .intervals
            .iter()
            .flat_map(|interval| &interval.series);
        let rows = intervals.filter(|row| Some(row.disk) == index && row.op == series.op);
        let mut sum = 0;
        for row in rows {
            let counts = row.total_counts.as_deref().context("no counts were kept")?;
            sum += counts
                .iter()
                .map(|(_, count)| u64::from(*count))
                .sum::<u64>();
            let ends = counts
                .first()
                .zip(counts.last())
                .context("nothing was counted")?;
            let from = wide_bounds(usize::from(ends.0.0)).0;
            let to = wide_bounds(usize::from(ends.1.0)).1;
            between("median of an interval", row.p50_ns, &(from..to))?;
            between("99th percentile of an interval", row.p99_ns, &(from..to))?;
        }
        let all: u64 = series.total.0.iter().map(|(_, count)| count).sum();
        same("requests by latency in the intervals", sum, all)?;
    }
    Ok(())
}

/// Check that no request is lost or counted twice when 256 are there at once on both CPUs, many of
/// them merged before they become requests.
fn deep_queues() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let job = |pattern| {
        Job::new(pattern, &disk.device())
            .engine(Engine::Libaio)
            .depth(64)
            .size(512 * MIB)
            .runtime(Duration::from_secs(2))
    };
    let act = || {
        let both = [
            job(Pattern::RandReadWrite).jobs(2).start()?,
            job(Pattern::Write)
                .jobs(2)
                .option("iodepth_batch", "16")
                .start()?,
        ];
        both.into_iter()
            .map(stall_tests::fio::Running::wait)
            .collect::<Result<Vec<_>>>()
    };
    let (trace, counted, _) = traced(&disk, &Agent::on(&disk), act)?;
    note!("the kernel counted {counted}");
    equals_kernel(&trace, &disk, &counted)
}

/// Check that the 50th, 90th and 99th percentile agree with fio's for the same reads and writes,
/// and that the report's HdrHistogram says the same.
fn percentiles() -> Result<()> {
    let disk = StagedDisk::builder()
        .size(1 << 30)
        .delay(Op::Read, Delay::uniform(500, 4000))
        .delay(Op::Write, Delay::uniform(1000, 8000))
        .start()?;
    let act = || urgently(|| mixture(&disk.device()).run());
    let (trace, counted, fio) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    for (op, direction) in [(Seen::Read, fio.read), (Seen::Write, fio.write)] {
        let total = &trace.operation(&disk, op)?.total;
        let missed = trace.lost("missed_completions")?;
        between(
            "requests",
            total.count,
            &(direction.ops - missed..direction.ops + 1),
        )?;
        agrees(op, total, &direction.latency)?;
        decodes(total)?;
    }
    Ok(())
}

fn mixture(device: &Path) -> Job {
    Job::new(Pattern::RandReadWrite, device)
        .jobs(4)
        .size(64 * MIB)
        .runtime(Duration::from_secs(6))
}

fn agrees(op: Seen, total: &Distribution, fio: &Latency) -> Result<()> {
    let pairs = [
        ("p50", total.p50_ns, fio.p50_ns),
        ("p90", total.p90_ns, fio.p90_ns),
        ("p99", total.p99_ns, fio.p99_ns),
    ];
    for (name, seen, fio) in pairs {
        let seen = seen.context("a percentile is missing")?;
        let name = format!("{op:?} {name} (fio)");
        close(&name, seen, fio, HISTOGRAM_ERROR, SUBMIT_OVERHEAD_NS)?;
    }
    Ok(())
}

/// The encoding has two significant digits; quantiles name the upper end of its steps.
fn decodes(total: &Distribution) -> Result<()> {
    let text = total.hdr_v2.as_deref().context("there is no histogram")?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text)?;
    let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice())?;
    same("requests in the histogram", histogram.len(), total.count)?;
    let pairs = [
        (0.5, total.p50_ns),
        (0.9, total.p90_ns),
        (0.99, total.p99_ns),
    ];
    for (quantile, seen) in pairs {
        let decoded = histogram.value_at_quantile(quantile);
        let seen = seen.context("a percentile is missing")?;
        close("percentile (histogram)", seen, decoded, 0.01, 0)?;
    }
    Ok(())
}
