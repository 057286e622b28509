//! Latencies of one actor, disk and operation on two sides: with a discard in flight and without.
//!
//! Buckets four times as wide as those of [`crate::histogram`], four to each power of two, from 8.2 us to 69 s: the
//! middle of one is at most 12.5 % off. The first also holds everything shorter, the last everything longer.

use crate::histogram;

/// Buckets of [`crate::histogram`] in one of these, as a power of two.
const WIDTH_BITS: u32 = 2;
/// Four of the finer buckets, counted from 0, that begin at 8,192 ns.
const FIRST: u32 = 16;
/// Number of buckets.
pub const BUCKETS: usize = 92;
/// Index of a side: no discard was in flight on the disk at any time of the request.
pub const UNEXPOSED: usize = 0;
/// Index of a side: one was.
pub const EXPOSED: usize = 1;

/// Element of `SIDES`, where [`crate::uses::place`] says. Counted at completion; the counts wrap.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    /// By side and bucket.
    pub counts: [[u32; BUCKETS]; 2],
}

impl Sides {
    /// Nothing counted.
    pub const EMPTY: Self = Self {
        counts: [[0; BUCKETS]; 2],
    };
}

/// The bucket of a duration in nanoseconds.
#[inline(always)]
#[must_use]
pub fn bucket(ns: u64) -> u32 {
    let wide = histogram::bucket(ns) >> WIDTH_BITS;
    let index = wide.saturating_sub(FIRST);
    if index < BUCKETS as u32 {
        index
    } else {
        BUCKETS as u32 - 1
    }
}

/// The bucket of [`crate::histogram`] that stands for one of these: the one above its middle.
#[must_use]
pub const fn finer(index: usize) -> usize {
    ((index + FIRST as usize) << WIDTH_BITS) + (1 << (WIDTH_BITS - 1))
}

crate::abi!(Sides: 2 * 4 * BUCKETS);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_stands_for_a_duration_is_near_it(ns in 8_192u64..68_000_000_000) {
            let stands = histogram::middle(finer(bucket(ns) as usize));
            prop_assert!(stands.abs_diff(ns) as f64 <= 0.16 * ns as f64, "{stands} for {ns}");
        }
    }

    #[test]
    fn the_ends_hold_the_rest() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(8_191), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS as u32 - 1);
    }
}
