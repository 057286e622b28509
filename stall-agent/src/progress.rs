//! What people see on stderr: one live line on a terminal, and text made safe to show.
//!
//! Names come from whoever started a process or mounted a filesystem. [`sanitize`] keeps them from
//! steering the terminal; everything written to stderr goes through it or through [`say`].

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stall_report::duration;
pub use stall_report::escape as sanitize;

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Only what went wrong.
    Quiet,
    #[default]
    Normal,
    /// Also what the programs in the kernel say.
    Verbose,
}

/// What the live line tells.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub elapsed: Duration,
    /// `None` is until interrupted.
    pub left: Option<Duration>,
    /// The device with the longest waits in the last interval.
    pub worst: Option<Worst>,
    pub discards_in_flight: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Worst {
    pub device: String,
    /// 99th percentile of the last interval.
    pub p99: Duration,
}

/// The live line; nothing is written unless stderr is a terminal.
#[derive(Debug)]
pub struct Progress {
    live: bool,
    shown: bool,
}

impl Progress {
    #[must_use]
    pub fn new(verbosity: Verbosity) -> Self {
        let live = verbosity != Verbosity::Quiet && io::stderr().is_terminal();
        Self { live, shown: false }
    }

    /// Writes the line over the last one.
    pub fn update(&mut self, line: &Line) {
        if self.live {
            let text = cut(&sanitize(&line.to_string()), width());
            // A terminal that is gone is no reason to stop.
            let _ = write!(io::stderr(), "\r{text}\x1b[K");
            self.shown = true;
        }
    }

    /// Takes the line away. Also done when dropped.
    pub fn finish(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.left {
            Some(left) => write!(f, "tracing, {} left", clock(left))?,
            None => write!(f, "tracing for {}, Ctrl-C ends it", clock(self.elapsed))?,
        }
        if let Some(worst) = &self.worst {
            write!(
                f,
                "; slowest now {}: p99 {}",
                worst.device,
                duration(nanoseconds(worst.p99))
            )?;
        }
        match self.discards_in_flight {
            0 => write!(f, "; no discards in flight"),
            1 => write!(f, "; 1 discard in flight"),
            many => write!(f, "; {many} discards in flight"),
        }
    }
}

/// Writes lines to stderr, control characters escaped; later while they are held back. A closed stderr is not an error.
pub fn say(text: &str) {
    let mut safe = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        safe.push_str(&sanitize(line));
        safe.push('\n');
    }
    if !is_held_back(&safe) {
        write(&safe);
    }
}

/// Bytes of lines that are held back.
const HELD_MOST: usize = 64 << 10;
/// Lines that wait until the terminal shows lines again; `None` while it does.
static HELD: Mutex<Option<String>> = Mutex::new(None);

/// Holds back what is said on the terminal, which shows something else from now on.
pub fn hold() {
    if io::stderr().is_terminal() {
        held().get_or_insert_default();
    }
}

/// Says what was held back.
pub fn release() {
    let lines = held().take();
    write(&lines.unwrap_or_default());
}

fn is_held_back(lines: &str) -> bool {
    let mut held = held();
    let Some(held) = held.as_mut() else {
        return false;
    };
    // There may be no end to them: the first say what it began with.
    if held.len() + lines.len() <= HELD_MOST {
        held.push_str(lines);
    }
    true
}

fn held() -> MutexGuard<'static, Option<String>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(lines: &str) {
    let _ = io::stderr().write_all(lines.as_bytes());
}

fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

/// Columns of the terminal that can be written to without a line break.
fn width() -> usize {
    match cells(io::stderr()) {
        0 | 1 => 79,
        cells => cells - 1,
    }
}

/// How many cells a line of the terminal has that a stream is; 0 when it is none.
#[must_use]
pub fn cells(stream: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(stream);
    size.map_or(0, |size| usize::from(size.ws_col))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `1:05`
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_time_left_worst_device_and_discards() {
        let line = Line {
            elapsed: Duration::from_secs(3),
            left: Some(Duration::from_secs(57)),
            worst: Some(Worst {
                device: "nvme0n1".to_owned(),
                p99: Duration::from_millis(421),
            }),
            discards_in_flight: 2,
        };
        assert_eq!(
            line.to_string(),
            "tracing, 0:57 left; slowest now nvme0n1: p99 421 ms; 2 discards in flight"
        );
    }

    #[test]
    fn without_an_end_tells_how_to_end_it() {
        let line = Line {
            elapsed: Duration::from_secs(3725),
            ..Line::default()
        };
        assert_eq!(
            line.to_string(),
            "tracing for 1:02:05, Ctrl-C ends it; no discards in flight"
        );
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(
            sanitize("a\x1b[2Jb\rc\n\t\u{9b}"),
            "a\\u{1b}[2Jb\\rc\\n\\t\\u{9b}"
        );
        assert_eq!(sanitize("x\u{202e}y\u{200b}"), "x\\u{202e}y\\u{200b}");
        assert_eq!(sanitize("Größe \"ü\" 雪"), "Größe \"ü\" 雪");
    }

    #[test]
    fn a_line_ends_where_the_terminal_does() {
        assert_eq!(cut("äbc", 2), "äb");
    }
}
