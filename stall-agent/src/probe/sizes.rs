//! How many elements each map gets, and what that costs in kernel memory; pure.

use stall_common::copies;
use stall_common::disk::{MAX_DISKS, SERIES_COPIED, Series};
use stall_common::exposure::Sides;
use stall_common::recent::PLACES;
use stall_common::request::{OPS, Slot};
use stall_common::uses::{self, NUMBERS, Use};

/// Numbers of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Slots of requests.
    pub requests: u32,
    /// Disk x operation.
    pub series: u32,
    /// Copies of the first series, and of the first rows of uses; a power of two.
    pub copies: u32,
    /// Bytes of the record ring; a power of two of pages.
    pub ring_bytes: u32,
    /// Rows of uses: process, disk and operation.
    pub rows: u32,
    /// Threads that can be followed asleep.
    pub sleeps: u32,
    /// Processes.
    pub actors: u32,
    /// Elements of maps by name, in place of what they would get.
    pub limits: Limits,
    /// CPUs there may be.
    pub cpus: u32,
}

/// Elements of maps, by name.
pub type Limits = &'static [(&'static str, u32)];

/// CPUs that share a copy from 17 on: a copy for each of 128 would take 270 MiB.
const MAX_COPIES: u32 = 16;

/// Some thousand records.
const RING_BYTES: u32 = 1 << 20;

/// CPUs up to which a host is small.
const SMALL: u32 = 8;
/// What all maps may take on a small host, and on a larger one, bytes.
const BUDGETS: [u64; 2] = [40 << 20, 128 << 20];
/// An element of `REQUESTS`, one of `REQUEST_NUMBERS`, and its share of the buckets (kernel/bpf/hashtab.c).
const REQUEST_BYTES: u64 = size_of::<Slot>() as u64 + 64 + 16;
/// What does not depend on the host, less than.
const OTHER_BYTES: u64 = 9 << 20;

impl Sizes {
    /// For a host with so many possible CPUs, disks, request tags in all, and bytes in a page.
    ///
    /// Every operation of every disk has a series, as long as there is room: before that, there are fewer copies.
    #[must_use]
    pub fn for_host(cpus: u32, disks: u32, tags: u32, page_bytes: u32) -> Self {
        let disks = disks.clamp(8, MAX_DISKS as u32);
        let mut sizes = Self {
            requests: tags.next_power_of_two().clamp(4096, 65536),
            series: disks * OPS as u32,
            copies: cpus.next_power_of_two().clamp(1, MAX_COPIES),
            ring_bytes: ring_bytes(page_bytes),
            rows: if cpus <= SMALL { 8192 } else { NUMBERS },
            sleeps: 16384,
            actors: 8192,
            limits: &[],
            cpus,
        };
        while sizes.copies > 1 && sizes.bytes() > budget(cpus) {
            sizes.copies /= 2;
        }
        while sizes.series > SERIES_COPIED && sizes.bytes() > budget(cpus) {
            sizes.series -= SERIES_COPIED.min(sizes.series - SERIES_COPIED);
        }
        sizes
    }

    /// Elements of the maps whose size is decided here; of several for one map the last counts.
    pub fn maps(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let uses = uses::places(self.rows, self.copies);
        let own = [
            ("REQUESTS", self.requests),
            ("REQUEST_NUMBERS", self.requests),
            ("SERIES", self.series_places()),
            ("USES", self.rows),
            ("USE_ROWS", uses),
            ("SIDES", uses),
            ("RECENT", PLACES * self.cpus),
            ("RECORDS", self.ring_bytes),
            ("SLEEPS", self.sleeps),
            ("ACTORS", self.actors),
        ];
        own.into_iter().chain(self.limits.iter().copied())
    }

    fn series_places(&self) -> u32 {
        copies::places(self.series, SERIES_COPIED, self.copies)
    }

    /// What all maps take, about; never less than they do.
    fn bytes(&self) -> u64 {
        let series = u64::from(self.series_places()) * size_of::<Series>() as u64;
        let uses = u64::from(uses::places(self.rows, self.copies))
            * (size_of::<Use>() + size_of::<Sides>()) as u64;
        let by_cpu = u64::from(self.cpus) * BYTES_BY_CPU;
        // An element of `USES`, and its share of the buckets.
        let uses = uses + u64::from(self.rows) * (64 + 16);
        let requests = u64::from(self.requests) * REQUEST_BYTES;
        series + uses + by_cpu + requests + u64::from(self.ring_bytes) + OTHER_BYTES
    }
}

/// Of `RECENT` and what else each CPU has its own of.
const BYTES_BY_CPU: u64 = (PLACES as u64) * 64 + 4096;

const fn budget(cpus: u32) -> u64 {
    if cpus <= SMALL {
        BUDGETS[0]
    } else {
        BUDGETS[1]
    }
}

/// The kernel takes powers of two of whole pages only (kernel/bpf/ringbuf.c), and pages have 4, 16 or 64 KiB.
fn ring_bytes(page_bytes: u32) -> u32 {
    RING_BYTES.max(page_bytes.next_power_of_two())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aya_obj::generated::bpf_map_type;

    use super::*;
    use crate::probe::loader::OBJECT;

    #[test]
    fn small_hosts_get_small_maps() {
        let sizes = Sizes::for_host(2, 3, 384, 4096);
        assert_eq!((sizes.copies, sizes.series, sizes.requests), (2, 80, 4096));
    }

    #[test]
    fn large_hosts_stay_within_bounds() {
        let sizes = Sizes::for_host(128, 500, 1_000_000, 4096);
        assert_eq!(
            (sizes.copies, sizes.series, sizes.requests),
            (16, 5_000, 65536)
        );
    }

    #[test]
    fn a_small_host_with_many_disks_has_series_for_what_most_disks_do() {
        let sizes = Sizes::for_host(8, 512, 65_536, 4096);
        assert!(sizes.series >= 3 * 512, "{sizes:?}");
    }

    /// What the kernel takes for a map: arrays have no head to an element, elements of hash maps one of 48 bytes and a
    /// bucket of 16 (kernel/bpf/arraymap.c, hashtab.c, ringbuf.c).
    fn bytes_of(map: &aya_obj::Map, entries: u32, cpus: u32) -> u64 {
        let entries = u64::from(entries);
        let (key, value) = (aligned(map.key_size()), aligned(map.value_size()));
        match bpf_map_type::try_from(map.map_type()).ok().unwrap() {
            bpf_map_type::BPF_MAP_TYPE_ARRAY => entries * value,
            bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY => entries * value * u64::from(cpus),
            bpf_map_type::BPF_MAP_TYPE_HASH | bpf_map_type::BPF_MAP_TYPE_LRU_HASH => {
                // A hash map has one element more for each CPU (`extra_elems`).
                (entries + u64::from(cpus)) * (48 + key + value) + entries.next_power_of_two() * 16
            }
            bpf_map_type::BPF_MAP_TYPE_RINGBUF => entries + (3 << 12),
            bpf_map_type::BPF_MAP_TYPE_PERF_EVENT_ARRAY => entries * 8,
            other => panic!("what does a map of type {other:?} take?"),
        }
    }

    fn aligned(bytes: u32) -> u64 {
        u64::from(bytes).next_multiple_of(8)
    }

    /// All maps of the object, at the sizes decided here or their own.
    fn bytes_of_all(sizes: &Sizes) -> u64 {
        let decided: HashMap<_, _> = sizes.maps().collect();
        let object = aya_obj::Object::parse(OBJECT).unwrap();
        let maps = object.maps.iter().map(|(name, map)| {
            let entries = decided.get(name.as_str()).copied();
            bytes_of(
                map,
                entries.unwrap_or_else(|| map.max_entries()),
                sizes.cpus,
            )
        });
        maps.sum()
    }

    #[test]
    fn maps_stay_within_their_budget_whatever_the_host() {
        for cpus in [1, 2, 4, 8, 16, 32, 128, 512] {
            for disks in [1, 8, 16, 64, 500] {
                for tags in [128, 10_000, 1_000_000] {
                    let sizes = Sizes::for_host(cpus, disks, tags, 4096);
                    let bytes = bytes_of_all(&sizes);
                    println!(
                        "{cpus} CPUs, {disks} disks, {tags} tags: {bytes} bytes, {} copies, {} series",
                        sizes.copies, sizes.series
                    );
                    assert!(
                        bytes <= sizes.bytes(),
                        "{bytes} are more than {}",
                        sizes.bytes()
                    );
                    assert!(
                        bytes <= budget(cpus),
                        "{bytes} for {cpus} CPUs and {disks} disks"
                    );
                }
            }
        }
    }

    #[test]
    fn a_large_host_has_a_copy_for_every_eight_cpus() {
        assert_eq!(Sizes::for_host(128, 64, 65_536, 4096).copies, 16);
        assert_eq!(Sizes::for_host(8, 16, 4096, 4096).copies, 8);
    }

    #[test]
    fn the_ring_is_whole_pages_whatever_a_page_is() {
        for page_bytes in [4 << 10, 16 << 10, 64 << 10, 1 << 20] {
            let bytes = Sizes::for_host(2, 1, 1, page_bytes).ring_bytes;
            assert!(bytes.is_power_of_two() && bytes.is_multiple_of(page_bytes));
            assert!(bytes >= 1 << 20, "4,000 records an interval fit twice");
        }
    }

    #[test]
    fn the_number_of_copies_is_a_power_of_two() {
        for cpus in 1..200 {
            assert!(Sizes::for_host(cpus, 1, 1, 4096).copies.is_power_of_two());
        }
    }
}
