//! The disk's own account of every operation: the truth that nothing else knows.
//!
//! Contract: an operation is entered when it reaches the daemon and stays, finished or not; the
//! text form round-trips. `start - arrival` is waiting for other operations, `end - start` service.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};

use super::op::Op;
use crate::intervals;

const HEADER: &str = "op\toffset\tlength\tarrival_ns\tstart_ns\tend_ns\terrno";
/// More than any run has; it takes memory only for what is entered.
const ROOM: usize = 1 << 22;
const PIECE: usize = 1 << 10;

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpRecord {
    pub op: Op,
    pub offset: u64,
    pub length: u64,
    /// When the daemon took it.
    pub arrival_ns: u64,
    /// When its service began; `None` while it waits for others.
    pub start_ns: Option<u64>,
    /// When it ended; `None` while it is in service.
    pub end_ns: Option<u64>,
    /// 0, or why it failed.
    pub errno: i32,
}

impl OpRecord {
    /// The span from arrival to end; an unfinished one lasts until `now_ns`.
    pub fn span(&self, now_ns: u64) -> Range<u64> {
        self.arrival_ns..self.end_ns.unwrap_or(now_ns)
    }

    /// The span in service; empty while it waits.
    pub fn service(&self, now_ns: u64) -> Range<u64> {
        self.start_ns.unwrap_or(now_ns)..self.end_ns.unwrap_or(now_ns)
    }

    /// Time from arrival to end, of a finished one.
    pub fn total_ns(&self) -> Option<u64> {
        Some(self.end_ns? - self.arrival_ns)
    }

    /// Time from arrival to service: what other operations caused.
    pub fn waited_ns(&self) -> Option<u64> {
        Some(self.start_ns? - self.arrival_ns)
    }

    fn to_line(&self) -> String {
        let optional = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), |ns| ns.to_string());
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}",
            self.op,
            self.offset,
            self.length,
            self.arrival_ns,
            optional(self.start_ns),
            optional(self.end_ns),
            self.errno
        )
    }

    fn from_line(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        ensure!(fields.len() == 7, "not seven fields: `{line}`");
        Ok(Self {
            op: fields[0].parse()?,
            offset: fields[1].parse()?,
            length: fields[2].parse()?,
            arrival_ns: fields[3].parse()?,
            start_ns: optional(fields[4])?,
            end_ns: optional(fields[5])?,
            errno: fields[6].parse()?,
        })
    }
}

fn optional(field: &str) -> Result<Option<u64>> {
    match field {
        "-" => Ok(None),
        number => Ok(Some(number.parse()?)),
    }
}

/// Operations in order of arrival, with the moment the account was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpLog {
    pub taken_ns: u64,
    pub records: Vec<OpRecord>,
}

impl OpLog {
    /// Reads what `to_text` wrote.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let taken = lines.next().and_then(|l| l.strip_prefix("taken_ns\t"));
        let taken_ns = taken.context("no `taken_ns` line")?.parse()?;
        ensure!(lines.next() == Some(HEADER), "no header line");
        let records = lines.map(OpRecord::from_line).collect::<Result<_>>()?;
        Ok(Self { taken_ns, records })
    }

    /// Reads a dumped log.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading the disk's log {}", path.display()))?;
        Self::parse(&text)
    }

    /// The log as tab-separated text.
    pub fn to_text(&self) -> String {
        let mut text = format!("taken_ns\t{}\n{HEADER}\n", self.taken_ns);
        for record in &self.records {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", record.to_line());
        }
        text
    }

    /// The operations of one kind.
    pub fn of(&self, op: Op) -> impl Iterator<Item = &OpRecord> {
        self.records.iter().filter(move |record| record.op == op)
    }

    /// How many operations of one kind arrived.
    pub fn count(&self, op: Op) -> usize {
        self.of(op).count()
    }

    /// The bytes of one kind that arrived.
    pub fn bytes(&self, op: Op) -> u64 {
        self.of(op).map(|record| record.length).sum()
    }

    /// The disjoint spans in which an operation of this kind was at the disk, waiting or served.
    pub fn present(&self, op: Op) -> Vec<Range<u64>> {
        intervals::union(self.of(op).map(|record| record.span(self.taken_ns)))
    }

    /// The disjoint spans in which an operation of this kind was in service.
    pub fn busy(&self, op: Op) -> Vec<Range<u64>> {
        intervals::union(self.of(op).map(|record| record.service(self.taken_ns)))
    }

    /// The operations that were at the disk at some time of the window.
    pub fn within(&self, window: &Range<u64>) -> Self {
        let touches = |record: &&OpRecord| {
            let span = record.span(self.taken_ns);
            span.start < window.end && span.end >= window.start
        };
        Self {
            taken_ns: self.taken_ns,
            records: self.records.iter().filter(touches).cloned().collect(),
        }
    }
}

/// The log while it grows.
#[derive(Debug)]
pub struct Recorder {
    records: Mutex<Vec<OpRecord>>,
    unfinished: AtomicUsize,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            records: Mutex::new(Vec::with_capacity(ROOM)),
            unfinished: AtomicUsize::new(0),
        }
    }
}

impl Recorder {
    /// Enters an arrival; the index names it from now on.
    pub fn arrive(&self, op: Op, offset: u64, length: u64, now_ns: u64) -> usize {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        let mut records = self.records();
        records.push(OpRecord {
            op,
            offset,
            length,
            arrival_ns: now_ns,
            start_ns: None,
            end_ns: None,
            errno: 0,
        });
        records.len() - 1
    }

    /// Stamps the start of service.
    pub fn start(&self, index: usize, now_ns: u64) {
        if let Some(record) = self.records().get_mut(index) {
            record.start_ns = Some(now_ns);
        }
    }

    /// Stamps the end.
    pub fn end(&self, index: usize, now_ns: u64, errno: i32) {
        self.unfinished.fetch_sub(1, Ordering::Relaxed);
        if let Some(record) = self.records().get_mut(index) {
            record.end_ns = Some(now_ns);
            record.errno = errno;
        }
    }

    /// The account so far, copied piece by piece so that nobody waits for it.
    pub fn take(&self, now_ns: u64) -> OpLog {
        let mut copied = Vec::with_capacity(self.counts().0);
        loop {
            let records = self.records();
            let rest = &records[copied.len()..];
            if rest.is_empty() {
                break;
            }
            copied.extend_from_slice(&rest[..rest.len().min(PIECE)]);
        }
        OpLog {
            taken_ns: now_ns,
            records: copied,
        }
    }

    /// How many operations arrived, and how many of them are unfinished.
    pub fn counts(&self) -> (usize, usize) {
        let unfinished = self.unfinished.load(Ordering::Relaxed);
        (self.records().len(), unfinished)
    }

    fn records(&self) -> MutexGuard<'_, Vec<OpRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> OpLog {
        let recorder = Recorder::default();
        let served = recorder.arrive(Op::Read, 4096, 512, 10);
        let waiting = recorder.arrive(Op::Discard, 0, 1 << 20, 12);
        recorder.start(served, 15);
        recorder.end(served, 35, 5);
        assert_eq!(waiting, 1);
        recorder.take(50)
    }

    #[test]
    fn text_round_trips_with_unfinished_operations() {
        let log = sample();
        assert_eq!(OpLog::parse(&log.to_text()).unwrap(), log);
        assert_eq!(log.records[0].waited_ns(), Some(5));
        assert_eq!(log.records[0].total_ns(), Some(25));
        assert_eq!(log.records[1].total_ns(), None);
    }

    #[test]
    fn unfinished_operations_last_until_the_account() {
        let log = sample();
        let bounds = |spans: Vec<Range<u64>>| {
            let pairs = spans.into_iter().map(|span| (span.start, span.end));
            pairs.collect::<Vec<_>>()
        };
        assert_eq!(bounds(log.present(Op::Discard)), [(12, 50)]);
        assert!(log.busy(Op::Discard).is_empty());
        assert_eq!(bounds(log.busy(Op::Read)), [(15, 35)]);
    }

    #[test]
    fn windows_keep_what_touches_them() {
        let log = sample();
        assert_eq!(log.within(&(40..45)).records.len(), 1);
        assert_eq!(log.within(&(0..11)).records.len(), 1);
        assert_eq!(log.within(&(30..45)).records.len(), 2);
        assert_eq!(log.bytes(Op::Read), 512);
        assert_eq!(log.count(Op::Write), 0);
    }

    #[test]
    fn foreign_text_is_refused() {
        for text in ["", "taken_ns\t1\n", "taken_ns\t1\nop\n", "x\ty\n"] {
            assert!(OpLog::parse(text).is_err(), "{text:?}");
        }
        let bad = format!("taken_ns\t1\n{HEADER}\nread\t1\t2\n");
        assert!(OpLog::parse(&bad).is_err());
    }
}
