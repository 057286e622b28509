//! What the programs send: what the event loop of a run waits for.

use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use tokio::io::unix::AsyncFd;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::guard::{Guard, Part};
use super::session::Session;
use crate::progress::say;

/// What the event loop waits for.
pub(super) struct Sources {
    pub(super) records: AsyncFd<RingBuf<MapData>>,
    /// With `-v`.
    pub(super) logs: Option<AsyncFd<KernelLog>>,
}

/// The programs' log lines.
pub(super) type KernelLog = EbpfLogger<Stderr>;

/// Writes the programs' log lines to stderr.
pub(super) struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        say(&format!("kernel: {}", record.args()));
    }

    fn flush(&self) {}
}

/// Takes in records that are there. True when there may be more.
pub(super) fn drain(session: &mut Session, sources: &mut Sources, guard: &mut Guard<'_>) -> bool {
    let more = guard.part(Part::Records, || session.drain(sources.records.get_mut()));
    more.unwrap_or(false)
}

/// Once there are records, at once when there are `more`. Readiness is taken back first: what comes while they are read makes the
/// ring ready again.
pub(super) async fn ready(records: &mut AsyncFd<RingBuf<MapData>>, more: bool) {
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
pub(super) async fn logged(logs: Option<&mut AsyncFd<KernelLog>>) {
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

/// One each interval; those that are missed are left out.
pub(super) fn ticks(interval: Duration) -> Interval {
    let mut ticks = interval_at(tokio::time::Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
