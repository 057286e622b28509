//! What a trace has so far, on the terminal: judged as the report will be, drawn, and left by a key.
//!
//! Contract: the trace does not wait for it. Of its two threads one judges what it is given, for a small part of the time
//! at most, and one draws the latest that was judged, and does not wait for the terminal. A fault of either costs the
//! view; the terminal is put back when the view goes, however it does.

mod judge;
mod keys;
mod look;
mod model;
mod pace;
mod screen;
mod table;
#[cfg(test)]
mod tests;
mod view;

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use ratatui::Frame;
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::Notify;

use crate::config;
use crate::progress::{hold, release, say};
pub(crate) use judge::Judge;
use keys::Keys;
pub use look::{Look, Times};
use model::Model;
pub(crate) use pace::Pace;
pub use screen::Screen;
use view::Scene;

/// How long is waited for the terminal to be put back.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// It takes one part in so many of the time of one CPU.
const PART: u32 = 20;
/// But one look in so long.
const SELDOM: Duration = Duration::from_secs(3_600);

/// A view that is up; put away when dropped.
pub struct Live {
    shared: Arc<Shared>,
    looks: SyncSender<(Look, Duration)>,
    /// Closed when the terminal has been put back.
    ended: Receiver<()>,
}

/// What both threads and the trace know.
struct Shared {
    wake: OwnedFd,
    model: Mutex<Option<Arc<Model>>>,
    pace: Mutex<Pace>,
    is_closing: AtomicBool,
    has_ended: AtomicBool,
    left: Notify,
}

impl Live {
    /// Puts it up.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn begin(screen: Screen, config: &config::Trace, times: Times) -> io::Result<Self> {
        let shared = Arc::new(Shared::new()?);
        let (looks, given) = mpsc::sync_channel(1);
        let mut judge = Judge::new(&config.host_root);
        let of_judge = Arc::clone(&shared);
        spawn("live-judge", move || {
            judge_each(&mut judge, &given, &of_judge);
        })?;
        let (open, ended) = mpsc::channel::<()>();
        let of_view = Arc::clone(&shared);
        let title = view::title(&config.devices, config.interval);
        spawn("live-view", move || {
            show(screen, &of_view, &times, &title, view::draw);
            drop(open);
        })?;
        Ok(Self {
            shared,
            looks,
            ended,
        })
    }

    /// Whether it is worth reading what there is so far.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let is_up = !self.shared.has_ended.load(Ordering::Relaxed);
        is_up && locked(&self.shared.pace).is_ready(Instant::now())
    }

    /// Shows what there is, which took so long to read.
    pub fn show(&self, look: Look, read: Duration) {
        locked(&self.shared.pace).begin();
        // Not ready is the one who takes it when it could not be sent.
        let _ = self.looks.try_send((look, read));
    }

    /// Draws again.
    pub fn redraw(&self) {
        self.shared.wake();
    }

    /// Comes back once somebody leaves it.
    pub async fn left(&self) {
        self.shared.left.notified().await;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.close();
        // A view that does not end keeps nothing waiting that has a report to write.
        let _ = self.ended.recv_timeout(CLOSE_WITHIN);
    }
}

impl Shared {
    fn new() -> io::Result<Self> {
        Ok(Self {
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            model: Mutex::default(),
            pace: Mutex::new(Pace::of(PART, SELDOM)),
            is_closing: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            left: Notify::new(),
        })
    }

    fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // It is awake anyway when the counter is full.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(())
}

fn locked<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Judges what it is given, until nobody can give any more. After a panic it is never ready again: the next would only
/// be the same.
fn judge_each(judge: &mut Judge, given: &Receiver<(Look, Duration)>, shared: &Shared) {
    for (look, read) in given {
        let begin = Instant::now();
        let model = catch_unwind(AssertUnwindSafe(|| Model::new(&judge.judge(look))));
        let has_failed = model.is_err();
        let model = model.unwrap_or_else(|_| Model::failed());
        *locked(&shared.model) = Some(Arc::new(model));
        if !has_failed {
            locked(&shared.pace).done(Instant::now(), read + begin.elapsed());
        }
        shared.wake();
    }
}

/// Draws until it is closed, or fails.
fn show(
    mut screen: Screen,
    shared: &Shared,
    times: &Times,
    title: &str,
    draw: fn(&mut Frame<'_>, &Scene<'_>),
) {
    // Whoever puts this process into the background stops it by what it draws, or asks of the terminal.
    let unasked = SigSet::from_iter([Signal::SIGTTIN, Signal::SIGTTOU]);
    let _ = unasked.thread_block();
    hold();
    let shown = catch_unwind(AssertUnwindSafe(|| {
        draw_each(&mut screen, shared, times, title, draw)
    }));
    shared.has_ended.store(true, Ordering::Relaxed);
    drop(screen);
    release();
    let problem = match shown {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "internal error".to_owned(),
    };
    if !shared.is_closing() {
        say(&format!(
            "stall-agent: --live ended ({problem}); the trace continues"
        ));
    }
}

fn draw_each(
    screen: &mut Screen,
    shared: &Shared,
    times: &Times,
    title: &str,
    draw: fn(&mut Frame<'_>, &Scene<'_>),
) -> io::Result<()> {
    let paint = view::paint();
    let mut keys = Keys::default();
    let mut is_left = false;
    screen.enter()?;
    while !shared.is_closing() {
        let model = locked(&shared.model).clone();
        let told = times.at(Instant::now());
        let scene = Scene {
            title,
            told,
            model: model.as_deref(),
            is_left,
            paint,
        };
        screen.draw(|frame| draw(frame, &scene))?;
        let within = keys.patience().unwrap_or(told.until_next_second());
        let typed = screen.wait(&shared.wake, within)?;
        if keys.leave(typed.as_deref()) {
            is_left = true;
            shared.left.notify_one();
        }
    }
    Ok(())
}
