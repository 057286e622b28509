//! Discards: the clock of the time they were in flight, and who sent them from where.
//!
//! `D(t)` is the time up to `t` in which at least one discard was in flight on a disk. It is kept
//! in one word that is changed by atomic additions only: while none is in flight the word is
//! `D`; while one is, it is `D - start`, which is negative as a signed number because no sum of
//! durations since boot exceeds the time since boot. So a reader needs no second word to know
//! which of the two it holds. It does not matter in what order the additions arrive, so that two CPUs may take turns in
//! starting and stopping the clock and add what they have to later.

/// `D(now)` from the clock's word; `None` in the moment between two changes that overtake each
/// other on two CPUs.
#[inline(always)]
#[must_use]
pub const fn read(word: u64, now_ns: u64) -> Option<u64> {
    if (word as i64) >= 0 {
        return Some(word);
    }
    let value = word.wrapping_add(now_ns);
    if (value as i64) < 0 {
        None
    } else {
        Some(value)
    }
}

/// What to add to the word when the first discard starts.
#[inline(always)]
#[must_use]
pub const fn start(now_ns: u64) -> u64 {
    now_ns.wrapping_neg()
}

/// What to add to the word when the last discard ends.
#[inline(always)]
#[must_use]
pub const fn stop(now_ns: u64) -> u64 {
    now_ns
}

/// Key of `DISCARDS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DiscardKey {
    /// Id of the kernel stack it was submitted from.
    pub stack: u64,
    /// Id of the submitting process.
    pub actor: u32,
    /// Index of the disk.
    pub disk: u16,
    /// [`crate::request::Op`] as a number: discard or secure erase.
    pub op: u16,
}

/// Value of `DISCARDS`. Counted at completion.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discards {
    /// Requests completed.
    pub ops: u64,
    /// Bytes completed.
    pub bytes: u64,
    /// Sum of issued - queued.
    pub queue_ns: u64,
    /// Sum of completed - issued.
    pub device_ns: u64,
    /// Longest completed - issued.
    pub slowest_ns: u64,
    /// Submission of the first.
    pub first_queued_ns: u64,
    /// Completion of the last.
    pub last_completed_ns: u64,
}

crate::abi!(DiscardKey: 16, Discards: 56);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_idle_clock_stands() {
        assert_eq!(read(0, 5), Some(0));
        assert_eq!(read(7, 1_000), Some(7));
    }

    #[test]
    fn a_change_overtaken_by_another_reads_as_none() {
        let twice = 0u64.wrapping_add(start(100)).wrapping_add(start(110));
        assert_eq!(read(twice, 120), None);
    }

    proptest! {
        /// The clock equals the sum of the busy periods, at every moment in and between them.
        #[test]
        fn it_equals_the_busy_time(steps in prop::collection::vec(1u64..1_000_000, 1..50)) {
            let (mut now, mut busy, mut word) = (1u64 << 40, 0u64, 0u64);
            for (index, step) in steps.iter().enumerate() {
                let active = index % 2 == 1;
                prop_assert_eq!(read(word, now + step), Some(busy + if active { *step } else { 0 }));
                now += step;
                if active { busy += step; word = word.wrapping_add(stop(now)); }
                else { word = word.wrapping_add(start(now)); }
            }
        }
    }
}
