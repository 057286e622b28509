//! One run: attach, watch until the window ends, read everything, say what was seen.
//!
//! Whatever ends the window early (SIGINT, SIGTERM, SIGHUP, an error while reading), what was
//! collected until then becomes the capture.

mod aside;
mod disks;
mod finish;
mod inventory;
mod session;
mod start;

use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval_at, sleep_until};

use crate::capture::Capture;
use crate::config;
use crate::failure::Failure;
use session::Session;
use start::{KernelLog, Sources};

/// Runs a trace. `started` is when the process began.
///
/// # Errors
///
/// When nothing could be attached, or the result not be read.
pub fn run(config: &config::Trace, started: Instant) -> Result<Capture, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| other("no event loop", &error))?;
    runtime.block_on(async {
        // Before anything is attached: from here on a signal ends the window, not the process.
        let mut signals = Signals::new()?;
        let (mut session, mut sources) = start::start(config, started)?;
        let interrupted = watch(&mut session, &mut sources, config, &mut signals).await;
        finish::finish(session, sources, interrupted)
    })
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
) -> bool {
    let mut ticks = ticks(config.interval);
    let end = config.duration.map(|duration| Instant::now() + duration);
    loop {
        tokio::select! {
            biased;
            () = signals.any() => return true,
            () = at(end) => return false,
            _ = ticks.tick() => {
                session.drain(sources.records.get_mut());
                session.tick(end);
            }
            () = ready(&mut sources.records) => session.drain(sources.records.get_mut()),
            () = logged(sources.logs.as_mut()) => {}
        }
    }
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
