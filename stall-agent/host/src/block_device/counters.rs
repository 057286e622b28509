//! The kernel's own counts of a disk: `stat` and `inflight`.

use super::{HostRoot, directory};
use stall_capture::{DiskStat, InFlight};

/// Requests in flight now; they have a submission, not always an issue, behind them.
#[must_use]
pub fn in_flight(root: &HostRoot, disk: &str) -> Option<InFlight> {
    let text = root.value(format!("{}/inflight", directory(disk)))?;
    let [reads, writes] = numbers(&text)?[..] else {
        return None;
    };
    Some(InFlight { reads, writes })
}

/// Counts since the disk is there. Kernels before 4.18 have no discards, before 5.5 no flushes.
#[must_use]
pub fn stat(root: &HostRoot, disk: &str) -> Option<DiskStat> {
    let text = root.value(format!("{}/stat", directory(disk)))?;
    parse_stat(&numbers(&text)?)
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split_ascii_whitespace()
        .map(|word| word.parse().ok())
        .collect()
}

fn parse_stat(fields: &[u64]) -> Option<DiskStat> {
    let always = fields.first_chunk::<11>()?;
    let later = |index: usize| fields.get(index).copied();
    let [reads, read_merges, read_sectors, read_ms, ..] = *always;
    let [
        _,
        _,
        _,
        _,
        writes,
        write_merges,
        write_sectors,
        write_ms,
        in_flight,
        io_ms,
        queue_ms,
    ] = *always;
    Some(DiskStat {
        reads,
        read_merges,
        read_sectors,
        read_ms,
        writes,
        write_merges,
        write_sectors,
        write_ms,
        in_flight,
        io_ms,
        queue_ms,
        discards: later(11),
        discard_merges: later(12),
        discard_sectors: later(13),
        discard_ms: later(14),
        flushes: later(15),
        flush_ms: later(16),
    })
}
