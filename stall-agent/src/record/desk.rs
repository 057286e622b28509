//! The recorder on a thread of its own: the run hands it slices and waits for nothing.
//!
//! Contract: when it is busy for long, slices that come meanwhile become one; an internal error costs what it was at.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::line::Line;
use super::metrics::Metrics;
use super::recorder::{Heard, Keeper, Outcome, Recorder};
use crate::collect::clock;
use crate::file;
use crate::live::{Judge, Pace};
use crate::output::{self, Folder};
use crate::progress::{Verbosity, sanitize, say};
use stall_host::HostRoot;
use stall_report::Report;

/// Of one CPU's time it takes one part in so many.
const PART: u32 = 100;
/// But as often as this while something looks slow: a replica is given up after 8 s.
const SELDOM: Duration = Duration::from_secs(2);
/// To write a report.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);
/// Metrics are written so often, and a disk has so long for them.
const METRICS_EVERY: Duration = Duration::from_secs(15);
const METRICS_WITHIN: Duration = Duration::from_secs(2);
/// The lines of all incidents, in the directory.
pub const LINES: &str = "incidents.jsonl";
/// Slices that may wait.
const WAITING: usize = 8;
/// For what is under way to be written at the end.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// The run's end of it.
pub struct Desk {
    slices: Option<SyncSender<(Heard, Duration)>>,
    /// What it had no room for.
    waits: Option<(Heard, Duration)>,
    shared: Arc<Shared>,
    ended: Receiver<()>,
}

struct Shared {
    is_open: AtomicBool,
    pace: Mutex<Pace>,
}

impl Desk {
    /// Begins.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn begin(
        recorder: Recorder,
        root: &HostRoot,
        folder: Folder,
        metrics: Option<MetricsFile>,
        verbosity: Verbosity,
    ) -> io::Result<Self> {
        let (slices, given) = mpsc::sync_channel(WAITING);
        let (open, ended) = mpsc::channel::<()>();
        let shared = Arc::new(Shared {
            is_open: AtomicBool::new(false),
            pace: Mutex::new(Pace::of(PART, SELDOM)),
        });
        let of_thread = Arc::clone(&shared);
        let judge = Judge::new(root);
        let work = move || {
            sit(
                Told { recorder, judge },
                (&folder, verbosity),
                metrics,
                &given,
                &of_thread,
            );
            drop(open);
        };
        thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(work)?;
        Ok(Self {
            slices: Some(slices),
            waits: None,
            shared,
            ended,
        })
    }

    /// Whether an incident is under way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.is_open.load(Ordering::Relaxed)
    }

    /// Whether there is time for another look.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.waits.is_none() && locked(&self.shared.pace).is_ready(Instant::now())
    }

    /// Hands over a slice, which took so long to make.
    pub fn hand(&mut self, heard: Heard, took: Duration) {
        let all = match self.waits.take() {
            Some((before, of_it)) => (joined(before, heard), took + of_it),
            None => (heard, took),
        };
        let Some(slices) = &self.slices else { return };
        locked(&self.shared.pace).begin();
        if let Err(TrySendError::Full(all)) = slices.try_send(all) {
            self.waits = Some(all);
        }
    }

    /// Whether its thread is there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !matches!(self.ended.try_recv(), Err(mpsc::TryRecvError::Disconnected))
    }

    /// Ends it; what is under way is written first.
    pub fn end(mut self) {
        drop(self.slices.take());
        let _ = self.ended.recv_timeout(ENDS_WITHIN);
    }
}

fn joined(before: Heard, next: Heard) -> Heard {
    let Heard {
        mut slice,
        frame,
        judged,
        mut folded,
        asked,
    } = before;
    slice.rename(&next.folded);
    slice.join(next.slice);
    folded.extend(next.folded);
    Heard {
        slice,
        frame: next.frame.or(frame),
        judged: judged || next.judged,
        folded,
        asked: asked || next.asked,
    }
}

/// The recorder, and who names what it judges.
struct Told {
    recorder: Recorder,
    judge: Judge,
}

fn sit(
    told: Told,
    (folder, verbosity): (&Folder, Verbosity),
    metrics: Option<MetricsFile>,
    given: &Receiver<(Heard, Duration)>,
    shared: &Shared,
) {
    let Told {
        mut recorder,
        mut judge,
    } = told;
    let mut files = Files(folder);
    let mut metrics = metrics.map(Meter::new);
    for (heard, read) in given {
        let begin = Instant::now();
        let is_judged = heard.judged;
        if let Some((meter, names)) = metrics.as_mut().zip(recorder.names()) {
            meter.metrics.count(&heard.slice, names);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            recorder.hear(heard, &mut |look| judge.named(look), &mut files)
        }));
        if let Some(meter) = &mut metrics {
            let line = outcome
                .as_ref()
                .ok()
                .and_then(|outcome| outcome.line.as_ref());
            meter.write(line);
        }
        tell(outcome.ok(), folder, verbosity);
        shared.is_open.store(recorder.is_open(), Ordering::Relaxed);
        let took = if is_judged {
            read + begin.elapsed()
        } else {
            Duration::ZERO
        };
        locked(&shared.pace).done(Instant::now(), took);
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        recorder.end(&mut |look| judge.named(look), &mut files)
    }));
    tell(outcome.ok(), folder, verbosity);
}

/// Tells what came of it on stderr; `None` is a panic, which was told.
fn tell(outcome: Option<Outcome>, folder: &Folder, verbosity: Verbosity) {
    let Some(outcome) = outcome else { return };
    for error in &outcome.failed {
        say(&format!(
            "stall-agent: an incident could not be written to {} ({}): make room there",
            folder.path().display(),
            file::reason(error)
        ));
    }
    if let Some(line) = outcome.line.filter(|_| verbosity != Verbosity::Quiet) {
        say(&sanitize(&in_words(&line)));
    }
}

fn in_words(line: &Line) -> String {
    let what = match (&line.file, line.count) {
        (Some(file), _) => file.clone(),
        (None, count) => format!("number {count} of its kind, told in a line only"),
    };
    format!("incident {}: {} ({what})", line.id, line.sentence)
}

/// Where the metrics go.
#[derive(Debug)]
pub struct MetricsFile {
    pub folder: Folder,
    pub name: String,
}

/// The metrics, written now and then.
struct Meter {
    metrics: Metrics,
    file: MetricsFile,
    written: Option<Instant>,
    has_failed: bool,
}

impl Meter {
    fn new(file: MetricsFile) -> Self {
        Self {
            metrics: Metrics::default(),
            file,
            written: None,
            has_failed: false,
        }
    }

    fn write(&mut self, line: Option<&Line>) {
        if let Some(line) = line {
            let now = clock::realtime_ns() as f64 / 1e9;
            self.metrics.incident(line, now);
        }
        let is_due = self
            .written
            .is_none_or(|last| last.elapsed() >= METRICS_EVERY);
        if self.has_failed || !(is_due || line.is_some()) {
            return;
        }
        self.written = Some(Instant::now());
        let text = self.metrics.text();
        let document = |writer: &mut dyn io::Write| writer.write_all(text.as_bytes());
        let written = self
            .file
            .folder
            .write_for_all(&self.file.name, &document, METRICS_WITHIN);
        if let Err(error) = written {
            // Its disk may be the one that hangs: nothing else waits for it again.
            self.has_failed = error.kind() == io::ErrorKind::TimedOut;
            say(&format!(
                "stall-agent: the metrics could not be written to {} ({}): make room there, or give another --metrics",
                self.file.folder.path().display(),
                file::reason(&error)
            ));
        }
    }
}

struct Files<'a>(&'a Folder);

impl Keeper for Files<'_> {
    fn report(&mut self, name: &str, report: &Report) -> io::Result<u64> {
        self.0
            .write(name, &output::json(report, false), WRITTEN_WITHIN)
    }

    fn lines(&mut self, text: &str) -> io::Result<()> {
        let document = |writer: &mut dyn io::Write| writer.write_all(text.as_bytes());
        self.0.write(LINES, &document, WRITTEN_WITHIN).map(drop)
    }

    fn remove(&mut self, name: &str) {
        // It may have been removed by somebody else.
        let _ = self.0.remove(name);
    }
}

fn locked(pace: &Mutex<Pace>) -> MutexGuard<'_, Pace> {
    pace.lock().unwrap_or_else(PoisonError::into_inner)
}
