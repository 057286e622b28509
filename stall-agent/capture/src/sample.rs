//! Single requests as a sample of all there were: how many of its disk, actor and operation each stands for.
//!
//! What the programs send is thinned out where too much came in an interval, so each of an interval stands for as many as its row
//! of uses grew by, shared out among those that were sent. Of a row with more than there is room for, some are drawn by priority
//! sampling (Duffield, Lund and Thorup, 2007): each gets its weight over a random number, the highest are kept, and one that is
//! kept stands for at least the highest that was not. So each request had the same chance to speak for those like it, and a row
//! that many others outnumber keeps its own.

use std::collections::BTreeMap;

use crate::{EndedRequest, Op};

/// Requests kept of all rows.
const MOST: usize = 2_000;
/// The longest, which are shown whatever the sample is.
const LONGEST: usize = 50;

/// Disk, actor and operation.
pub type Key = (u16, u32, Op);

/// The sample, and the longest beside it.
#[derive(Clone, Default)]
pub struct Sample {
    rows: BTreeMap<Key, Row>,
    /// In `rows` since the last interval.
    fresh: usize,
    /// In `rows` before.
    kept: usize,
    longest: Vec<EndedRequest>,
    random: Random,
    /// Told by the programs, and in no capture.
    pub dropped: u64,
}

#[derive(Clone, Default)]
struct Row {
    /// Of the interval that is open.
    fresh: Vec<EndedRequest>,
    drawn: Vec<Drawn>,
    /// The highest priority that was not drawn.
    threshold: f64,
}

#[derive(Clone)]
struct Drawn {
    request: EndedRequest,
    /// How many it stood for in its interval.
    weight: f64,
    priority: f64,
}

impl Sample {
    /// A request that has ended.
    pub fn add(&mut self, request: EndedRequest) {
        self.longest.push(request.clone());
        if self.longest.len() >= 2 * LONGEST {
            cut_longest(&mut self.longest);
        }
        self.row(&request).fresh.push(request);
        self.fresh += 1;
        if self.fresh >= 4 * MOST {
            // An interval of many records: what came so far is weighed by what is known by now.
            self.weigh(|_| 0);
        }
    }

    fn row(&mut self, request: &EndedRequest) -> &mut Row {
        let key = (request.disk, request.actor, request.op);
        self.rows.entry(key).or_default()
    }

    /// An interval ends, in which rows grew by so many.
    pub fn weigh(&mut self, grown: impl Fn(&Key) -> u64) {
        for (key, row) in &mut self.rows {
            let sent = row.fresh.len();
            let weight = (grown(key) as f64 / sent as f64).max(1.0);
            for request in row.fresh.drain(..) {
                let priority = weight / self.random.next();
                row.drawn.push(Drawn {
                    request,
                    weight,
                    priority,
                });
            }
            self.kept += sent;
        }
        self.fresh = 0;
        if self.kept >= 2 * MOST {
            self.cut();
        }
    }

    /// Actors that are told of by another's id from now on.
    pub fn rename(&mut self, to: &BTreeMap<u32, u32>) {
        let renamed = |id: u32| to.get(&id).copied().unwrap_or(id);
        for (key, row) in std::mem::take(&mut self.rows) {
            let key = (key.0, renamed(key.1), key.2);
            let into = self.rows.entry(key).or_default();
            into.fresh.extend(row.fresh);
            into.drawn.extend(row.drawn);
            into.threshold = into.threshold.max(row.threshold);
            let requests = into.drawn.iter_mut().map(|drawn| &mut drawn.request);
            for request in requests.chain(&mut into.fresh) {
                request.actor = key.1;
            }
        }
        for request in &mut self.longest {
            request.actor = renamed(request.actor);
        }
    }

    /// What is drawn, and beside it the longest, which stand for none, in order of their ends. Rows had so many in all.
    #[must_use]
    pub fn into_rows(mut self, all: impl Fn(&Key) -> u64) -> (Vec<EndedRequest>, u64) {
        self.weigh(|_| 0);
        self.cut();
        cut_longest(&mut self.longest);
        let (mut rows, mut dropped) = (Vec::new(), self.dropped);
        for (key, row) in self.rows {
            let stands = |drawn: &Drawn| drawn.weight.max(row.threshold);
            let sum: f64 = row.drawn.iter().map(stands).sum();
            // Those that were sent before there was a row for them are not in its sum.
            let all = (all(&key) as f64).max(row.drawn.len() as f64);
            rows.extend(row.drawn.iter().map(|drawn| EndedRequest {
                stands_for: stands(drawn) * all / sum,
                ..drawn.request.clone()
            }));
        }
        for request in self.longest {
            let is_it = |row: &EndedRequest| {
                let same = |row: &EndedRequest| {
                    (
                        row.completed_ns,
                        row.queued_ns,
                        row.sector,
                        row.disk,
                        row.tid,
                    )
                };
                same(row) == same(&request)
            };
            if !rows.iter().any(is_it) {
                dropped = dropped.saturating_sub(1);
                rows.push(EndedRequest {
                    stands_for: 0.0,
                    ..request
                });
            }
        }
        rows.sort_by_key(|row| row.completed_ns);
        (rows, dropped)
    }

    /// Leaves as many of each row that all fit.
    fn cut(&mut self) {
        let mut lengths: Vec<_> = self.rows.values().map(|row| row.drawn.len()).collect();
        let most = share(&mut lengths, MOST);
        for row in self.rows.values_mut() {
            if row.drawn.len() <= most {
                continue;
            }
            row.drawn
                .sort_by(|one, other| other.priority.total_cmp(&one.priority));
            row.threshold = row.threshold.max(row.drawn[most].priority);
            self.dropped += (row.drawn.len() - most) as u64;
            row.drawn.truncate(most);
        }
        self.rows
            .retain(|_, row| !row.drawn.is_empty() || !row.fresh.is_empty());
        self.kept = self.rows.values().map(|row| row.drawn.len()).sum();
    }
}

/// The most that each may keep so that all together keep no more than `room`; each at least one.
fn share(lengths: &mut [usize], room: usize) -> usize {
    lengths.sort_unstable();
    let mut left = room;
    for (before, length) in lengths.iter().enumerate() {
        let each = left / (lengths.len() - before);
        if *length > each {
            return each.max(1);
        }
        left -= length;
    }
    usize::MAX
}

fn cut_longest(longest: &mut Vec<EndedRequest>) {
    longest.sort_by_key(|row| std::cmp::Reverse(row.completed_ns.saturating_sub(row.queued_ns)));
    longest.truncate(LONGEST);
}

/// Numbers above 0 up to 1 (SplitMix64), the same in each run: a capture is a function of what was seen.
#[derive(Clone, Default)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn request(actor: u32, queued_ns: u64, length_ns: u64) -> EndedRequest {
        EndedRequest {
            actor,
            tid: actor,
            disk: 0,
            op: Op::Read,
            bytes: 4096,
            sector: Some(queued_ns),
            queued_ns,
            issued_ns: Some(queued_ns),
            completed_ns: queued_ns + length_ns,
            overlap_ns: 0,
            service_ns: 0,
            requeues: 0,
            older: false,
            stack: None,
            stands_for: 1.0,
        }
    }

    fn stood_for(rows: &[EndedRequest], is: impl Fn(&EndedRequest) -> bool) -> f64 {
        let rows = rows.iter().filter(|row| is(row));
        rows.map(|row| row.stands_for).sum()
    }

    /// 4,000 waits of 15 ms behind a neighbor and 2,000 hiccups of 20 ms are told as what they were, not as 2,000 hiccups.
    #[test]
    fn the_longest_do_not_stand_for_all() {
        let mut sample = Sample::default();
        for index in 0..6_000 {
            let length = if index % 3 == 0 { 20 } else { 15 };
            sample.add(request(7, index * MS, length * MS));
        }
        let (rows, dropped) = sample.into_rows(|_| 6_000);
        let hiccups = |row: &EndedRequest| row.completed_ns - row.queued_ns == 20 * MS;
        let share = stood_for(&rows, hiccups) / 6_000.0;
        assert!((0.28..0.39).contains(&share), "{share} instead of a third");
        assert!((stood_for(&rows, |_| true) - 6_000.0).abs() < 1e-6);
        assert_eq!(rows.len() as u64 + dropped, 6_000);
        let zero = rows.iter().filter(|row| row.stands_for == 0.0).count();
        assert!(zero > 0 && zero <= LONGEST, "{zero} are shown beside it");
    }

    /// Of an interval in which one of ten was sent each stands for ten, of a quiet one for itself.
    #[test]
    fn what_was_thinned_out_stands_for_more() {
        let mut sample = Sample::default();
        (0..100).for_each(|index| sample.add(request(7, index * MS, 11 * MS)));
        sample.weigh(|_| 1_000);
        (1_000..1_010).for_each(|index| sample.add(request(7, index * MS, 12 * MS)));
        sample.weigh(|_| 10);
        let (rows, _) = sample.into_rows(|_| 1_010);
        let of = |ms: u64| stood_for(&rows, |row| row.completed_ns - row.queued_ns == ms * MS);
        assert!((of(11) - 1_000.0).abs() < 1e-6 && (of(12) - 10.0).abs() < 1e-6);
    }

    /// Who waits rarely is there however much another does.
    #[test]
    fn a_row_that_others_outnumber_keeps_its_own() {
        let mut sample = Sample::default();
        for index in 0..20_000 {
            sample.add(request(
                1 + u32::from(index % 1_000 == 0),
                index * MS,
                11 * MS,
            ));
            if index % 500 == 0 {
                sample.weigh(|_| 0);
            }
        }
        let (rows, _) = sample.into_rows(|key| if key.1 == 2 { 20 } else { 19_980 });
        assert_eq!(rows.iter().filter(|row| row.actor == 2).count(), 20);
        assert!(rows.len() <= MOST + LONGEST);
    }

    proptest! {
        /// Whatever was sent and whatever there was: a row that has any in the sample stands for all of its own.
        #[test]
        fn a_row_stands_for_all_of_its_own(
            sent in prop::collection::vec((0u32..6, 1u64..40), 1..300),
            more in prop::collection::vec(0u64..5_000, 6),
        ) {
            let mut sample = Sample::default();
            let mut all = [0u64; 6];
            for (index, (actor, ms)) in sent.iter().enumerate() {
                sample.add(request(*actor, index as u64 * MS, ms * MS));
                all[*actor as usize] += 1;
                if index % 50 == 0 {
                    sample.weigh(|_| 3);
                }
            }
            for (count, more) in all.iter_mut().zip(more) {
                *count += more;
            }
            let (rows, _) = sample.into_rows(|key| all[key.1 as usize]);
            for (actor, count) in all.iter().enumerate() {
                let of = |row: &EndedRequest| row.actor as usize == actor;
                if rows.iter().any(of) {
                    prop_assert!((stood_for(&rows, of) - *count as f64).abs() < 1e-3);
                }
            }
        }
    }
}
