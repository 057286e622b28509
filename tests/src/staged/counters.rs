//! The kernel's own counters of a disk: `/sys/block/X/stat` and `/sys/block/X/inflight`.
//!
//! Contract: all seventeen fields, in the kernel's order and units (sectors of 512 bytes,
//! milliseconds); they survive detaching, so compare two readings.

use std::fmt;

use anyhow::{Context as _, Result, ensure};

/// Bytes in one sector of these counters, whatever the disk's block size.
pub const SECTOR: u64 = 512;

/// One direction of transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    pub ios: u64,
    pub merges: u64,
    pub sectors: u64,
    pub ms: u64,
}

impl Transfers {
    /// The bytes moved.
    pub fn bytes(&self) -> u64 {
        self.sectors * SECTOR
    }

    fn from_fields(fields: &[u64]) -> Self {
        Self {
            ios: fields[0],
            merges: fields[1],
            sectors: fields[2],
            ms: fields[3],
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            ios: self.ios - earlier.ios,
            merges: self.merges - earlier.merges,
            sectors: self.sectors - earlier.sectors,
            ms: self.ms - earlier.ms,
        }
    }
}

/// One reading of `stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounters {
    pub reads: Transfers,
    pub writes: Transfers,
    /// Requests in flight at the reading; no counter.
    pub in_flight: u64,
    pub io_ms: u64,
    pub queue_ms: u64,
    pub discards: Transfers,
    pub flushes: u64,
    pub flush_ms: u64,
}

impl KernelCounters {
    /// Reads the counters of a disk by name.
    pub fn read(disk: &str) -> Result<Self> {
        Self::parse(&sysfs(disk, "stat")?)
    }

    /// Parses the text of `stat`.
    pub fn parse(text: &str) -> Result<Self> {
        let fields = numbers(text)?;
        ensure!(fields.len() >= 17, "{} fields, not seventeen", fields.len());
        Ok(Self {
            reads: Transfers::from_fields(&fields[0..4]),
            writes: Transfers::from_fields(&fields[4..8]),
            in_flight: fields[8],
            io_ms: fields[9],
            queue_ms: fields[10],
            discards: Transfers::from_fields(&fields[11..15]),
            flushes: fields[15],
            flush_ms: fields[16],
        })
    }

    /// What was counted after an earlier reading; `in_flight` stays this one's.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            reads: self.reads.since(&earlier.reads),
            writes: self.writes.since(&earlier.writes),
            in_flight: self.in_flight,
            io_ms: self.io_ms - earlier.io_ms,
            queue_ms: self.queue_ms - earlier.queue_ms,
            discards: self.discards.since(&earlier.discards),
            flushes: self.flushes - earlier.flushes,
            flush_ms: self.flush_ms - earlier.flush_ms,
        }
    }
}

impl fmt::Display for KernelCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} reads, {} writes, {} discards, {} flushes",
            self.reads.ios, self.writes.ios, self.discards.ios, self.flushes
        )
    }
}

/// One reading of `inflight`: requests that the driver has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    pub reads: u64,
    /// Everything that is not a read.
    pub writes: u64,
}

impl InFlight {
    /// Reads a disk's by name.
    pub fn read(disk: &str) -> Result<Self> {
        let fields = numbers(&sysfs(disk, "inflight")?)?;
        ensure!(fields.len() == 2, "{} fields, not two", fields.len());
        Ok(Self {
            reads: fields[0],
            writes: fields[1],
        })
    }

    /// Requests of every kind.
    pub fn total(&self) -> u64 {
        self.reads + self.writes
    }
}

fn sysfs(disk: &str, file: &str) -> Result<String> {
    let path = format!("/sys/block/{disk}/{file}");
    std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))
}

fn numbers(text: &str) -> Result<Vec<u64>> {
    text.split_whitespace()
        .map(|field| field.parse().with_context(|| format!("`{field}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n";

    #[test]
    fn seventeen_fields_in_order() {
        let counters = KernelCounters::parse(STAT).unwrap();
        assert_eq!(counters.reads.ios, 1);
        assert_eq!(counters.writes.sectors, 7);
        assert_eq!(counters.in_flight, 9);
        assert_eq!((counters.io_ms, counters.queue_ms), (10, 11));
        assert_eq!(counters.discards.ms, 15);
        assert_eq!((counters.flushes, counters.flush_ms), (16, 17));
        assert_eq!(counters.reads.bytes(), 1536);
    }

    #[test]
    fn differences_are_per_field() {
        let earlier = KernelCounters::parse(STAT).unwrap();
        let later = KernelCounters {
            flushes: 20,
            ..earlier
        };
        assert_eq!(later.since(&earlier).flushes, 4);
        assert_eq!(later.since(&earlier).reads, Transfers::default());
    }

    #[test]
    fn fewer_fields_are_refused() {
        assert!(KernelCounters::parse("1 2 3").is_err());
        assert!(KernelCounters::parse("x").is_err());
    }
}
