//! Per disk and operation: the copies summed up, and what came since the last look.

use stall_common::disk::{LATENCIES, Latency, Series as Copy};
use stall_common::histogram::{BUCKETS, WIDE, middle, wide};
use stall_common::uses::Use;

use stall_capture::Histogram;

/// Sums of one disk and operation since the start.
pub struct Series {
    pub sums: Sums,
    /// Counts by [`Latency`] and bucket, since the start.
    totals: Box<[[u64; BUCKETS]; LATENCIES]>,
    /// The kernel's counts at the last look; they wrap.
    last: Box<[[u32; BUCKETS]; LATENCIES]>,
    /// Totals' counts between the last two looks.
    recent: Box<[u32; BUCKETS]>,
}

/// The sums that are plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub ops: u64,
    pub bytes: u64,
    pub queue_ns: u64,
    pub device_ns: u64,
    pub total_ns: u64,
    pub slowest_ns: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            sums: Sums::default(),
            totals: Box::new([[0; BUCKETS]; LATENCIES]),
            last: Box::new([[0; BUCKETS]; LATENCIES]),
            recent: Box::new([0; BUCKETS]),
        }
    }
}

impl Series {
    /// Takes in what the rows of uses hold of it, and what the copies hold now. Returns what the plain sums grew by.
    pub fn update(&mut self, used: Sums, copies: impl Iterator<Item = Copy>) -> Sums {
        let mut now = Box::new([[0u32; BUCKETS]; LATENCIES]);
        let mut sums = used;
        for copy in copies {
            sums.add(&copy);
            for (to, from) in now
                .iter_mut()
                .flatten()
                .zip(copy.histograms.iter().flatten())
            {
                *to = to.wrapping_add(*from);
            }
        }
        self.advance(&now);
        self.last = now;
        let grown = sums.since(&self.sums);
        self.sums = sums;
        grown
    }

    /// The counts of a latency since the start.
    #[must_use]
    pub fn histogram(&self, latency: Latency) -> Histogram {
        let counts = self.totals[latency as usize].iter().enumerate();
        Histogram(
            counts
                .filter(|(_, count)| **count > 0)
                .map(|(bucket, count)| (bucket as u16, *count))
                .collect(),
        )
    }

    /// A quantile of the totals between the last two looks; `None` when there were none.
    #[must_use]
    pub fn recent_quantile_ns(&self, quantile: f64) -> Option<u64> {
        let counts = self.recent.iter().copied().enumerate();
        bucket_of_quantile(counts, quantile).map(middle)
    }

    /// The totals between the last two looks by wide bucket, the empty ones left out.
    #[must_use]
    pub fn recent_counts(&self) -> Vec<(u8, u32)> {
        let mut counts = [0u32; WIDE];
        for (bucket, count) in self.recent.iter().enumerate() {
            let sum = &mut counts[wide(bucket)];
            *sum = sum.saturating_add(*count);
        }
        let counts = (0u8..).zip(counts);
        let mut filled: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        filled.shrink_to_fit();
        filled
    }

    fn advance(&mut self, now: &[[u32; BUCKETS]; LATENCIES]) {
        let counts = now.as_flattened().iter().zip(self.last.as_flattened());
        let totals = self.totals.as_flattened_mut().iter_mut();
        for (total, (now, last)) in totals.zip(counts) {
            *total += u64::from(now.wrapping_sub(*last));
        }
        let latency = Latency::Total as usize;
        let counts = now[latency].iter().zip(&self.last[latency]);
        for (recent, (now, last)) in self.recent.iter_mut().zip(counts) {
            *recent = now.wrapping_sub(*last);
        }
    }
}

impl Sums {
    /// What one actor did.
    pub fn add_use(&mut self, used: &Use) {
        self.ops += used.ops;
        self.bytes += used.bytes;
        self.queue_ns += used.queue_ns;
        self.device_ns += used.device_ns;
        self.total_ns += used.total_ns();
        self.slowest_ns = self.slowest_ns.max(used.slowest_ns);
    }

    fn add(&mut self, copy: &Copy) {
        self.ops += copy.ops;
        self.bytes += copy.bytes;
        self.queue_ns += copy.queue_ns;
        self.device_ns += copy.device_ns;
        self.total_ns += copy.queue_ns + copy.device_ns + copy.unissued_ns;
        self.slowest_ns = self.slowest_ns.max(copy.slowest_ns);
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            ops: self.ops - before.ops,
            bytes: self.bytes - before.bytes,
            queue_ns: self.queue_ns - before.queue_ns,
            device_ns: self.device_ns - before.device_ns,
            total_ns: self.total_ns - before.total_ns,
            slowest_ns: self.slowest_ns,
        }
    }
}

/// The bucket that holds a quantile of what is counted, in the order of the buckets; `None` when nothing is.
#[must_use]
pub fn bucket_of_quantile<B>(
    counts: impl Iterator<Item = (B, u32)> + Clone,
    quantile: f64,
) -> Option<B> {
    let count: u64 = counts.clone().map(|(_, count)| u64::from(count)).sum();
    // The rank of a quantile is at least the first.
    let rank = ((count as f64 * quantile).ceil() as u64).max(1);
    let mut seen = 0;
    let mut reached = counts.skip_while(|(_, count)| {
        seen += u64::from(*count);
        seen < rank
    });
    reached.next().map(|(bucket, _)| bucket)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stall_common::histogram::bucket;

    use super::*;

    fn copy(ops: u64, at: usize, count: u32) -> Copy {
        let mut histograms = [[0; BUCKETS]; LATENCIES];
        histograms[Latency::Total as usize][at] = count;
        Copy {
            ops,
            bytes: 0,
            queue_ns: 0,
            device_ns: 0,
            unissued_ns: 0,
            slowest_ns: 0,
            histograms,
        }
    }

    #[test]
    fn copies_add_up_and_wrapping_counts_do_not_matter() {
        let mut series = Series::default();
        series.update(
            Sums::default(),
            [copy(1, 9, u32::MAX), copy(2, 9, 0)].into_iter(),
        );
        let grown = series.update(Sums::default(), [copy(4, 9, 1), copy(3, 9, 1)].into_iter());
        assert_eq!(grown.ops, 4);
        let expected = Histogram(vec![(9, u64::from(u32::MAX) + 3)]);
        assert_eq!(series.histogram(Latency::Total), expected);
    }

    #[test]
    fn what_actors_did_is_part_of_it() {
        let mut series = Series::default();
        let used = Use {
            ops: 5,
            queue_ns: 100,
            device_ns: 20,
            unissued_ns: 3,
            ..Use::default()
        };
        let mut sums = Sums::default();
        sums.add_use(&used);
        sums.add_use(&used);
        let grown = series.update(sums, [copy(1, 9, 1)].into_iter());
        assert_eq!((grown.ops, grown.total_ns), (11, 246));
        assert_eq!(series.update(sums, [copy(1, 9, 1)].into_iter()).ops, 0);
    }

    #[test]
    fn a_quantile_is_of_the_last_interval() {
        let mut series = Series::default();
        let (fast, slow) = (bucket(100_000) as usize, bucket(90_000_000) as usize);
        assert_eq!(series.recent_quantile_ns(0.5), None);
        series.update(Sums::default(), [copy(1, slow, 100)].into_iter());
        let mut second = copy(1, slow, 101);
        second.histograms[Latency::Total as usize][fast] = 9;
        series.update(Sums::default(), [second].into_iter());
        assert_eq!(series.recent_quantile_ns(0.5), Some(middle(fast)));
        assert_eq!(series.recent_quantile_ns(0.99), Some(middle(slow)));
        let expected = [(wide(fast) as u8, 9), (wide(slow) as u8, 1)];
        assert_eq!(series.recent_counts(), expected);
    }

    fn add(copy: &mut Copy, ns: u64) {
        copy.ops += 1;
        copy.unissued_ns += ns;
        copy.slowest_ns = copy.slowest_ns.max(ns);
        let counts = &mut copy.histograms[Latency::Total as usize];
        counts[bucket(ns) as usize] += 1;
    }

    fn counts(values: impl Iterator<Item = u64>) -> Histogram {
        let mut one = copy(0, 0, 0);
        values.for_each(|ns| add(&mut one, ns));
        let mut series = Series::default();
        series.update(Sums::default(), [one].into_iter());
        series.histogram(Latency::Total)
    }

    proptest! {
        /// Whichever CPU counts a latency, and however often it is looked at meanwhile: the sums are those of all of them, and
        /// what came since the last look adds up to them.
        #[test]
        fn copies_and_looks_add_up(
            looks in prop::collection::vec(prop::collection::vec((0usize..3, 1_000u64..1 << 40), 0..20), 1..6),
        ) {
            let mut copies: Vec<_> = (0..3).map(|_| copy(0, 0, 0)).collect();
            let (mut series, mut grown) = (Series::default(), 0);
            for look in &looks {
                look.iter().for_each(|(cpu, ns)| add(&mut copies[*cpu], *ns));
                let since = series.update(Sums::default(), copies.iter().copied());
                prop_assert_eq!(since.ops, look.len() as u64);
                let recent: u32 = series.recent_counts().iter().map(|(_, count)| count).sum();
                prop_assert_eq!(recent as usize, look.len());
                grown += since.total_ns;
            }
            let all = || looks.iter().flatten().map(|(_, ns)| *ns);
            prop_assert_eq!(series.histogram(Latency::Total), counts(all()));
            prop_assert_eq!(series.sums.total_ns, all().sum::<u64>());
            prop_assert_eq!(series.sums.total_ns, grown);
            prop_assert_eq!(series.sums.slowest_ns, all().max().unwrap_or(0));
        }
    }
}
