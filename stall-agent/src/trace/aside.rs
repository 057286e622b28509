//! Work beside the trace, on a thread of its own, that may hang: it is waited for at the end, for a moment only.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// Something under way; dropped, nobody waits for it any more.
pub(super) struct Aside<T>(Option<Receiver<T>>);

impl<T: Send + 'static> Aside<T> {
    /// Begins; without a thread there will be no result.
    pub(super) fn begin(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Nobody waits any more when the trace is over.
            let _ = sender.send(work());
        });
        Self(thread.ok().map(|_| receiver))
    }

    /// Its result, if it comes in time.
    pub(super) fn end(self, within: Duration) -> Option<T> {
        self.0?.recv_timeout(within).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_not_waited_for() {
        let (hold, held) = mpsc::channel::<()>();
        let hangs = Aside::begin("hangs", move || held.recv().is_ok());
        assert_eq!(hangs.end(Duration::from_millis(10)), None);
        drop(hold);
        let ends = Aside::begin("ends", || 7);
        assert_eq!(ends.end(Duration::from_secs(10)), Some(7));
    }
}
