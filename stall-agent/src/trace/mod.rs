//! One run: attach, watch until the window ends, read everything, say what was seen.
//!
//! Whatever ends the window early (SIGINT, SIGTERM, SIGHUP, leaving the view, an error while reading), what was
//! collected until then becomes the capture.

mod background;
mod disks;
mod finish;
mod guard;
mod held_signals;
mod inventory;
pub mod recording;
mod rolling;
mod session;
mod signals;
mod so_far;
mod sources;
mod start;
mod view;
mod waits;

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::config;
use crate::failure::Failure;
use crate::kernel::support::{self, Facts};
use crate::live::Screen;
use crate::probe::sizes::Limits;
use guard::Guard;
pub use guard::Part;
use session::Session;
use signals::Signals;
use sources::{Sources, drain, logged, ready, ticks};
use stall_capture::Capture;
use view::View;

/// What a run may do to its process, and what the process wants to know of the run.
pub struct Embedding<'a> {
    /// Gives up what the process does not need once the hooks are attached: for a process that traces and nothing else.
    pub confine: bool,
    /// Called when a part of the run begins; a panic in it is one of that part.
    pub before: &'a mut dyn FnMut(Part),
    /// Elements of maps that are to have others than they would: none, unless it is to be seen what a full map does.
    pub limits: Limits,
}

/// Runs a trace. `started` is when the process began.
///
/// # Errors
///
/// When nothing could be attached, or the result not be read.
pub fn run(
    config: &config::Trace,
    started: Instant,
    within: Embedding<'_>,
) -> Result<Capture, Failure> {
    run_with(config, &support::facts()?, started, within)
}

/// Runs a trace on what is said of the kernel: less than it has gives a report that lacks the rest.
///
/// # Errors
///
/// As for [`run`].
pub fn run_with(
    config: &config::Trace,
    facts: &Facts,
    started: Instant,
    within: Embedding<'_>,
) -> Result<Capture, Failure> {
    let Embedding {
        confine,
        before,
        limits,
    } = within;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other("no event loop", &error))?;
    let _context = runtime.enter();
    // Before anything is attached: from here on a signal ends the window, not the process.
    let mut signals = Signals::new()?;
    // Before what it takes is given up.
    let screen = config.live.then(Screen::open).transpose()?;
    let (mut session, mut sources) = start::start(config, facts, started, confine, limits)?;
    let mut guard = Guard::new(before);
    let watched = guard.nested(Part::Waiting, |guard| {
        let end = config.duration.map(|duration| Instant::now() + duration);
        let shown = View::begin(screen, config, end);
        let mut watched = Watched {
            session: &mut session,
            sources: &mut sources,
            shown,
        };
        runtime.block_on(watched.until(end, config.interval, &mut signals, guard))
    });
    finish::finish(session, sources, watched.unwrap_or(true), guard)
}

/// A run while its window is open.
struct Watched<'a> {
    session: &'a mut Session,
    sources: &'a mut Sources,
    shown: View,
}

impl Watched<'_> {
    /// Until the duration is over (false), or a signal comes or the view is left (true).
    async fn until(
        &mut self,
        end: Option<Instant>,
        interval: Duration,
        signals: &mut Signals,
        guard: &mut Guard<'_>,
    ) -> bool {
        let mut ticks = ticks(interval);
        let Self {
            session,
            sources,
            shown,
        } = self;
        let mut more = false;
        loop {
            tokio::select! {
                biased;
                to_end = signals.end() => {
                    if to_end {
                        return true;
                    }
                    shown.redraw();
                }
                () = at(end) => return false,
                () = shown.left() => return true,
                _ = ticks.tick() => {
                    more = drain(session, sources, guard);
                    let found = guard.part(Part::Interval, || session.tick(end));
                    shown.show(session, &found.unwrap_or_default().0, guard);
                }
                () = ready(&mut sources.records, more) => {
                    more = drain(session, sources, guard);
                }
                () = logged(sources.logs.as_mut()) => {}
            }
        }
    }
}

async fn at(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end.into()).await,
        None => std::future::pending().await,
    }
}
