//! Rows of which the first have a copy for each group of CPUs, and the rest one.
//!
//! Else every CPU would write the same cache lines for each request of a busy process or disk; on most hosts the first are all
//! there are. What a group writes lies together.

/// Elements for `rows`, of which the first `copied` have `copies`.
#[must_use]
pub const fn places(rows: u32, copied: u32, copies: u32) -> u32 {
    rows + copied * (copies - 1)
}

/// Where a copy of a row is. A row that has one only is there for every `copy`.
#[inline(always)]
#[must_use]
pub const fn copy_index(row: u32, copied: u32, copy: u32, copies: u32) -> u32 {
    if row < copied {
        copy * copied + row
    } else {
        (copies - 1) * copied + row
    }
}

/// All places of a row.
pub fn all(row: u32, copied: u32, copies: u32) -> impl Iterator<Item = u32> {
    let there = if row < copied { copies } else { 1 };
    (0..there).map(move |copy| copy_index(row, copied, copy, copies))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_of_every_row_has_a_place_of_its_own() {
        for (rows, copied) in [(9, 4), (4, 4), (100, 1)] {
            for copies in [1, 2, 16] {
                let mut places_of_all: Vec<u32> =
                    (0..rows).flat_map(|row| all(row, copied, copies)).collect();
                places_of_all.sort_unstable();
                assert!(
                    places_of_all
                        .into_iter()
                        .eq(0..places(rows, copied, copies))
                );
            }
        }
    }
}
