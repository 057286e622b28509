//! Who used a disk for what: the sums of one actor, disk and operation.
//!
//! Each has a row, whose number does not change. The first [`COPIED`] rows, which on most hosts are all, have as
//! many copies as the series have, each counted by a group of CPUs and summed up when read: else every CPU would
//! write the same cache lines for each request of a busy process.

/// Rows there are.
pub const ROWS: u32 = 8192;
/// Rows that have copies.
pub const COPIED: u32 = 512;
/// Numbers that two CPUs may waste when they meet over a new row.
const WASTED: u32 = 64;
/// Stands for no row.
pub const NO_ROW: u32 = u32::MAX;

/// Key of `USES`, whose value is the number of the row.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UseKey {
    /// Id of the actor.
    pub actor: u32,
    /// Index of the disk.
    pub disk: u16,
    /// [`crate::request::Op`] as a number.
    pub op: u16,
}

/// Element of `USE_ROWS`: what one actor did on one disk with one operation, and what it met there.
/// Counted at completion.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Requests completed.
    pub ops: u64,
    /// Bytes completed, those of partial completions included.
    pub bytes: u64,
    /// Sum of issued - queued.
    pub queue_ns: u64,
    /// Sum of completed - issued.
    pub device_ns: u64,
    /// Sum of completed - queued of those that were not seen being issued; of the others it is in two parts above.
    pub unissued_ns: u64,
    /// Longest completed - queued.
    pub slowest_ns: u64,
    /// Requests whose total was at least `Params::slow_ns`.
    pub slow_ops: u64,
    /// Sum of completed - queued of the slow.
    pub slow_total_ns: u64,
    /// Sum of completed - max(queued, last completion on the disk before), of requests of at least
    /// [`crate::request::SERVICE_MIN_NS`].
    pub service_ns: u64,
    /// Requests that overlapped a discard in flight on their disk.
    pub exposed_ops: u64,
    /// Requests that were both.
    pub exposed_slow_ops: u64,
    /// Sum of totals of the exposed.
    pub exposed_total_ns: u64,
    /// Sum of time during which a discard was in flight.
    pub overlap_ns: u64,
    /// Fills two cache lines, of which a request that is neither slow nor exposed writes the first.
    pub padding: [u64; 3],
}

impl Use {
    /// Sum of completed - queued.
    #[must_use]
    pub const fn total_ns(&self) -> u64 {
        self.queue_ns + self.device_ns + self.unissued_ns
    }
}

/// Elements of `USE_ROWS` and `SIDES` for so many copies.
#[must_use]
pub const fn places(copies: u32) -> u32 {
    ROWS + WASTED + COPIED * (copies - 1)
}

/// Where a copy of a row is in `USE_ROWS` and `SIDES`: what a group of CPUs writes lies together. A row that has one
/// copy only is there for every `copy`. [`NO_ROW`] is no row.
#[inline(always)]
#[must_use]
pub const fn place(row: u32, copy: u32, copies: u32) -> u32 {
    if row < COPIED {
        copy * COPIED + row
    } else {
        (copies - 1) * COPIED + row
    }
}

/// How many copies a row has.
#[must_use]
pub const fn copies_of(row: u32, copies: u32) -> u32 {
    if row < COPIED { copies } else { 1 }
}

crate::abi!(UseKey: 8, Use: 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_of_every_row_has_a_place_of_its_own() {
        for copies in [1, 2, 16] {
            let rows = 0..ROWS + WASTED;
            let all = rows.flat_map(|row| {
                (0..copies_of(row, copies)).map(move |copy| place(row, copy, copies))
            });
            let mut all: Vec<u32> = all.collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..places(copies)));
        }
    }
}
