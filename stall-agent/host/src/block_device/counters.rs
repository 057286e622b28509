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

/// Of all disks and partitions, with name and number, at one look (`/proc/diskstats`).
///
/// Nothing here waits for a disk: the kernel sums up what each CPU counted and looks at the tags (`diskstats_show()`).
#[must_use]
pub fn stats(root: &HostRoot) -> Vec<(String, (u32, u32), DiskStat)> {
    let text = root.text("proc/diskstats", DISKSTATS_BYTES);
    let text = text.unwrap_or_default();
    text.lines().filter_map(parse_line).collect()
}

/// More than ten thousand lines.
const DISKSTATS_BYTES: u64 = 4 << 20;

/// `   7       0 loop0 52 0 2160 10 0 0 0 0 0 8 10 0 0 0 0 0 0`
fn parse_line(line: &str) -> Option<(String, (u32, u32), DiskStat)> {
    let mut words = line.split_ascii_whitespace();
    let number = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let name = words.next()?.replace('!', "/");
    let fields: Option<Vec<u64>> = words.map(|word| word.parse().ok()).collect();
    Some((name, number, parse_stat(&fields?)?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_diskstats_is_a_stat_with_a_name() {
        let line = "   7       0 loop0 52 1 2160 10 4 0 8 3 2 8 13 5 0 16 1 6 2";
        let (name, number, stat) = parse_line(line).unwrap();
        assert_eq!((name.as_str(), number), ("loop0", (7, 0)));
        assert_eq!((stat.reads, stat.writes, stat.in_flight), (52, 4, 2));
        assert_eq!(
            (stat.io_ms, stat.discards, stat.flushes),
            (8, Some(5), Some(6))
        );
        assert_eq!(parse_line("7 0 loop0 52 1"), None);
        assert_eq!(parse_line("7 0 loop0 a b c d e f g h i j k"), None);
        assert_eq!(parse_line(""), None);
    }
}
