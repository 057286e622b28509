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
mod session;
mod so_far;
mod sources;
mod start;
mod view;
mod waits;

use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep_until};

use crate::config;
use crate::failure::Failure;
use crate::kernel::support::{self, Facts};
use crate::live::Screen;
use crate::probe::sizes::Limits;
use guard::Guard;
pub use guard::Part;
use session::Session;
use sources::{KernelLog, Sources, drain};
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

/// The signals that end the window, and the one that tells of another size of the terminal.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    resize: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::other("no signal handler", &error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            resize: listen(SignalKind::window_change())?,
        })
    }

    /// Whether the window is to end; false is that the terminal may have another size.
    async fn end(&mut self) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => true,
            _ = self.hang_up.recv() => true,
            _ = self.resize.recv() => false,
        }
    }
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
                    shown.show(session, &found.unwrap_or_default(), guard);
                }
                () = ready(&mut sources.records, more) => {
                    more = drain(session, sources, guard);
                }
                () = logged(sources.logs.as_mut()) => {}
            }
        }
    }
}

/// Once there are records, at once when there are `more`. Readiness is taken back first: what comes while they are read makes the
/// ring ready again.
async fn ready(records: &mut AsyncFd<RingBuf<MapData>>, more: bool) {
    if more {
        // So that whoever else waits is asked, and the runtime sees what has come.
        return tokio::task::yield_now().await;
    }
    match records.readable_mut().await {
        Ok(mut guard) => guard.clear_ready(),
        // Ticks read the ring, too.
        Err(_) => std::future::pending().await,
    }
}

/// Passes the programs' log lines on, once there are some.
async fn logged(logs: Option<&mut AsyncFd<KernelLog>>) {
    let Some(logs) = logs else {
        return std::future::pending().await;
    };
    match logs.readable_mut().await {
        Ok(mut guard) => {
            guard.clear_ready();
            guard.get_inner_mut().flush();
        }
        Err(_) => std::future::pending().await,
    }
}

fn ticks(interval: Duration) -> Interval {
    let mut ticks = interval_at(tokio::time::Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

async fn at(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end.into()).await,
        None => std::future::pending().await,
    }
}
