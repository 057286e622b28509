//! Who made whom wait at the disk's gate, from its log alone.
//!
//! Contract: pure. The time that an operation waits for its turn is laid, moment by moment, in
//! equal parts on the operations in service then; what falls on nobody is a row of its own. The
//! parts of a victim add up to its waiting.
//!
//! Waiting before the disk is not in its log: the loop driver has one worker for each control
//! group and does discards and flushes one after another in it, and FUSE holds the file's lock
//! through each. So for the log to know all that reads wait for a trim, run the trim in an
//! `IoGroup` of its own; that of writes is known to the victims alone (`Exposure`).

use std::collections::BTreeMap;

use super::log::{OpLog, OpRecord};

/// Waited nanoseconds by (victim, culprit); the culprit `None` is nobody in service.
pub type Waits<K> = BTreeMap<(K, Option<K>), u64>;

/// Lays all waiting on those in service, grouped by whatever tells operations apart.
pub fn waits<K: Ord + Clone>(log: &OpLog, group: impl Fn(&OpRecord) -> K) -> Waits<K> {
    let clocks = Clocks::of(log, &group);
    let mut waits = Waits::new();
    for record in &log.records {
        let victim = group(record);
        let (from, to) = (record.arrival_ns, record.start_ns.unwrap_or(log.taken_ns));
        for (culprit, ns) in clocks.between(from, to) {
            if ns > 0 {
                *waits.entry((victim.clone(), culprit)).or_default() += ns;
            }
        }
    }
    waits
}

/// For each group a clock that runs as fast as its share of what is in service.
struct Clocks<K> {
    groups: Vec<Option<K>>,
    /// The moments at which speeds change, and what each clock shows then.
    moments: Vec<(u64, Vec<f64>)>,
    /// The speeds from each of the moments on.
    speeds: Vec<Vec<f64>>,
}

impl<K: Ord + Clone> Clocks<K> {
    fn of(log: &OpLog, group: &impl Fn(&OpRecord) -> K) -> Self {
        let mut groups: Vec<Option<K>> = log.records.iter().map(|r| Some(group(r))).collect();
        groups.push(None);
        groups.sort();
        groups.dedup();
        let mut in_service = vec![0_u32; groups.len()];
        let mut clocks = Self {
            moments: vec![(0, vec![0.0; groups.len()])],
            speeds: vec![speeds(&in_service)],
            groups,
        };
        for (moment, index, begins) in clocks.changes(log, group) {
            clocks.advance(moment);
            in_service[index] = match begins {
                true => in_service[index] + 1,
                false => in_service[index] - 1,
            };
            clocks.speeds.push(speeds(&in_service));
        }
        clocks
    }

    /// When an operation of which group enters or leaves service.
    fn changes(&self, log: &OpLog, group: &impl Fn(&OpRecord) -> K) -> Vec<(u64, usize, bool)> {
        let mut changes = Vec::new();
        for record in &log.records {
            let service = record.service(log.taken_ns);
            // Every group of the log is in the sorted list.
            let index = self.groups.partition_point(|g| *g < Some(group(record)));
            changes.push((service.start, index, true));
            changes.push((service.end, index, false));
        }
        // At one moment, what begins comes first, so that no count goes below zero.
        changes.sort_by_key(|(moment, _, begins)| (*moment, !begins));
        changes
    }

    fn advance(&mut self, moment: u64) {
        let shown = self.shown(moment);
        self.moments.push((moment, shown));
    }

    /// What the clocks show at a moment.
    fn shown(&self, moment: u64) -> Vec<f64> {
        let after = self.moments.partition_point(|(at, _)| *at <= moment);
        // The first moment is 0, so there is one before.
        let last = after.saturating_sub(1);
        let (at, shown) = &self.moments[last];
        let passed = (moment - at) as f64;
        let run = shown.iter().zip(&self.speeds[last]);
        run.map(|(shown, speed)| shown + speed * passed).collect()
    }

    fn between(&self, from: u64, to: u64) -> Vec<(Option<K>, u64)> {
        let differences = self.shown(to).into_iter().zip(self.shown(from));
        let waited = differences.map(|(end, begin)| (end - begin).round() as u64);
        self.groups.iter().cloned().zip(waited).collect()
    }
}

/// Equal shares of those in service; all of it nobody's (the first) when there is none.
fn speeds(in_service: &[u32]) -> Vec<f64> {
    let all: u32 = in_service.iter().sum();
    let mut speeds: Vec<f64> = in_service
        .iter()
        .map(|count| f64::from(*count) / f64::from(all.max(1)))
        .collect();
    if all == 0 {
        speeds[0] = 1.0;
    }
    speeds
}

#[cfg(test)]
mod tests {
    use super::super::op::Op;
    use super::*;

    fn record(op: Op, arrival: u64, start: u64, end: u64) -> OpRecord {
        OpRecord {
            op,
            offset: 0,
            length: 0,
            arrival_ns: arrival,
            start_ns: Some(start),
            end_ns: Some(end),
            errno: 0,
        }
    }

    fn waits_of(records: Vec<OpRecord>) -> Waits<usize> {
        let log = OpLog {
            taken_ns: 1000,
            records,
        };
        waits(&log, |record| record.op.index())
    }

    const READ: usize = Op::Read as usize;
    const WRITE: usize = Op::Write as usize;
    const DISCARD: usize = Op::Discard as usize;

    #[test]
    fn waiting_is_laid_on_what_is_in_service() {
        let waits = waits_of(vec![
            record(Op::Discard, 0, 0, 100),
            record(Op::Read, 40, 100, 110),
        ]);
        assert_eq!(waits, Waits::from([((READ, Some(DISCARD)), 60)]));
    }

    #[test]
    fn several_in_service_share_it() {
        let waits = waits_of(vec![
            record(Op::Read, 0, 0, 100),
            record(Op::Write, 0, 0, 50),
            record(Op::Discard, 0, 100, 150),
        ]);
        assert_eq!(waits[&(DISCARD, Some(READ))], 75);
        assert_eq!(waits[&(DISCARD, Some(WRITE))], 25);
    }

    #[test]
    fn a_gap_is_nobodys() {
        let waits = waits_of(vec![
            record(Op::Write, 0, 0, 10),
            record(Op::Read, 0, 30, 40),
        ]);
        assert_eq!(waits[&(READ, Some(WRITE))], 10);
        assert_eq!(waits[&(READ, None)], 20);
    }

    #[test]
    fn parts_add_up_to_the_waiting() {
        let waits = waits_of(vec![
            record(Op::Discard, 0, 5, 305),
            record(Op::Read, 7, 305, 309),
            record(Op::Read, 9, 305, 310),
            record(Op::Write, 100, 310, 400),
        ]);
        let total: u64 = waits.values().sum();
        assert_eq!(total, 5 + 298 + 296 + 210);
    }
}
