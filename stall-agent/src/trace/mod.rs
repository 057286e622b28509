//! One run: attach, watch until the window ends, read everything, say what was seen.
//!
//! Whatever ends the window early (SIGINT, SIGTERM, SIGHUP, an error while reading), what was
//! collected until then becomes the capture.

mod aside;
mod disks;
mod finish;
mod guard;
mod inventory;
mod session;
mod start;
mod undisturbed;

use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep_until};

use crate::capture::Capture;
use crate::config;
use crate::failure::Failure;
use crate::kernel::support::{self, Facts};
use crate::probe::sizes::Limits;
use guard::Guard;
pub use guard::Part;
use session::Session;
use start::{KernelLog, Sources};

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
        .map_err(|error| other("no event loop", &error))?;
    let _context = runtime.enter();
    // Before anything is attached: from here on a signal ends the window, not the process.
    let mut signals = Signals::new()?;
    let (mut session, mut sources) = start::start(config, facts, started, confine, limits)?;
    let mut guard = Guard::new(before);
    let watched = guard.nested(Part::Waiting, |guard| {
        runtime.block_on(watch(
            &mut session,
            &mut sources,
            config,
            &mut signals,
            guard,
        ))
    });
    finish::finish(session, sources, watched.unwrap_or(true), guard)
}

/// The signals that end the window.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| other("no signal handler", &error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// Until the duration is over (false) or a signal comes (true).
async fn watch(
    session: &mut Session,
    sources: &mut Sources,
    config: &config::Trace,
    signals: &mut Signals,
    guard: &mut Guard<'_>,
) -> bool {
    let mut ticks = ticks(config.interval);
    let end = config.duration.map(|duration| Instant::now() + duration);
    loop {
        tokio::select! {
            biased;
            () = signals.any() => return true,
            () = at(end) => return false,
            _ = ticks.tick() => {
                drain(session, sources, guard);
                guard.part(Part::Interval, || session.tick(end));
            }
            () = ready(&mut sources.records) => drain(session, sources, guard),
            () = logged(sources.logs.as_mut()) => {}
        }
    }
}

/// Takes in the records that are there.
fn drain(session: &mut Session, sources: &mut Sources, guard: &mut Guard<'_>) {
    guard.part(Part::Records, || session.drain(sources.records.get_mut()));
}

/// Once there are records. Readiness is taken back first: what comes while they are read makes the
/// ring ready again.
async fn ready(records: &mut AsyncFd<RingBuf<MapData>>) {
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

fn other(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::Other(format!("{what} ({error})"))
}
