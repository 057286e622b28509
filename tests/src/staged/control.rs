//! The parent's side of the slow disk's process: start it, tell it what to do, freeze it, end it.
//!
//! Contract: one process per `Daemon`, in its own process group so that a Ctrl-C does not reach
//! it; every answer comes within seconds or is an error; `end` never leaves the process behind.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::scratch::Scratch;
use crate::slow_disk::command::{ALL, Command, Setting};
use crate::slow_disk::daemon::Options;
use crate::slow_disk::{Delay, Op, OpLog};
use crate::spawned::{state, threads, wait_until};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const END_WITHIN: Duration = Duration::from_secs(5);

/// What `status` answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub operations: usize,
    pub unfinished: usize,
    pub hanging: usize,
}

impl Status {
    fn parse(answer: &str) -> Result<Self> {
        let mut status = Self::default();
        for field in answer.split_whitespace() {
            let (key, value) = field.split_once('=').context("not KEY=VALUE")?;
            let value = value.parse().context("not a number")?;
            match key {
                "operations" => status.operations = value,
                "unfinished" => status.unfinished = value,
                "hanging" => status.hanging = value,
                _ => {}
            }
        }
        Ok(status)
    }
}

/// The slow disk's process.
#[derive(Debug)]
pub struct Daemon {
    pid: Pid,
    child: Mutex<Child>,
    channel: Mutex<BufReader<UnixStream>>,
}

impl Daemon {
    /// Starts the program and waits until its file is there.
    pub fn start(program: &Path, options: &Options) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().context("making the control channel")?;
        ours.set_read_timeout(Some(ANSWER_WITHIN))?;
        let output = OwnedFd::from(theirs.try_clone()?);
        let child = Process::new(program)
            .arg(&options.mount)
            .arg(options.size.to_string())
            .arg(options.threads.to_string())
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(output))
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let daemon = Self {
            pid: Pid::from_raw(child.id().cast_signed()),
            child: Mutex::new(child),
            channel: Mutex::new(BufReader::new(ours)),
        };
        match daemon.answer()?.as_str() {
            "ready" => Ok(daemon),
            other => bail!("the slow disk said `{other}`"),
        }
    }

    /// Sends a command; returns what follows `ok` in the answer.
    pub fn send(&self, command: &Command) -> Result<String> {
        let mut channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(channel.get_mut(), "{command}").context("the slow disk is gone")?;
        let answer = read_line(&mut channel)?;
        match answer.strip_prefix("ok") {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => bail!("`{command}`: {answer}"),
        }
    }

    fn answer(&self) -> Result<String> {
        read_line(&mut self.channel.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends it: asked first, killed when it does not listen.
    pub fn end(&self) {
        self.thaw();
        // Whether it answers or not, it has to be gone after this.
        let _ = self.send(&Command::Quit);
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if !wait_until(END_WITHIN, || !matches!(child.try_wait(), Ok(None))) {
            eprintln!("staged disk: killing the slow disk");
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: Signal) {
        // Not reaped before `end`, so the pid is ours; a process that has ended needs none.
        let _ = kill(self.pid, signal);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

fn read_line(channel: &mut BufReader<UnixStream>) -> Result<String> {
    let mut line = String::new();
    let length = channel
        .read_line(&mut line)
        .context("the slow disk does not answer")?;
    match length {
        0 => bail!("the slow disk has ended"),
        _ => Ok(line.trim_end().to_owned()),
    }
}

/// What can be done to the disk while it runs.
impl Daemon {
    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sets the time of one kind of operation, from its next start of service on.
    pub fn set_delay(&self, op: Op, delay: Delay) -> Result<()> {
        self.set(vec![Setting::Delay(op, delay)])
    }

    /// Sets how many operations are served at once; 0 is no bound.
    pub fn set_width(&self, width: usize) -> Result<()> {
        self.set(vec![Setting::Width(width)])
    }

    /// Several settings at one moment.
    pub fn set(&self, settings: Vec<Setting>) -> Result<()> {
        self.send(&Command::Set(settings)).map(drop)
    }

    /// Carries out a command at a moment from now.
    pub fn at(&self, delay: Duration, command: Command) -> Result<()> {
        self.send(&Command::At(delay, Box::new(command))).map(drop)
    }

    /// The next operations of a kind (`None`: all of them) hang in service until released.
    pub fn hang(&self, op: Op, count: Option<u64>) -> Result<()> {
        self.send(&Command::Hang(op, count.unwrap_or(ALL)))
            .map(drop)
    }

    /// Ends hangs, present and to come.
    pub fn release(&self, op: Option<Op>) -> Result<()> {
        self.send(&Command::Release(op)).map(drop)
    }

    /// The next operations of a kind (`None`: all of them) end with EIO.
    pub fn fail(&self, op: Op, count: Option<u64>) -> Result<()> {
        self.send(&Command::Fail(op, count.unwrap_or(ALL)))
            .map(drop)
    }

    /// Ends failing.
    pub fn pass(&self, op: Option<Op>) -> Result<()> {
        self.send(&Command::Pass(op)).map(drop)
    }

    /// The next reads (`None`: all of them) return half, and loop requeues them for the rest.
    pub fn shorten_reads(&self, count: Option<u64>) -> Result<()> {
        self.send(&Command::Short(count.unwrap_or(ALL))).map(drop)
    }

    /// How many operations arrived, are unfinished, hang.
    pub fn status(&self) -> Result<Status> {
        Status::parse(&self.send(&Command::Status)?)
    }

    /// Waits until so many operations hang.
    pub fn wait_for_hanging(&self, count: usize, within: Duration) -> Result<()> {
        match wait_until(within, || self.status().is_ok_and(|s| s.hanging >= count)) {
            true => Ok(()),
            false => bail!("no {count} operations hang after {within:?}"),
        }
    }

    /// The disk's account of every operation so far.
    pub fn log(&self) -> Result<OpLog> {
        let scratch = Scratch::new()?;
        let file = scratch.path().join("log");
        self.send(&Command::Dump(file.clone()))?;
        OpLog::read(&file)
    }

    /// Stops the whole disk until the guard is dropped: nothing starts, nothing ends. Comes back
    /// when each of its threads has stopped.
    pub fn freeze(&self) -> Frozen<'_> {
        self.signal(Signal::SIGSTOP);
        let stopped = || threads(self.pid).into_iter().all(|t| state(t) == Some('T'));
        if !wait_until(ANSWER_WITHIN, stopped) {
            eprintln!("staged disk: the slow disk does not stop");
        }
        Frozen { daemon: self }
    }

    /// Lets a stopped disk run on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }
}

/// While it lives the disk stands still; do not send commands.
#[derive(Debug)]
pub struct Frozen<'a> {
    daemon: &'a Daemon,
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.daemon.thaw();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_answers_are_read() {
        let status = Status::parse("operations=3 unfinished=2 hanging=1").unwrap();
        assert_eq!((status.operations, status.hanging), (3, 1));
        assert!(Status::parse("operations").is_err());
    }
}
