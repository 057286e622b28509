//! Keeps a panic in one part of a run from costing the others.
//!
//! A run is done in parts. What a part was to find out is missing when it panics, which is counted
//! (`internal_errors` among the losses); everything else is reported.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A part of a run. Those of its end are done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Taking in records from the ring.
    Records,
    /// Reading the sums at the end of an interval.
    Interval,
    /// Reading what there is so far, for a view of it.
    Showing,
    /// Waiting for what comes.
    Waiting,
    /// Detaching, and the last look at the tasks in D and the disks.
    Closing,
    /// What the programs cost.
    Cost,
    /// Requests that had not completed.
    Unfinished,
    Discards,
    Owners,
    /// Ended sleeps, and those that had not.
    Sleeps,
    Names,
    Stacks,
    Inventory,
    Disks,
    /// What keeps tasks waiting without a request.
    Waits,
    /// Sums by process and by disk.
    Sums,
    /// What the kernel counted as lost.
    Losses,
}

impl Part {
    /// All of them, in the order in which they come.
    pub const ALL: [Self; 17] = [
        Self::Records,
        Self::Interval,
        Self::Showing,
        Self::Waiting,
        Self::Closing,
        Self::Cost,
        Self::Unfinished,
        Self::Discards,
        Self::Owners,
        Self::Sleeps,
        Self::Names,
        Self::Stacks,
        Self::Inventory,
        Self::Disks,
        Self::Waits,
        Self::Sums,
        Self::Losses,
    ];
}

/// Does the parts, and counts those that panicked.
pub(super) struct Guard<'a> {
    before: &'a mut dyn FnMut(Part),
    pub(super) failed: u64,
}

impl<'a> Guard<'a> {
    /// `before` is called at the beginning of each part, as if it were of it.
    pub(super) fn new(before: &'a mut dyn FnMut(Part)) -> Self {
        Self { before, failed: 0 }
    }

    /// What the part gives; `None` when it panicked. What it was at is then as the panic left it: good enough to be
    /// read, since all of it is plain data.
    pub(super) fn part<T>(&mut self, part: Part, work: impl FnOnce() -> T) -> Option<T> {
        self.nested(part, |_| work())
    }

    /// The same for a part that has others in it.
    pub(super) fn nested<T>(&mut self, part: Part, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(|| {
            (self.before)(part);
            work(self)
        }));
        self.failed += u64::from(done.is_err());
        done.ok()
    }

    /// The same for what may fail otherwise, too; nothing when it panicked.
    pub(super) fn rows<T: Default, E>(
        &mut self,
        part: Part,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.part(part, work).unwrap_or_else(|| Ok(T::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_its_part_and_is_counted() {
        let mut seen = Vec::new();
        let mut before = |part| {
            seen.push(part);
            assert!(part != Part::Names, "a panic of a test");
        };
        let mut guard = Guard::new(&mut before);
        assert_eq!(guard.part(Part::Discards, || 1), Some(1));
        assert_eq!(guard.part(Part::Names, || 2), None);
        let none: Result<Vec<u8>, ()> = guard.rows(Part::Names, || Ok(vec![3]));
        assert_eq!(none, Ok(Vec::new()));
        assert_eq!(
            guard.rows(Part::Sums, || Err::<u8, _>("refused")),
            Err("refused")
        );
        assert_eq!(guard.failed, 2);
        assert_eq!(seen, [Part::Discards, Part::Names, Part::Names, Part::Sums]);
    }

    #[test]
    fn each_part_is_listed_once() {
        for (number, part) in Part::ALL.iter().enumerate() {
            assert_eq!(*part as usize, number);
        }
    }
}
