//! How many elements each map gets, and what that costs in kernel memory; pure.

use stall_common::disk::MAX_DISKS;

/// Numbers of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Slots of requests.
    pub requests: u32,
    /// Disk x operation.
    pub series: u32,
    /// Copies of each series; a power of two.
    pub shards: u32,
    /// Bytes of the record ring; a power of two of pages.
    pub ring_bytes: u32,
    /// Threads that can be followed asleep.
    pub sleeps: u32,
    /// Processes.
    pub actors: u32,
    /// Elements of maps by name, in place of what they would get.
    pub limits: Limits,
}

/// Elements of maps, by name.
pub type Limits = &'static [(&'static str, u32)];

/// CPUs that share a copy from 17 on: a copy for each of 128 would take 270 MiB.
const MAX_SHARDS: u32 = 16;
/// Operations a disk sees in practice: read, write, preflush, flush; discards are few.
const SERIES_PER_DISK: u32 = 5;

/// Some thousand records.
const RING_BYTES: u32 = 1 << 19;

impl Sizes {
    /// For a host with so many possible CPUs, disks, request tags in all, and bytes in a page.
    #[must_use]
    pub fn for_host(cpus: u32, disks: u32, tags: u32, page_bytes: u32) -> Self {
        let disks = disks.clamp(8, MAX_DISKS as u32);
        Self {
            requests: tags.next_power_of_two().clamp(4096, 65536),
            series: (disks * SERIES_PER_DISK).clamp(64, 256),
            shards: cpus.next_power_of_two().clamp(1, MAX_SHARDS),
            ring_bytes: ring_bytes(page_bytes),
            sleeps: 16384,
            actors: 4096,
            limits: &[],
        }
    }

    /// Elements of the maps whose size is decided here; of several for one map the last counts.
    pub fn maps(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let own = [
            ("REQUESTS", self.requests),
            ("SERIES", self.series * self.shards),
            ("RECORDS", self.ring_bytes),
            ("SLEEPS", self.sleeps),
            ("ACTORS", self.actors),
        ];
        own.into_iter().chain(self.limits.iter().copied())
    }
}

/// The kernel takes powers of two of whole pages only (kernel/bpf/ringbuf.c), and pages have 4, 16 or 64 KiB.
fn ring_bytes(page_bytes: u32) -> u32 {
    RING_BYTES.max(page_bytes.next_power_of_two())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_hosts_get_small_maps() {
        let sizes = Sizes::for_host(2, 3, 384, 4096);
        assert_eq!((sizes.shards, sizes.series, sizes.requests), (2, 64, 4096));
    }

    #[test]
    fn large_hosts_stay_within_bounds() {
        let sizes = Sizes::for_host(128, 500, 1_000_000, 4096);
        assert_eq!(
            (sizes.shards, sizes.series, sizes.requests),
            (16, 256, 65536)
        );
    }

    #[test]
    fn the_ring_is_whole_pages_whatever_a_page_is() {
        for page_bytes in [4 << 10, 16 << 10, 64 << 10, 1 << 20] {
            let bytes = Sizes::for_host(2, 1, 1, page_bytes).ring_bytes;
            assert!(bytes.is_power_of_two() && bytes.is_multiple_of(page_bytes));
            assert!(bytes >= 1 << 19, "2,000 records an interval fit twice");
        }
    }

    #[test]
    fn the_number_of_shards_is_a_power_of_two() {
        for cpus in 1..200 {
            assert!(Sizes::for_host(cpus, 1, 1, 4096).shards.is_power_of_two());
        }
    }
}
