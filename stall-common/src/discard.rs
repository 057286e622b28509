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

    /// What CPUs do to a disk's clock, in all the orders there are: a step is what no other CPU sees half done. It is what
    /// `discard.rs` of the programs does, with the word as the number of starts that no stop has met.
    mod model {
        use std::collections::HashSet;

        /// Where a CPU is in what it does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        enum At {
            /// Of `started`: counts, looks, adds, inserts, takes back.
            Count,
            Look,
            Add,
            Insert,
            TakeBack,
            /// A completion can find the discard from here on.
            Publish,
            /// Waits until it can.
            Find,
            /// Of `ended`: discounts, looks whether any is left, deletes, adds, looks again; then as `started`, and again.
            Discount,
            AnyLeft,
            Delete,
            AddStop,
            Again,
            AgainLook,
            AgainAdd,
            AgainInsert,
            AgainTakeBack,
            Done,
        }

        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        struct State {
            in_flight: i8,
            going: bool,
            /// Starts without a stop.
            word: i8,
            published: [bool; 3],
            /// What each CPU has still to do, and where it is in the first of it.
            cpus: [(Vec<&'static [At]>, At); 3],
        }

        const STARTED: &[At] = &[At::Count];
        const ENDED: &[At] = &[At::Discount];
        const PUBLISHED: &[At] = &[At::Publish];
        const FOUND: &[At] = &[At::Find];

        impl State {
            fn of(tasks: [&[&'static [At]]; 3]) -> Self {
                let cpus = tasks.map(|tasks| {
                    let mut left = tasks.to_vec();
                    let first = if left.is_empty() {
                        At::Done
                    } else {
                        left.remove(0)[0]
                    };
                    (left, first)
                });
                Self {
                    in_flight: 0,
                    going: false,
                    word: 0,
                    published: [false; 3],
                    cpus,
                }
            }

            /// After a step of a CPU; `None` when it has none to take.
            fn step(&self, cpu: usize) -> Option<Self> {
                let mut next = self.clone();
                let mut done = false;
                let at = match self.cpus[cpu].1 {
                    At::Done => return None,
                    At::Count => {
                        next.in_flight += 1;
                        At::Look
                    }
                    At::Look if self.going => At::Done,
                    At::Look => At::Add,
                    At::Add => {
                        next.word += 1;
                        At::Insert
                    }
                    At::Insert if self.going => At::TakeBack,
                    At::Insert => {
                        next.going = true;
                        At::Done
                    }
                    At::TakeBack => {
                        next.word -= 1;
                        At::Done
                    }
                    At::Publish => {
                        next.published[cpu] = true;
                        At::Done
                    }
                    At::Find if !self.published.contains(&true) => return None,
                    At::Find => At::Done,
                    At::Discount => {
                        next.in_flight -= 1;
                        At::AnyLeft
                    }
                    At::AnyLeft if self.in_flight != 0 => At::Done,
                    At::AnyLeft => At::Delete,
                    At::Delete if !self.going => At::Done,
                    At::Delete => {
                        next.going = false;
                        At::AddStop
                    }
                    At::AddStop => {
                        next.word -= 1;
                        At::Again
                    }
                    At::Again if self.in_flight == 0 => At::Done,
                    At::Again => At::AgainLook,
                    At::AgainLook if self.going => At::Done,
                    At::AgainLook => At::AgainAdd,
                    At::AgainAdd => {
                        next.word += 1;
                        At::AgainInsert
                    }
                    At::AgainInsert if self.going => At::AgainTakeBack,
                    At::AgainInsert => {
                        next.going = true;
                        At::AnyLeft
                    }
                    At::AgainTakeBack => {
                        next.word -= 1;
                        At::Done
                    }
                };
                if at == At::Done {
                    done = true;
                }
                let (left, place) = &mut next.cpus[cpu];
                *place = if done && !left.is_empty() {
                    left.remove(0)[0]
                } else {
                    at
                };
                Some(next)
            }

            /// With nothing left to do, the clock goes if a discard is in flight, and has a start that no stop has met if it goes.
            fn is_right_at_rest(&self) -> bool {
                let rests = self.cpus.iter().all(|(_, at)| *at == At::Done);
                let right = self.going == (self.in_flight != 0)
                    && self.word == i8::from(self.going)
                    && self.in_flight >= 0;
                !rests || right
            }
        }

        /// The first state at rest that is wrong, if any order leads to one.
        fn wrong(tasks: [&[&'static [At]]; 3]) -> Option<State> {
            let (mut seen, mut next) = (HashSet::new(), vec![State::of(tasks)]);
            while let Some(state) = next.pop() {
                if !state.is_right_at_rest() {
                    return Some(state);
                }
                if seen.insert(state.clone()) {
                    next.extend((0..3).filter_map(|cpu| state.step(cpu)));
                }
            }
            assert!(seen.len() > 20, "{} states are not all", seen.len());
            None
        }

        #[test]
        fn whatever_the_order_the_clock_is_right_at_rest() {
            let one: &[&[At]] = &[STARTED, ENDED];
            let two: &[&[At]] = &[STARTED, ENDED, STARTED, ENDED];
            let stays: &[&[At]] = &[STARTED];
            for tasks in [[one, one, one], [two, two, one], [one, two, stays]] {
                assert_eq!(wrong(tasks), None);
            }
        }

        /// A discard that is found by the search of all queues ends on another CPU as soon as it can be found.
        #[test]
        fn a_discard_is_counted_before_it_can_be_found() {
            let found: &[&[At]] = &[FOUND, ENDED];
            let one: &[&[At]] = &[STARTED, ENDED];
            assert_eq!(wrong([&[STARTED, PUBLISHED], found, one]), None);
            let state = wrong([&[PUBLISHED, STARTED], found, &[]]);
            let state = state.expect("published first, it can end before it is counted");
            assert!(state.going && state.in_flight == 0, "{state:?}");
        }
    }
}
