//! The view of a run that is under way: given what there is so far at the end of an interval, when it has time for it.
//!
//! Contract: without a view nothing is done; whatever goes wrong with one costs the view, and the run goes on.

use std::time::Instant;

use super::guard::{Guard, Part};
use super::session::Session;
use super::so_far::{Frames, so_far};
use crate::collect::d_state::Found;
use crate::config;
use crate::live::{Live, Screen, Times};
use crate::progress::say;

/// A view, or none.
pub(super) struct View(Option<Up>);

struct Up {
    live: Live,
    frames: Frames,
}

impl View {
    /// Puts it up, where there is a screen for it. `end` is when the window ends by itself.
    pub(super) fn begin(
        screen: Option<Screen>,
        config: &config::Trace,
        end: Option<Instant>,
    ) -> Self {
        let times = Times {
            began: Instant::now(),
            end,
        };
        let live = screen.map(|screen| Live::begin(screen, config, times));
        let live = live.transpose().unwrap_or_else(|error| {
            say(&format!(
                "stall-agent: --live cannot start ({error}); the trace continues"
            ));
            None
        });
        Self(live.map(|live| Up {
            live,
            frames: Frames::new(),
        }))
    }

    /// Shows what there is so far, unless it is still busy with what it was shown before.
    pub(super) fn show(&mut self, session: &mut Session, found: &[Found], guard: &mut Guard<'_>) {
        let Some(up) = self.0.as_mut().filter(|up| up.live.is_ready()) else {
            return;
        };
        let begin = Instant::now();
        let look = guard.part(Part::Showing, || so_far(session, found, &mut up.frames));
        // A map that cannot be read now is read at the end.
        if let Some(Ok(look)) = look {
            up.live.show(look, begin.elapsed());
        }
    }

    /// The terminal may have another size.
    pub(super) fn redraw(&self) {
        if let Some(up) = &self.0 {
            up.live.redraw();
        }
    }

    /// Comes back once somebody leaves it.
    pub(super) async fn left(&self) {
        match &self.0 {
            Some(up) => up.live.left().await,
            None => std::future::pending().await,
        }
    }
}
