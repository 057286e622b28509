//! The last minutes as slices, in bounded memory: the newest in full detail, older ones coarser. Pure.
//!
//! Contract: slices follow each other without a gap; when there is no room the oldest go first.

use std::collections::{BTreeMap, VecDeque};

use super::slice::Slice;

const SECOND_NS: u64 = 1_000_000_000;
/// In full detail.
pub const RECENT_NS: u64 = 300 * SECOND_NS;
/// In all.
pub const WHOLE_NS: u64 = 3_600 * SECOND_NS;
/// Length of an older slice, at least.
const COARSE_NS: u64 = 10 * SECOND_NS;

/// The slices, by age.
#[derive(Debug)]
pub struct Ring {
    budget_bytes: usize,
    older: VecDeque<Kept>,
    recent: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    slice: Slice,
    bytes: usize,
}

impl Kept {
    fn new(slice: Slice) -> Self {
        Self {
            bytes: slice.bytes(),
            slice,
        }
    }
}

impl Ring {
    #[must_use]
    pub const fn within(budget_bytes: usize) -> Self {
        Self {
            budget_bytes,
            older: VecDeque::new(),
            recent: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The next slice.
    pub fn push(&mut self, slice: Slice) {
        let now = slice.end_ns;
        let kept = Kept::new(slice);
        self.bytes += kept.bytes;
        self.recent.push_back(kept);
        let is_past = |kept: Option<&Kept>, ns| {
            kept.is_some_and(|kept| now.saturating_sub(kept.slice.end_ns) > ns)
        };
        while is_past(self.recent.front(), RECENT_NS) {
            self.age();
        }
        while is_past(self.older.front(), WHOLE_NS) || self.bytes > self.budget_bytes {
            if let Some(first) = self.older.pop_front() {
                self.bytes -= first.bytes;
            } else if self.recent.len() > 1 {
                self.age();
            } else {
                break;
            }
        }
    }

    /// Those that end after `from_ns` and begin before `to_ns`, the oldest first.
    pub fn between(&self, from_ns: u64, to_ns: u64) -> impl Iterator<Item = &Slice> {
        let all = self
            .older
            .iter()
            .chain(&self.recent)
            .map(|kept| &kept.slice);
        all.filter(move |slice| slice.end_ns > from_ns && slice.start_ns < to_ns)
    }

    /// Since when there is anything.
    #[must_use]
    pub fn start_ns(&self) -> Option<u64> {
        let mut all = self.older.iter().chain(&self.recent);
        all.next().map(|kept| kept.slice.start_ns)
    }

    /// Until when.
    #[must_use]
    pub fn end_ns(&self) -> Option<u64> {
        let last = self.recent.back().or(self.older.back());
        last.map(|kept| kept.slice.end_ns)
    }

    /// What it takes in memory.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tells of actors by another's id.
    pub fn rename(&mut self, to: &BTreeMap<u32, u32>) {
        for kept in self.older.iter_mut().chain(&mut self.recent) {
            kept.slice.rename(to);
            self.bytes -= kept.bytes;
            kept.bytes = kept.slice.bytes();
            self.bytes += kept.bytes;
        }
    }

    /// The oldest of the recent ones becomes older.
    fn age(&mut self) {
        let Some(kept) = self.recent.pop_front() else {
            return;
        };
        self.bytes -= kept.bytes;
        let is_short = |last: &Kept| last.slice.end_ns - last.slice.start_ns < COARSE_NS;
        let mut slice = match self.older.pop_back() {
            Some(last) if is_short(&last) => {
                self.bytes -= last.bytes;
                let mut slice = last.slice;
                slice.join(kept.slice);
                slice
            }
            other => {
                self.older.extend(other);
                kept.slice
            }
        };
        slice.coarsen();
        let kept = Kept::new(slice);
        self.bytes += kept.bytes;
        self.older.push_back(kept);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::slice::{Records, Sums};
    use super::*;
    use stall_capture::{Blocked, Interval};

    fn slice(start_s: u64, length_s: u64, sleeps: u64) -> Slice {
        let at = (start_s * SECOND_NS, (start_s + length_s) * SECOND_NS);
        let interval = Interval {
            start_ns: at.0,
            end_ns: at.1,
            ..Interval::default()
        };
        let blocked = Blocked {
            task: 1,
            stack: None,
            killable: false,
            io_wait: None,
            sleeps,
            blocked_ns: 0,
            before_ns: 0,
            longest_ns: 1,
        };
        let sums = Sums {
            blocked: vec![blocked],
            ..Sums::default()
        };
        Slice::new(at, vec![interval], sums, Records::default())
    }

    #[test]
    fn five_minutes_by_the_second_and_an_hour_by_ten() {
        let mut ring = Ring::within(usize::MAX);
        for second in 0..2 * 3_600 {
            ring.push(slice(second, 1, 1));
        }
        let now = 2 * 3_600 * SECOND_NS;
        let lengths: Vec<u64> = ring
            .between(0, u64::MAX)
            .map(|slice| (slice.end_ns - slice.start_ns) / SECOND_NS)
            .collect();
        assert!(lengths.iter().rev().take(300).all(|length| *length == 1));
        let older = &lengths[..lengths.len() - 301];
        assert!(older.iter().all(|length| *length <= 10), "{older:?}");
        let start = ring.start_ns().unwrap();
        assert!(now - start >= WHOLE_NS && now - start <= WHOLE_NS + 2 * COARSE_NS);
    }

    proptest! {
        /// However long looks are and however little room there is: no gap, nothing twice, the budget is kept, and the newest is
        /// there.
        #[test]
        fn no_gap_and_the_budget_is_kept(
            looks in prop::collection::vec((1u64..40, 0u64..9), 1..200),
            budget in 0usize..200_000,
        ) {
            let mut ring = Ring::within(budget);
            let mut at = 0;
            for (length, sleeps) in &looks {
                ring.push(slice(at, *length, *sleeps));
                at += length;
                let all: Vec<&Slice> = ring.between(0, u64::MAX).collect();
                prop_assert_eq!(all.last().map(|last| last.end_ns), Some(at * SECOND_NS));
                for pair in all.windows(2) {
                    prop_assert_eq!(pair[0].end_ns, pair[1].start_ns);
                }
                prop_assert!(ring.bytes() <= budget || all.len() == 1);
                prop_assert_eq!(ring.bytes(), all.iter().map(|slice| slice.bytes()).sum::<usize>());
            }
        }
    }
}
