//! Log-linear latency buckets: the width of a bucket is at most 1/16 of its lower bound.
//!
//! Below 1,024 ns buckets are 64 ns wide; above, each power of two is cut in 16. A value taken as
//! the middle of its bucket is at most 3.2 % off from 1 us up; the last bucket starts at 71 min.

/// Nanoseconds per unit of the linear part, as a power of two.
const UNIT_BITS: u32 = 6;
/// Sub-buckets of each power of two, as a power of two.
const SUB_BITS: u32 = 4;
const SUB: u32 = 1 << SUB_BITS;
/// Number of buckets; the last one also holds everything longer.
pub const BUCKETS: usize = 528;

/// The bucket of a duration in nanoseconds.
#[inline(always)]
#[must_use]
pub fn bucket(ns: u64) -> u32 {
    let units = ns >> UNIT_BITS;
    if units < u64::from(SUB) {
        return units as u32;
    }
    let exponent = log2(units);
    let sub = (units >> (exponent - SUB_BITS)) as u32 & (SUB - 1);
    let index = (exponent - SUB_BITS + 1) * SUB + sub;
    if index < BUCKETS as u32 {
        index
    } else {
        BUCKETS as u32 - 1
    }
}

/// Position of the highest set bit, by a de Bruijn sequence: BPF has no such instruction, and
/// branches would multiply the paths the verifier walks.
#[inline(always)]
fn log2(value: u64) -> u32 {
    let mut ones = value;
    ones |= ones >> 1;
    ones |= ones >> 2;
    ones |= ones >> 4;
    ones |= ones >> 8;
    ones |= ones >> 16;
    ones |= ones >> 32;
    u32::from(LOG2[(ones.wrapping_mul(DE_BRUIJN) >> 58) as usize])
}

/// Each 6-bit window of it, shifted left by 0 to 63 ones, is different.
const DE_BRUIJN: u64 = 0x03f7_9d71_b4cb_0a89;
static LOG2: [u8; 64] = log2_table();

const fn log2_table() -> [u8; 64] {
    let mut table = [0; 64];
    let mut bit = 0;
    while bit < 64 {
        let ones = u64::MAX >> (63 - bit);
        table[(ones.wrapping_mul(DE_BRUIJN) >> 58) as usize] = bit as u8;
        bit += 1;
    }
    table
}

/// Lower bound (inclusive) and upper bound (exclusive) of a bucket, ns.
#[must_use]
pub const fn bounds(index: usize) -> (u64, u64) {
    (lower(index), lower(index + 1))
}

/// The middle of a bucket, ns: the value that stands for all in it.
#[must_use]
pub const fn middle(index: usize) -> u64 {
    let (low, high) = bounds(index);
    u64::midpoint(low, high)
}

/// Buckets in a wide one, as a power of two: two wide buckets to each power of two.
const WIDE_BITS: u32 = 3;
/// Number of wide buckets.
pub const WIDE: usize = BUCKETS >> WIDE_BITS;

/// The wide bucket that holds a bucket.
#[must_use]
pub const fn wide(bucket: usize) -> usize {
    bucket >> WIDE_BITS
}

/// Lower bound (inclusive) and upper bound (exclusive) of a wide bucket, ns.
#[must_use]
pub const fn wide_bounds(index: usize) -> (u64, u64) {
    (lower(index << WIDE_BITS), lower((index + 1) << WIDE_BITS))
}

const fn lower(index: usize) -> u64 {
    let index = index as u64;
    let sub = SUB as u64;
    if index < sub {
        return index << UNIT_BITS;
    }
    let exponent = index / sub - 1;
    ((sub + index % sub) << exponent) << UNIT_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: u64 = 60_000_000_000;

    #[test]
    fn buckets_follow_each_other_without_gap() {
        for index in 0..BUCKETS - 1 {
            let (low, high) = bounds(index);
            assert_eq!(bucket(low), index as u32);
            assert_eq!(bucket(high - 1), index as u32);
            assert_eq!(bucket(high), index as u32 + 1);
        }
    }

    #[test]
    fn the_highest_bit_is_found() {
        for bit in 0..64 {
            assert_eq!(log2(1 << bit), bit);
            assert_eq!(log2(u64::MAX >> (63 - bit)), bit);
        }
    }

    #[test]
    fn the_last_bucket_lies_beyond_an_hour() {
        assert!(bounds(BUCKETS - 1).0 > 60 * MINUTE);
        assert_eq!(bucket(u64::MAX), BUCKETS as u32 - 1);
    }

    #[test]
    fn wide_buckets_are_two_to_a_power_of_two() {
        assert_eq!(wide_bounds(0), (0, 512));
        assert_eq!(wide_bounds(1), (512, 1_024));
        assert_eq!(wide_bounds(2), (1_024, 1_536));
        assert_eq!(wide_bounds(5), (3_072, 4_096));
        for index in 0..BUCKETS {
            let (low, high) = wide_bounds(wide(index));
            assert!(low <= bounds(index).0 && bounds(index).1 <= high, "{index}");
        }
        assert_eq!(wide(BUCKETS - 1), WIDE - 1);
    }

    proptest! {
        #[test]
        fn the_middle_is_within_the_promised_error(ns in 1_000..60 * MINUTE) {
            let middle = middle(bucket(ns) as usize);
            prop_assert!(middle.abs_diff(ns) as f64 <= ns as f64 * 0.0325);
        }
    }
}
