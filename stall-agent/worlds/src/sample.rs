//! Single requests as a sample of all there were, drawn as `stall-agent/src/collect/sample.rs` does.
//!
//! Each that was sent stands for as many as its row grew by in its interval, shared out among those that were sent. Of a row
//! with more than there is room for some are drawn by priority sampling (Duffield, Lund and Thorup, 2007).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use stall_capture::{EndedRequest, Op};

use crate::dice::Dice;

/// Kept of all rows.
const MOST: usize = 2_000;
/// The longest, which are shown whatever the sample is.
const LONGEST: usize = 50;

/// Disk, actor and operation.
pub(crate) type Key = (u16, u32, Op);

pub(crate) struct Sample {
    rows: BTreeMap<Key, Row>,
    longest: Vec<EndedRequest>,
    dice: Dice,
    pub(crate) dropped: u64,
}

#[derive(Default)]
struct Row {
    /// Of the interval that is open.
    fresh: Vec<EndedRequest>,
    drawn: Vec<Drawn>,
    /// The highest priority that was not drawn.
    threshold: f64,
}

struct Drawn {
    request: EndedRequest,
    weight: f64,
    priority: f64,
}

impl Sample {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rows: BTreeMap::new(),
            longest: Vec::new(),
            dice: Dice::new(seed),
            dropped: 0,
        }
    }

    pub(crate) fn add(&mut self, request: EndedRequest) {
        self.longest.push(request.clone());
        if self.longest.len() >= 2 * LONGEST {
            cut_longest(&mut self.longest);
        }
        let key = (request.disk, request.actor, request.op);
        self.rows.entry(key).or_default().fresh.push(request);
    }

    /// An interval ends, in which rows grew by so many.
    pub(crate) fn weigh(&mut self, grown: impl Fn(&Key) -> u64) {
        let mut kept = 0;
        for (key, row) in &mut self.rows {
            let sent = row.fresh.len();
            let weight = (grown(key) as f64 / sent as f64).max(1.0);
            for request in row.fresh.drain(..) {
                let priority = weight / (1.0 - self.dice.part());
                row.drawn.push(Drawn {
                    request,
                    weight,
                    priority,
                });
            }
            kept += row.drawn.len();
        }
        if kept >= 2 * MOST {
            self.cut();
        }
    }

    /// What is drawn, and beside it the longest, which stand for none, in order of their ends. Rows had so many in all.
    pub(crate) fn into_rows(mut self, all: impl Fn(&Key) -> u64) -> (Vec<EndedRequest>, u64) {
        self.weigh(|_| 0);
        self.cut();
        cut_longest(&mut self.longest);
        let mut rows: Vec<EndedRequest> = Vec::new();
        for (key, row) in self.rows {
            let stands = |drawn: &Drawn| drawn.weight.max(row.threshold);
            let sum: f64 = row.drawn.iter().map(stands).sum();
            let all = (all(&key) as f64).max(row.drawn.len() as f64);
            rows.extend(row.drawn.iter().map(|drawn| EndedRequest {
                stands_for: stands(drawn) * all / sum,
                ..drawn.request.clone()
            }));
        }
        let name = |row: &EndedRequest| {
            (
                row.completed_ns,
                row.queued_ns,
                row.sector,
                row.disk,
                row.tid,
            )
        };
        for request in self.longest {
            if !rows.iter().any(|row| name(row) == name(&request)) {
                self.dropped = self.dropped.saturating_sub(1);
                rows.push(EndedRequest {
                    stands_for: 0.0,
                    ..request
                });
            }
        }
        rows.sort_by_key(|row| row.completed_ns);
        (rows, self.dropped)
    }

    /// Leaves as many of each row that all fit.
    fn cut(&mut self) {
        let mut lengths: Vec<_> = self.rows.values().map(|row| row.drawn.len()).collect();
        let most = share(&mut lengths);
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
    }
}

/// The most that each may keep so that all fit; each at least one.
fn share(lengths: &mut [usize]) -> usize {
    lengths.sort_unstable();
    let mut left = MOST;
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
    longest.sort_by_key(|row| Reverse(row.completed_ns - row.queued_ns));
    longest.truncate(LONGEST);
}
