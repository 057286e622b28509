//! How many records of each kind the programs may send in an interval.

use stall_common::record::{BUDGETS, Budget, DISCARDS, SLEEPS, SLOW_REQUESTS};

use super::maps::Maps;
use super::snapshot::Growth;

/// By the kind's number: together less than half of the ring, which is read all the time. CPUs that ask for the last one at once
/// all get it, so that it may be a few more.
const MOST: [u32; BUDGETS as usize] = [2_000, 1_000, 1_000];

/// Before the first interval.
pub fn begin(maps: &mut Maps) {
    begin_interval(maps, &Growth::default());
}

/// Sets what may be sent, as the interval before would have needed it. A failure leaves a budget spent, which is counted.
pub fn begin_interval(maps: &mut Maps, before: &Growth) {
    let (slow, discards) = before.recorded();
    for (kind, wanted) in [(SLOW_REQUESTS, slow), (DISCARDS, discards), (SLEEPS, 0)] {
        let most = MOST[kind as usize];
        let budget = Budget {
            sent: 0,
            most,
            one_of: one_of(wanted, most),
        };
        let _set = maps.budgets.set(kind, budget, 0);
    }
}

/// So that as many as before stay within three quarters of the most.
fn one_of(wanted: u64, most: u32) -> u32 {
    let aim = u64::from(most) * 3 / 4;
    u32::try_from(wanted.div_ceil(aim))
        .unwrap_or(u32::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_fit_is_thinned_out() {
        assert_eq!(one_of(0, 1_000), 1);
        assert_eq!(one_of(750, 1_000), 1);
        assert_eq!(one_of(751, 1_000), 2);
        assert_eq!(one_of(75_000, 1_000), 100);
    }
}
