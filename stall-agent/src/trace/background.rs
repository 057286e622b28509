//! Work beside the trace, on a thread of its own, that may hang: it is waited for at the end, for a moment only.

use std::cell::OnceCell;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// Something under way; dropped, nobody waits for it any more.
pub(super) struct Aside<T> {
    receiver: Option<Receiver<T>>,
    /// Once somebody has looked.
    there: OnceCell<T>,
}

impl<T: Send + 'static> Aside<T> {
    /// Begins; without a thread there will be no result.
    pub(super) fn begin(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Nobody waits any more when the trace is over.
            let _ = sender.send(work());
        });
        Self {
            receiver: thread.ok().map(|_| receiver),
            there: OnceCell::new(),
        }
    }

    /// Its result, if it is there already; it stays there.
    pub(super) fn peek(&self) -> Option<&T> {
        if self.there.get().is_none() {
            let result = self.receiver.as_ref()?.try_recv().ok()?;
            return Some(self.there.get_or_init(|| result));
        }
        self.there.get()
    }

    /// Its result, if it comes in time.
    pub(super) fn end(self, within: Duration) -> Option<T> {
        let Self { receiver, there } = self;
        let wait = || receiver?.recv_timeout(within).ok();
        there.into_inner().or_else(wait)
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

    #[test]
    fn what_was_looked_at_is_still_there_at_the_end() {
        let aside = Aside::begin("ends", || 7);
        while aside.peek().is_none() {
            thread::yield_now();
        }
        assert_eq!(aside.peek(), Some(&7));
        assert_eq!(aside.end(Duration::ZERO), Some(7));
    }
}
