//! Was the trim to blame? From the disk's log and the users' accounts.
//!
//! Contract: pure. Of each slow request of a user, the time in which the disk was not at work on it is laid,
//! moment by moment, in equal parts on the operations in service then. That includes what is waited before the
//! disk (in the loop driver's worker, for the file's lock in FUSE), of which the disk's log knows nothing.

use std::ops::Range;

use super::plan::User;
use crate::intervals::{covered, intersection, length, union};
use crate::slow_disk::{Op, OpLog, OpRecord};

/// From here on a request is slow; the agent's own bound.
pub const SLOW_NS: u64 = 10_000_000;
/// A trim is to blame when that many slow requests waited mostly for discards, ...
const LEAST_SLOW: u64 = 20;
/// ... and these make up this part of all slow waiting; it is innocent below the other one.
const GUILTY_SHARE: f64 = 0.5;
const INNOCENT_SHARE: f64 = 0.1;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Guilty,
    Innocent,
    /// Neither: dropped.
    Grey,
}

/// What happened to the users.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Truth {
    pub requests: u64,
    pub slow: u64,
    /// Slow ones that waited for discards half of their time or longer.
    pub slow_by_discards: u64,
    pub slow_ns: u64,
    /// Part of it waited for discards.
    pub on_discards_ns: f64,
    pub discards: u64,
}

impl Truth {
    /// What happened in the window.
    pub fn of(log: &OpLog, window: &Range<u64>, users: &[(&User, &OpLog)]) -> Self {
        let clock = Clock::of(log);
        let mut truth = Self {
            discards: log.within(window).count(Op::Discard) as u64,
            ..Self::default()
        };
        for (user, account) in users {
            let own = union(own_service(log, user));
            for record in &account.records {
                truth.add(record, window, &clock, &own);
            }
        }
        truth
    }

    fn add(&mut self, record: &OpRecord, window: &Range<u64>, clock: &Clock, own: &[Range<u64>]) {
        let span = intersection(&record.span(window.end), window);
        if length(&span) == 0 {
            return;
        }
        self.requests += 1;
        if length(&span) < SLOW_NS {
            return;
        }
        let waited = on_discards(&span, clock, own);
        self.slow += 1;
        self.slow_ns += length(&span);
        self.on_discards_ns += waited;
        self.slow_by_discards += u64::from(waited * 2.0 >= length(&span) as f64);
    }

    /// Part of the slow waiting that was for discards.
    pub fn share(&self) -> f64 {
        self.on_discards_ns / (self.slow_ns as f64).max(1.0)
    }

    /// Whether the trim was to blame.
    pub fn label(&self) -> Label {
        if self.slow_by_discards >= LEAST_SLOW && self.share() >= GUILTY_SHARE {
            Label::Guilty
        } else if self.share() <= INNOCENT_SHARE {
            Label::Innocent
        } else {
            Label::Grey
        }
    }
}

/// When the disk was at work on a user's requests, which are told by their size; flushes are anybody's.
fn own_service<'a>(log: &'a OpLog, user: &'a User) -> impl Iterator<Item = Range<u64>> + 'a {
    let is_own = |record: &&OpRecord| match record.op {
        Op::Fsync => user.pattern == super::plan::Pattern::Syncer,
        Op::Read | Op::Write => record.length == user.bytes,
        Op::Discard | Op::Zero => false,
    };
    log.records
        .iter()
        .filter(is_own)
        .map(|record| record.service(log.taken_ns))
}

/// The part of a span that is attributed to discards.
fn on_discards(span: &Range<u64>, clock: &Clock, own: &[Range<u64>]) -> f64 {
    let first = own.partition_point(|part| part.end <= span.start);
    let parts = own[first..].iter().take_while(|part| part.start < span.end);
    let at_work: f64 = parts
        .map(|part| clock.between(&intersection(span, part)))
        .sum();
    // Rounding may leave less than nothing.
    (clock.between(span) - at_work).max(0.0)
}

/// A clock that runs as fast as the share of discards among what is in service.
struct Clock {
    moments: Vec<Moment>,
}

#[derive(Clone, Copy)]
struct Moment {
    at: u64,
    shown: f64,
    speed: f64,
}

impl Clock {
    fn of(log: &OpLog) -> Self {
        let mut changes: Vec<(u64, bool, i64)> = Vec::new();
        for record in log
            .records
            .iter()
            .filter(|record| record.start_ns.is_some())
        {
            let (service, discard) = (record.service(log.taken_ns), record.op == Op::Discard);
            changes.extend([(service.start, discard, 1), (service.end, discard, -1)]);
        }
        changes.sort_unstable();
        let mut now = Moment {
            at: 0,
            shown: 0.0,
            speed: 0.0,
        };
        let (mut moments, mut discards, mut all) = (vec![now], 0, 0);
        for (at, discard, change) in changes {
            all += change;
            discards += if discard { change } else { 0 };
            now = Moment {
                at,
                shown: now.shown + now.speed * (at - now.at) as f64,
                speed: if all > 0 {
                    discards as f64 / all as f64
                } else {
                    0.0
                },
            };
            moments.push(now);
        }
        Self { moments }
    }

    fn shown(&self, at: u64) -> f64 {
        // The first moment is 0, so there is one before.
        let last = self
            .moments
            .partition_point(|moment| moment.at <= at)
            .saturating_sub(1);
        let moment = &self.moments[last];
        moment.shown + moment.speed * (at - moment.at) as f64
    }

    fn between(&self, span: &Range<u64>) -> f64 {
        self.shown(span.end.max(span.start)) - self.shown(span.start)
    }
}

/// The time of the window with a discard at the disk.
pub fn with_discards(log: &OpLog, window: &Range<u64>) -> u64 {
    covered(window, &log.present(Op::Discard))
}

#[cfg(test)]
mod tests {
    use super::super::plan::Pattern;
    use super::*;

    const MS: u64 = 1_000_000;

    fn record(op: Op, length: u64, arrival: u64, start: u64, end: u64) -> OpRecord {
        OpRecord {
            op,
            offset: 0,
            length,
            arrival_ns: arrival * MS,
            start_ns: Some(start * MS),
            end_ns: Some(end * MS),
            errno: 0,
        }
    }

    fn log(records: Vec<OpRecord>) -> OpLog {
        OpLog {
            taken_ns: 10_000 * MS,
            records,
        }
    }

    fn reader() -> User {
        User {
            name: "reader".to_owned(),
            pattern: Pattern::Reader,
            bytes: 8192,
            burst: 1,
            pause_ms: 1,
        }
    }

    fn truth(at_disk: Vec<OpRecord>, account: Vec<OpRecord>) -> Truth {
        Truth::of(
            &log(at_disk),
            &(0..10_000 * MS),
            &[(&reader(), &log(account))],
        )
    }

    #[test]
    fn waiting_before_the_disk_is_laid_on_the_discard_in_service() {
        let at_disk = vec![
            record(Op::Discard, 0, 0, 0, 50),
            record(Op::Read, 8192, 50, 50, 51),
        ];
        let truth = truth(at_disk, vec![record(Op::Read, 8192, 10, 10, 51)]);
        assert_eq!((truth.slow, truth.slow_by_discards), (1, 1));
        assert!((truth.on_discards_ns - 40e6).abs() < 1.0);
    }

    #[test]
    fn a_slow_disk_with_discards_beside_is_nobodys_fault() {
        let at_disk = vec![
            record(Op::Discard, 0, 0, 0, 50),
            record(Op::Read, 8192, 10, 10, 50),
        ];
        let truth = truth(at_disk, vec![record(Op::Read, 8192, 10, 10, 50)]);
        assert_eq!((truth.slow, truth.slow_by_discards), (1, 0));
        assert_eq!(truth.label(), Label::Innocent);
    }

    #[test]
    fn another_in_service_takes_its_part() {
        let at_disk = vec![
            record(Op::Discard, 0, 0, 0, 50),
            record(Op::Write, 4096, 0, 0, 50),
            record(Op::Read, 8192, 10, 50, 51),
        ];
        let truth = truth(at_disk, vec![record(Op::Read, 8192, 10, 10, 50)]);
        assert!((truth.on_discards_ns - 20e6).abs() < 1.0);
        assert_eq!(truth.label(), Label::Grey);
    }

    #[test]
    fn twenty_such_make_it_guilty() {
        let discards =
            (0..20).map(|turn| record(Op::Discard, 0, turn * 100, turn * 100, turn * 100 + 60));
        let reads = (0..20).map(|turn| {
            record(
                Op::Read,
                8192,
                turn * 100 + 1,
                turn * 100 + 60,
                turn * 100 + 61,
            )
        });
        let account = (0..20).map(|turn| {
            record(
                Op::Read,
                8192,
                turn * 100 + 1,
                turn * 100 + 1,
                turn * 100 + 61,
            )
        });
        let truth = truth(discards.chain(reads).collect(), account.collect());
        assert_eq!(truth.label(), Label::Guilty);
    }
}
