//! How large the disk must be for fstrim to last as long as it should.
//!
//! Contract: pure. ext4 discards each block group (128 MiB) by itself, in pieces of at most
//! `DISCARD_BYTES`; the disk's size sets how many there are.

use std::time::Duration;

/// One discard's size and time: half a block group, so two follow each other without a gap.
pub const DISCARD_BYTES: u64 = 64 << 20;
pub const DISCARD_US: u64 = 50_000;

const GROUP_BYTES: u64 = 128 << 20;
/// How much longer than its discards fstrim takes, as others get their turn in between.
const TURNS_PERCENT: u64 = 104;
/// How much of the trace fstrim takes part in.
const TRIM_PERCENT: u32 = 65;

/// The moments of the incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// From fstrim's start to the agent's, blocked in its first discard.
    pub lead: Duration,
    /// From the agent's start until that discard comes loose.
    pub release_after: Duration,
    pub disk_bytes: u64,
}

impl Plan {
    /// A plan for a trace of this length.
    pub fn for_trace(duration: Duration) -> Self {
        let release_after = Duration::from_secs(1);
        let trimming = (duration * TRIM_PERCENT / 100).saturating_sub(release_after);
        let per_group_us = DISCARD_US * (GROUP_BYTES / DISCARD_BYTES) * TURNS_PERCENT / 100;
        let groups = (trimming.as_micros() as u64).div_ceil(per_group_us).max(8);
        Self {
            lead: Duration::from_secs(4),
            release_after,
            disk_bytes: groups * GROUP_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_seconds_take_eleven_gibibytes() {
        let plan = Plan::for_trace(Duration::from_secs(15));
        assert_eq!(plan.disk_bytes >> 30, 10);
        assert_eq!(plan.disk_bytes % GROUP_BYTES, 0);
    }

    #[test]
    fn longer_traces_take_larger_disks() {
        let bytes = |s| Plan::for_trace(Duration::from_secs(s)).disk_bytes;
        assert!(bytes(60) > 4 * bytes(15));
        assert!(bytes(5) >= 1 << 30);
    }
}
