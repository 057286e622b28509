//! The recorder: slices in, incidents out. Pure but for what it is given: a clock is in the slices, names come with them, and what
//! is to be written goes to a [`Keeper`]. A week is played in a test through this very code.
//!
//! Contract: what begins an incident and what it is told as are judged by the same [`stall_analysis::analyze`].

use std::collections::BTreeMap;
use std::io;

use stall_analysis::comparison::{self, OutcomeKind};
use stall_capture::{Capture, Packed};
use stall_report::Report;

use super::book::Book;
use super::cut::{Frame, cut};
use super::line::{self, Line, Proof, ProofKind, SCHEMA, State};
use super::ring::Ring;
use super::slice::Slice;
use super::storm::{Keep, Storms};
use super::watch::{Incident, Step, Trigger, Trouble, Watch, troubles};
use crate::live::Look;

const SECOND_NS: u64 = 1_000_000_000;
/// What is judged for trouble: the last so long.
pub const JUDGED_NS: u64 = 10 * SECOND_NS;

/// Where incidents are kept.
pub trait Keeper {
    /// Writes a report atomically; the bytes of it.
    ///
    /// # Errors
    ///
    /// When it could not.
    fn report(&mut self, name: &str, report: &Report) -> io::Result<u64>;
    /// Writes all lines, in place of those before.
    ///
    /// # Errors
    ///
    /// When it could not.
    fn lines(&mut self, text: &str) -> io::Result<()>;
    /// Removes a report.
    fn remove(&mut self, name: &str);
}

/// Gives stacks and control groups their names.
pub type Naming<'a> = &'a mut dyn FnMut(Look) -> Capture;

/// What is handed to the recorder with a slice.
#[derive(Debug)]
pub struct Heard {
    pub slice: Slice,
    /// Names of now.
    pub frame: Option<Frame>,
    /// There may be trouble: it is to be judged.
    pub judged: bool,
    /// Actors told of by another's id from now on.
    pub folded: BTreeMap<u32, u32>,
    /// Somebody asked for an incident.
    pub asked: bool,
}

/// What came of a slice.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The incident that was written.
    pub line: Option<Line>,
    /// An incident has begun.
    pub began: bool,
    /// What could not be written.
    pub failed: Vec<io::Error>,
}

/// All of it.
#[derive(Debug)]
pub struct Recorder {
    ring: Ring,
    watch: Watch,
    storms: Storms,
    book: Book,
    frame: Option<Frame>,
    /// Name of the incident that is under way, once it was told of.
    id: Option<String>,
}

impl Recorder {
    /// Nothing seen yet, in so much memory, with the incidents there were before.
    #[must_use]
    pub fn new(budget_bytes: usize, book: Book) -> Self {
        Self {
            ring: Ring::within(budget_bytes),
            watch: Watch::default(),
            storms: Storms::default(),
            book,
            frame: None,
            id: None,
        }
    }

    /// Whether names are wanted with each slice.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.watch.is_open()
    }

    #[must_use]
    pub const fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The last names that came.
    #[must_use]
    pub fn names(&self) -> Option<&Capture> {
        self.frame.as_ref().map(|frame| &frame.capture)
    }

    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Takes in a slice.
    pub fn hear(&mut self, heard: Heard, naming: Naming<'_>, keeper: &mut dyn Keeper) -> Outcome {
        let Heard {
            slice,
            frame,
            judged,
            folded,
            asked,
        } = heard;
        let now_ns = slice.end_ns;
        if !folded.is_empty() {
            self.ring.rename(&folded);
        }
        self.ring.push(slice);
        if frame.is_some() {
            self.frame = frame;
        }
        let mut found = Vec::new();
        if judged && let Some((capture, report)) = self.last_seconds(now_ns, naming) {
            found = troubles(&capture, &report);
        }
        if asked {
            found.push(Trouble {
                trigger: Trigger::Asked,
                since_ns: now_ns,
                until_ns: now_ns,
            });
        }
        let mut outcome = Outcome::default();
        match self.watch.look(now_ns, &found) {
            Step::Nothing => {}
            Step::Began => outcome.began = true,
            Step::Early(incident) => {
                let id = self.id.clone();
                self.early(&incident, id, now_ns, naming, keeper, &mut outcome);
            }
            Step::Ended(incident) => {
                let id = self.id.take();
                self.ended(&incident, id, now_ns, naming, keeper, &mut outcome);
            }
        }
        outcome
    }

    /// The recorder ends: what is under way is told as far as it went.
    pub fn end(&mut self, naming: Naming<'_>, keeper: &mut dyn Keeper) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(incident) = self.watch.end() {
            let id = self.id.take();
            let now_ns = self.ring.end_ns().unwrap_or(incident.ended_ns);
            self.ended(&incident, id, now_ns, naming, keeper, &mut outcome);
        }
        outcome
    }

    /// What has been in the last so long, as a capture of its own.
    #[must_use]
    pub fn last(&self, from_ns: u64, frame: &Frame, naming: Naming<'_>) -> Option<Capture> {
        cut(&self.ring, from_ns, u64::MAX, frame).map(naming)
    }

    fn last_seconds(&self, now_ns: u64, naming: Naming<'_>) -> Option<(Capture, Report)> {
        let from_ns = now_ns.saturating_sub(JUDGED_NS);
        let look = cut(&self.ring, from_ns, now_ns, self.frame.as_ref()?)?;
        let capture = naming(look);
        let report = stall_analysis::analyze(&capture);
        Some((capture, report))
    }

    /// While it is under way: what there is so far.
    fn early(
        &mut self,
        incident: &Incident,
        id: Option<String>,
        now_ns: u64,
        naming: Naming<'_>,
        keeper: &mut dyn Keeper,
        outcome: &mut Outcome,
    ) {
        let Some((report, mut line)) = self.told(incident, id, now_ns, naming) else {
            return;
        };
        let was_asked = incident.triggers.contains(&Trigger::Asked);
        if !was_asked && self.storms.is_known(&line.fingerprint, now_ns) {
            return;
        }
        line.state = State::Open;
        line.proof = None;
        self.id = Some(line.id.clone());
        self.write(line, Some(&report), keeper, outcome);
    }

    fn ended(
        &mut self,
        incident: &Incident,
        id: Option<String>,
        now_ns: u64,
        naming: Naming<'_>,
        keeper: &mut dyn Keeper,
        outcome: &mut Outcome,
    ) {
        let was_told = id.is_some();
        let Some((report, mut line)) = self.told(incident, id, now_ns, naming) else {
            return;
        };
        let (keep, count) = self.storms.decide(&line.fingerprint, now_ns);
        line.count = count;
        // What is there already, or was asked for, stays whole.
        let whole = keep == Keep::Whole || was_told || incident.triggers.contains(&Trigger::Asked);
        self.write(line, whole.then_some(&report), keeper, outcome);
    }

    /// The report on an incident until now, and its line.
    fn told(
        &self,
        incident: &Incident,
        id: Option<String>,
        now_ns: u64,
        naming: Naming<'_>,
    ) -> Option<(Report, Line)> {
        let frame = self.frame.as_ref()?;
        let mut of = |from_ns, to_ns| cut(&self.ring, from_ns, to_ns, frame).map(&mut *naming);
        let whole = of(incident.from_ns, now_ns)?;
        let (began_ns, ended_ns) = (incident.began_ns, incident.ended_ns);
        let mut report = stall_analysis::analyze(&whole);
        let during = of(began_ns, ended_ns.max(began_ns + 1));
        let judged = during.as_ref().map(stall_analysis::analyze);
        // Ten minutes may make little of a few seconds: the verdict is that of the trouble itself.
        if let Some(judged) = judged.filter(|judged| !judged.verdict.episodes.is_empty()) {
            report.verdict = judged.verdict;
        }
        let over_ns = during.as_ref().map(|during| during.window.end_ns);
        let after = over_ns.and_then(|over_ns| of(over_ns, now_ns));
        let both = during.zip(after).filter(|_| !incident.goes_on);
        let proof = both.and_then(|(during, after)| proof(&report, &during, &after));
        report.capture = Packed::new(&whole);
        let line = describe(incident, id, &whole, &report, proof);
        Some((report, line))
    }

    fn write(
        &mut self,
        mut line: Line,
        report: Option<&Report>,
        keeper: &mut dyn Keeper,
        outcome: &mut Outcome,
    ) {
        if let Some(report) = report {
            let name = format!("{}.json", line.id);
            match keeper.report(&name, report) {
                Ok(bytes) => (line.file, line.file_bytes) = (Some(name), Some(bytes)),
                Err(error) => outcome.failed.push(error),
            }
        }
        let removed = self.book.add(line.clone());
        let written = self.book.text().map_err(io::Error::from);
        // First the lines: a line never names a file that is gone.
        if let Err(error) = written.and_then(|text| keeper.lines(&text)) {
            outcome.failed.push(error);
        }
        removed.iter().for_each(|name| keeper.remove(name));
        outcome.line = Some(line);
    }
}

/// The same disk during it and after it, by the rules of the comparison.
fn proof(report: &Report, during: &Capture, after: &Capture) -> Option<Proof> {
    if report.verdict.culprits.is_empty() {
        return None;
    }
    let verdict = comparison::compare(during, after).verdict;
    Some(Proof {
        kind: match verdict.kind {
            OutcomeKind::Confirmed => ProofKind::ProvenByItsEnd,
            OutcomeKind::NotConfirmed => ProofKind::NotProven,
            OutcomeKind::NotComparable => ProofKind::CorrelatedOnly,
        },
        sentence: verdict.sentence,
    })
}

fn describe(
    incident: &Incident,
    id: Option<String>,
    whole: &Capture,
    report: &Report,
    proof: Option<Proof>,
) -> Line {
    let window = &whole.window;
    let wall = |monotonic_ns: u64| {
        let since = monotonic_ns.saturating_sub(window.start_ns);
        let unix_ns = window.start_unix_ns.saturating_add_unsigned(since);
        wall(unix_ns)
    };
    let (culprits, victims) = line::who(report);
    let fingerprint = line::fingerprint(report, &culprits);
    let lost = report.verdict.episodes.iter().map(|one| one.lost_ns);
    let began = wall(incident.began_ns);
    Line {
        schema: SCHEMA.to_owned(),
        id: id.unwrap_or_else(|| name(&began)),
        from: wall(window.start_ns),
        to: wall(window.end_ns),
        ended: wall(incident.ended_ns),
        began,
        state: if incident.goes_on {
            State::CutShort
        } else {
            State::Ended
        },
        triggers: incident.triggers.clone(),
        fingerprint,
        kind: report.verdict.kind,
        confidence: report.verdict.confidence,
        device: report.verdict.device.clone(),
        culprits,
        victims,
        lost_ns: lost.fold(0, u64::saturating_add),
        sentence: report.verdict.sentence.clone(),
        proof,
        file: None,
        file_bytes: None,
        count: 1,
    }
}

/// RFC 3339, UTC, to the millisecond.
fn wall(unix_ns: i64) -> String {
    let since = std::time::Duration::from_nanos(unix_ns.max(0).unsigned_abs());
    let time = std::time::SystemTime::UNIX_EPOCH + since;
    humantime::format_rfc3339_millis(time).to_string()
}

/// `20261130T153024.120Z`: no other incident of this recorder begins in the same millisecond.
fn name(began: &str) -> String {
    began.replace(['-', ':'], "")
}
