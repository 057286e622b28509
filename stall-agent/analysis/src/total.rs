//! Sums of counters from outside, which may have run over: at most `u64::MAX`, where `Iterator::sum` would panic or wrap.

use std::borrow::Borrow;

/// Adds up without running over.
pub(crate) trait Total {
    /// The sum, or `u64::MAX` if it is more.
    fn total(self) -> u64;
}

impl<I: Iterator<Item: Borrow<u64>>> Total for I {
    fn total(self) -> u64 {
        self.fold(0, |sum, one| sum.saturating_add(*one.borrow()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_stops_at_the_largest_number() {
        assert_eq!([1, 2, 3].into_iter().total(), 6);
        assert_eq!([u64::MAX, 1, 1].into_iter().total(), u64::MAX);
    }
}
