//! The terminal of this process: raw, and on its second screen, from [`Screen::enter`] until it is dropped.
//!
//! Contract: it is opened before the process gives up what that takes, and asked nothing later but its size and its keys.
//! Nothing waits for a terminal that does not take what is written: what is left is written when it does, and the frame
//! that comes next is the latest. Whatever happens to the one who draws, dropping it puts the terminal back.

use std::io::{self, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, MoveTo, Show};
use ratatui::crossterm::queue;
use ratatui::crossterm::style::{Attribute, SetAttribute};
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr};

use crate::failure::Failure;
use crate::file::reason;

/// How long a terminal that takes nothing is waited for when it is left.
const LEAVE_WITHIN: Duration = Duration::from_millis(300);
/// Cells that are drawn at most: a terminal may say it has as many as it likes.
const WIDEST: u16 = 400;
const HIGHEST: u16 = 200;

/// The terminal.
pub struct Screen {
    tty: OwnedFd,
    before: Termios,
    is_entered: bool,
    ink: Ink,
    terminal: Terminal<CrosstermBackend<Ink>>,
    area: Rect,
}

impl Screen {
    /// Opens it, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Failure::NoTerminal`] when there is none, or none that a view can be drawn on.
    pub fn open() -> Result<Self, Failure> {
        let why =
            |error: Errno| Failure::NoTerminal(format!("/dev/tty: {}", reason(&error.into())));
        if std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
            let problem = "TERM is unset or dumb";
            return Err(Failure::NoTerminal(problem.to_owned()));
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let tty = rustix::fs::open("/dev/tty", flags, Mode::empty()).map_err(why)?;
        let before = tcgetattr(&tty).map_err(why)?;
        // Where the kernel does not tell, nobody else is in front.
        if tcgetpgrp(&tty).is_ok_and(|group| group != rustix::process::getpgrp()) {
            let problem = "this process is in the background";
            return Err(Failure::NoTerminal(problem.to_owned()));
        }
        Self::of(tty, before).map_err(|error| Failure::NoTerminal(reason(&error)))
    }

    pub(super) fn of(tty: OwnedFd, before: Termios) -> io::Result<Self> {
        let ink = Ink::default();
        let area = area(&tty);
        Ok(Self {
            terminal: terminal(&ink, area)?,
            tty,
            before,
            is_entered: false,
            ink,
            area,
        })
    }

    /// Takes it over.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        self.is_entered = true;
        let mut raw = self.before.clone();
        raw.make_raw();
        // Not once all is written, as that may never be.
        tcsetattr(&self.tty, OptionalActions::Now, &raw)?;
        queue!(self.ink, EnterAlternateScreen, Hide, Clear(ClearType::All))?;
        self.write()
    }

    /// Draws, unless the terminal has not even taken what was drawn before.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.write()?;
        if !self.ink.bytes().is_empty() {
            return Ok(());
        }
        let area = area(&self.tty);
        if area != self.area {
            self.area = area;
            queue!(self.ink, Clear(ClearType::All))?;
            self.terminal = terminal(&self.ink, area)?;
        }
        self.terminal.draw(draw)?;
        self.write()
    }

    /// Waits for keys, for the terminal to take more, or to be woken. What was typed; `None` when the time is over.
    pub(super) fn wait(&self, wake: &OwnedFd, within: Duration) -> io::Result<Option<Vec<u8>>> {
        let mut events = PollFlags::IN;
        if !self.ink.bytes().is_empty() {
            events |= PollFlags::OUT;
        }
        let mut both = [
            PollFd::new(&self.tty, events),
            PollFd::new(wake, PollFlags::IN),
        ];
        match poll(&mut both, Some(&timespec(within))) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [tty, woken] = both.map(|one| one.revents());
        if woken.contains(PollFlags::IN) {
            // Only how often it was woken.
            let _ = rustix::io::read(wake, &mut [0u8; 8]);
        }
        if tty.intersects(PollFlags::HUP | PollFlags::ERR) {
            return Err(gone());
        }
        if tty.contains(PollFlags::IN) {
            return self.typed().map(Some);
        }
        Ok(Some(Vec::new()))
    }

    fn typed(&self) -> io::Result<Vec<u8>> {
        let mut bytes = [0u8; 64];
        match rustix::io::read(&self.tty, &mut bytes) {
            Ok(0) => Err(gone()),
            Ok(count) => Ok(bytes[..count].to_vec()),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// As much as it takes.
    fn write(&self) -> io::Result<()> {
        let mut bytes = self.ink.bytes();
        while !bytes.is_empty() {
            match rustix::io::write(&self.tty, &bytes) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(count) => drop(bytes.drain(..count)),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Gives it back, as far as it takes that.
    fn leave(&mut self) -> io::Result<()> {
        // What is left of a frame would only be in the way.
        self.ink.bytes().clear();
        let reset = SetAttribute(Attribute::Reset);
        queue!(self.ink, reset, Clear(ClearType::All), MoveTo(0, 0))?;
        // Cleared before: not every terminal has a second screen.
        queue!(self.ink, Show, LeaveAlternateScreen)?;
        let until = Instant::now() + LEAVE_WITHIN;
        loop {
            self.write()?;
            let left = until.saturating_duration_since(Instant::now());
            if self.ink.bytes().is_empty() || left.is_zero() {
                return Ok(());
            }
            let mut tty = [PollFd::new(&self.tty, PollFlags::OUT)];
            poll(&mut tty, Some(&timespec(left)))?;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_entered {
            // Of a terminal that is gone there is nothing to put back.
            let _ = self.leave();
            let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
        }
    }
}

/// One on which nothing is drawn yet. Of another kind than fixed, it would ask the terminal for its size by itself, in ways
/// that are refused once the hooks are attached.
fn terminal(ink: &Ink, area: Rect) -> io::Result<Terminal<CrosstermBackend<Ink>>> {
    let options = TerminalOptions {
        viewport: Viewport::Fixed(area),
    };
    Terminal::with_options(CrosstermBackend::new(ink.clone()), options)
}

fn area(tty: &OwnedFd) -> Rect {
    let told = tcgetwinsize(tty.as_fd()).ok();
    let told = told.map(|size| (size.ws_col, size.ws_row));
    // Serial lines say nothing.
    let (width, height) = told
        .filter(|(width, height)| *width > 0 && *height > 0)
        .unwrap_or((80, 24));
    Rect::new(0, 0, width.min(WIDEST), height.min(HIGHEST))
}

fn gone() -> io::Error {
    io::Error::other("the terminal is gone")
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// What is to be written.
#[derive(Clone, Default)]
struct Ink(Arc<Mutex<Vec<u8>>>);

impl Ink {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Ink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
