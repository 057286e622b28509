//! Who used a disk for what: the sums of one actor, disk and operation.
//!
//! Each has a row, whose number does not change. The first [`COPIED`] rows have copies ([`crate::copies`]), each counted by a
//! group of CPUs and summed up when read.

use crate::copies;

/// Rows that have copies.
pub const COPIED: u32 = 512;
/// Elements of `USE_NUMBERS`, in which user space gives numbers of rows, and takes up again those of actors that have ended; a
/// power of two, and the most rows there can be.
pub const NUMBERS: u32 = 1 << 15;
/// Stands for no row.
pub const NO_ROW: u32 = u32::MAX;

/// Key of `USES`, whose value is the number of the row.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// The row's key in one word ([`owner`]), in each copy; 0 while it has no owner. It exposes counts made with a stale row
    /// number.
    pub owner: u64,
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
    pub padding: [u64; 2],
}

/// [`Use::owner`] of a row.
#[inline(always)]
#[must_use]
pub const fn owner(key: UseKey) -> u64 {
    (key.actor as u64) << 32 | (key.disk as u64) << 16 | (key.op as u64 & 0x7fff) << 1 | 1
}

impl Use {
    /// Whose row it is; `None` for one that is free.
    #[must_use]
    pub const fn key(&self) -> Option<UseKey> {
        if self.owner == 0 {
            return None;
        }
        Some(UseKey {
            actor: (self.owner >> 32) as u32,
            disk: (self.owner >> 16) as u16,
            op: (self.owner as u16) >> 1,
        })
    }

    /// Sum of completed - queued.
    #[must_use]
    pub const fn total_ns(&self) -> u64 {
        self.queue_ns + self.device_ns + self.unissued_ns
    }
}

/// Elements of `USE_ROWS` and `SIDES` for so many rows and copies.
#[must_use]
pub const fn places(rows: u32, copies: u32) -> u32 {
    copies::places(rows, COPIED, copies)
}

/// Where a copy of a row is in `USE_ROWS` and `SIDES`. [`NO_ROW`] is no row.
#[inline(always)]
#[must_use]
pub const fn copy_index(row: u32, copy: u32, copies: u32) -> u32 {
    copies::copy_index(row, COPIED, copy, copies)
}

crate::abi!(UseKey: 8, Use: 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_whose_it_is() {
        assert_eq!(Use::default().key(), None);
        for (actor, disk, op) in [(0, 0, 0), (7, 511, 9), (u32::MAX, u16::MAX, 0x7fff)] {
            let key = UseKey { actor, disk, op };
            let row = Use {
                owner: owner(key),
                ..Use::default()
            };
            assert_eq!(row.key(), Some(key));
        }
    }
}
