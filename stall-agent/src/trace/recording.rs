//! A run that does not end: the recorder's. It is started as any other, and hands what happened on in slices.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::guard::{Guard, Part};
use super::rolling::{Rolling, is_suspicious};
use super::session::Session;
use super::signals::Signals;
use super::sources::{Sources, drain, logged, ready, ticks};
use super::start;
use crate::config;
use crate::confine::memory;
use crate::failure::Failure;
use crate::kernel::support;
use crate::output::Folder;
use crate::progress::{Verbosity, say};
use crate::record::book::Book;
use crate::record::desk::{Desk, MetricsFile};
use crate::record::notify::Notify;
use crate::record::recorder::{Heard, Recorder};

/// A look at all maps at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Disks and processes that do nothing are looked for so often.
const REFRESH_EVERY: Duration = Duration::from_secs(300);
/// Names are handed on at least so often.
const NAMES_EVERY: Duration = Duration::from_secs(60);
/// What judging takes at a time, of the memory that is locked.
const JUDGING_BYTES: u64 = 12 << 20;
/// The least that the last minutes need.
const LEAST_RING_BYTES: u64 = 4 << 20;

/// Where incidents go, and those there are.
#[derive(Debug)]
pub struct Keeping {
    pub folder: Folder,
    pub book: Book,
    pub metrics: Option<MetricsFile>,
}

/// Records until it is told to end. `started` is when the process began.
///
/// # Errors
///
/// When nothing could be attached, or the memory does not suffice.
pub fn record(
    config: &config::Record,
    started: Instant,
    keeping: Keeping,
    notify: &Notify,
) -> Result<(), Failure> {
    let facts = support::facts()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other("no event loop", &error))?;
    let _context = runtime.enter();
    // Before anything is attached: from here on a signal ends the window, not the process.
    let signals = Signals::new()?;
    let ask = signal(SignalKind::user_defined1());
    let ask = ask.map_err(|error| Failure::other("no signal handler", &error))?;
    let (session, sources) = start::start(&config.trace, &facts, started, true, &[])?;
    let Keeping {
        folder,
        book,
        metrics,
    } = keeping;
    let ring_bytes = ring_bytes(config.memory_bytes)?;
    if config.trace.verbosity != Verbosity::Quiet {
        tell_begin(folder.path());
    }
    let recorder = Recorder::new(ring_bytes, book);
    let verbosity = config.trace.verbosity;
    let desk = Desk::begin(
        recorder,
        &config.trace.host_root,
        folder,
        metrics,
        verbosity,
    );
    let desk = desk.map_err(|error| Failure::other("no thread", &error))?;
    notify.ready("recording");
    let rolling = Rolling::new(session.window.start_ns);
    let mut recording = Recording {
        session,
        sources,
        rolling,
        desk,
        suspicious: false,
        asked: false,
        looked: Instant::now(),
        named: None,
        refreshed: Instant::now(),
    };
    let interval = config.trace.interval;
    runtime.block_on(recording.until_ended(interval, signals, ask, notify));
    notify.stopping();
    recording.end();
    Ok(())
}

fn tell_begin(directory: &Path) {
    say(&format!(
        "stall-agent: recording; incidents go to {}: stall-agent incidents lists them",
        directory.display()
    ));
}

/// What of the memory is for the last minutes: all but what the process has locked by now and what judging takes.
fn ring_bytes(memory_bytes: u64) -> Result<usize, Failure> {
    let own = memory::locked_bytes().unwrap_or(0) + JUDGING_BYTES;
    let left = memory_bytes.saturating_sub(own);
    if left < LEAST_RING_BYTES {
        let least = (own + LEAST_RING_BYTES).div_ceil(1 << 20);
        return Err(Failure::Usage(format!(
            "--memory is too little for this host: give at least {least}MiB"
        )));
    }
    Ok(usize::try_from(left).unwrap_or(usize::MAX))
}

struct Recording {
    session: Session,
    sources: Sources,
    rolling: Rolling,
    desk: Desk,
    /// Since the last look.
    suspicious: bool,
    asked: bool,
    looked: Instant,
    named: Option<Instant>,
    refreshed: Instant,
}

impl Recording {
    async fn until_ended(
        &mut self,
        interval: Duration,
        mut signals: Signals,
        mut ask: Signal,
        notify: &Notify,
    ) {
        let mut before = |_: Part| {};
        let mut guard = Guard::new(&mut before);
        let mut ticks = ticks(interval);
        let mut more = false;
        loop {
            let (session, sources) = (&mut self.session, &mut self.sources);
            tokio::select! {
                biased;
                to_end = signals.end() => {
                    if to_end {
                        return;
                    }
                }
                _ = ask.recv() => self.asked = true,
                _ = ticks.tick() => {
                    more = drain(session, sources, &mut guard);
                    self.tick(&mut guard);
                    // Systemd starts one anew that does not say so for a while.
                    if self.desk.is_alive() {
                        notify.alive();
                    }
                }
                () = ready(&mut sources.records, more) => {
                    more = drain(session, sources, &mut guard);
                }
                () = logged(sources.logs.as_mut()) => {}
            }
        }
    }

    fn tick(&mut self, guard: &mut Guard<'_>) {
        let session = &mut self.session;
        let ticked = guard.part(Part::Interval, || session.tick(None));
        let (found, folded) = ticked.unwrap_or_default();
        self.rolling.fold(folded);
        self.suspicious |= is_suspicious(session, &found);
        if self.refreshed.elapsed() >= REFRESH_EVERY {
            self.refreshed = Instant::now();
            session.inventory.refresh(&session.host_root);
            session.host_disks.refresh(&session.disks);
        }
        let is_judged = self.suspicious || self.asked || self.desk.is_open();
        let is_due = self.asked || self.looked.elapsed() >= LOOK_EVERY;
        let is_wanted = is_due || is_judged && self.desk.is_ready();
        if !is_wanted {
            return;
        }
        let is_named = is_judged || self.named.is_none_or(|last| last.elapsed() >= NAMES_EVERY);
        if is_named {
            self.named = Some(Instant::now());
        }
        let begin = Instant::now();
        let rolling = &mut self.rolling;
        let looked = guard.part(Part::Showing, || {
            let (slice, folded) = rolling.look(session, &found)?;
            let frame = is_named.then(|| rolling.frame(session)).transpose()?;
            anyhow::Ok((slice, folded, frame))
        });
        // A map that cannot be read now is read at the next look.
        let Some(Ok((slice, folded, frame))) = looked else {
            return;
        };
        let heard = Heard {
            slice,
            frame,
            judged: is_judged,
            folded,
            asked: std::mem::take(&mut self.asked),
        };
        self.desk.hand(heard, begin.elapsed());
        self.suspicious = false;
        self.looked = Instant::now();
    }

    fn end(mut self) {
        self.session.quiet();
        self.session.attached.detach();
        self.desk.end();
    }
}

/// What the lines of earlier incidents are, if there are any.
///
/// # Errors
///
/// When they are there and cannot be read.
pub fn earlier(directory: &Path) -> io::Result<Book> {
    match std::fs::read_to_string(directory.join(crate::record::desk::LINES)) {
        Ok(text) => Ok(Book::read(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Book::default()),
        Err(error) => Err(error),
    }
}
