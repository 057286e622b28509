//! Who used a disk for what: the copies of a row summed up.

use stall_common::exposure::Sides;
use stall_common::uses::{NO_ROW, Use, copies_of, place};

use super::maps::Maps;

/// The sums of a row; `copies` as the programs count. A copy that the map has no place for was refused by the programs, and
/// counted.
#[must_use]
pub fn sums(maps: &Maps, row: u32, copies: u32) -> Use {
    let mut sums = Use::default();
    for place in places(row, copies) {
        if let Ok(copy) = maps.use_rows.get(&place, 0) {
            add(&mut sums, &copy);
        }
    }
    sums
}

/// The latencies of a row; they wrap.
#[must_use]
pub fn sides(maps: &Maps, row: u32, copies: u32) -> Sides {
    let mut sides = Sides::EMPTY;
    for place in places(row, copies) {
        if let Ok(copy) = maps.sides.get(&place, 0) {
            let counts = sides.counts.as_flattened_mut().iter_mut();
            for (count, more) in counts.zip(copy.counts.as_flattened()) {
                *count = count.wrapping_add(*more);
            }
        }
    }
    sides
}

fn places(row: u32, copies: u32) -> impl Iterator<Item = u32> {
    let there = if row == NO_ROW {
        0
    } else {
        copies_of(row, copies)
    };
    (0..there).map(move |copy| place(row, copy, copies))
}

fn add(sums: &mut Use, copy: &Use) {
    sums.ops += copy.ops;
    sums.bytes += copy.bytes;
    sums.queue_ns += copy.queue_ns;
    sums.device_ns += copy.device_ns;
    sums.unissued_ns += copy.unissued_ns;
    sums.slowest_ns = sums.slowest_ns.max(copy.slowest_ns);
    sums.slow_ops += copy.slow_ops;
    sums.slow_total_ns += copy.slow_total_ns;
    sums.service_ns += copy.service_ns;
    sums.exposed_ops += copy.exposed_ops;
    sums.exposed_slow_ops += copy.exposed_slow_ops;
    sums.exposed_total_ns += copy.exposed_total_ns;
    sums.overlap_ns += copy.overlap_ns;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy in which every sum has a value of its own.
    fn copy(base: u64) -> Use {
        Use {
            ops: base + 1,
            bytes: base + 2,
            queue_ns: base + 3,
            device_ns: base + 4,
            unissued_ns: base + 5,
            slowest_ns: base + 6,
            slow_ops: base + 7,
            slow_total_ns: base + 8,
            service_ns: base + 9,
            exposed_ops: base + 10,
            exposed_slow_ops: base + 11,
            exposed_total_ns: base + 12,
            overlap_ns: base + 13,
            padding: [0; 3],
        }
    }

    #[test]
    fn copies_add_up_and_the_slowest_is_the_slowest_of_all() {
        let mut sums = Use::default();
        add(&mut sums, &copy(0));
        assert_eq!(sums, copy(0));
        add(&mut sums, &copy(100));
        let twice = |n: u64| 100 + 2 * n;
        assert_eq!(
            (sums.ops, sums.bytes, sums.queue_ns),
            (twice(1), twice(2), twice(3))
        );
        assert_eq!((sums.device_ns, sums.unissued_ns), (twice(4), twice(5)));
        assert_eq!(sums.slowest_ns, 106);
        assert_eq!((sums.slow_ops, sums.slow_total_ns), (twice(7), twice(8)));
        assert_eq!((sums.service_ns, sums.exposed_ops), (twice(9), twice(10)));
        assert_eq!(sums.exposed_slow_ops, twice(11));
        assert_eq!(
            (sums.exposed_total_ns, sums.overlap_ns),
            (twice(12), twice(13))
        );
    }

    #[test]
    fn no_row_has_no_place() {
        assert_eq!(places(NO_ROW, 4).count(), 0);
        assert_eq!(places(0, 4).count(), 4);
    }
}
