//! What the programs send: what the event loop of a run waits for.

use aya::maps::{MapData, RingBuf};
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use tokio::io::unix::AsyncFd;

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
