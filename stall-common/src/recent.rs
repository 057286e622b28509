//! What each CPU remembers of submissions, so that one like it needs no look-up in a hash map.

/// Places of a CPU, as a power of two.
pub const PLACES_BITS: u32 = 9;
/// Places of a CPU.
pub const PLACES: u32 = 1 << PLACES_BITS;

/// Element of `RECENT`: who submitted what on which disk, and what is known of that. Only its own CPU uses it, but an
/// interrupt there may at any moment.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Recent {
    /// Address of the `struct gendisk`, seen from a place that does not move.
    pub disk_at: u64,
    /// `start_boottime` of the process.
    pub start_boottime_ns: u64,
    /// The disk's number above, the process's tgid below.
    pub dev_tgid: u64,
    /// The operation plus one, so that a place that was never used fits nothing.
    pub op: u64,
    /// Odd while the place is written; every writing makes it another.
    pub sequence: u32,
    /// Id of the actor.
    pub actor: u32,
    /// Number of its row ([`crate::uses`]).
    pub row: u32,
    /// Index of the disk.
    pub disk: u16,
    /// Index of its series of the operation, without copy.
    pub series: u16,
    /// Fills a cache line: elements of an array map begin 16 bytes into one.
    pub padding: [u64; 2],
}

crate::abi!(Recent: 64);
