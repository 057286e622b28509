//! Child processes that do not outlive their guard, and questions to /proc about processes.
//!
//! Contract: a process is ended by pid, and only while it is ours to reap, so never another's.
//! One that cannot die yet (it waits for the disk) is left to `reap_left`, which the staged disk
//! calls when everything on it can end.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::interrupt::{self, TakeDown};

const POLL: Duration = Duration::from_millis(2);
const DIE_WITHIN: Duration = Duration::from_millis(500);
const REAP_WITHIN: Duration = Duration::from_secs(5);

/// Killed processes that had not died when their guard was dropped.
static LEFT: Mutex<Vec<Arc<Process>>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Process {
    child: Mutex<Child>,
}

impl Process {
    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        !matches!(self.child().try_wait(), Ok(None))
    }

    fn kill_and_wait(&self, within: Duration) -> bool {
        // `Child` does not kill what it has reaped.
        let _ = self.child().kill();
        wait_until(within, || self.has_ended())
    }
}

impl TakeDown for Process {
    fn take_down(&self) {
        self.kill_and_wait(DIE_WITHIN);
    }
}

/// A child process, killed when dropped.
#[derive(Debug)]
pub struct Spawned {
    pid: Pid,
    process: Arc<Process>,
}

impl Spawned {
    /// Starts it in a process group of its own, so that a Ctrl-C is for us to pass on.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_os_string();
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", name.display()))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let process = Arc::new(Process {
            child: Mutex::new(child),
        });
        let spawned = Self { pid, process };
        interrupt::register(&spawned.process)?;
        Ok(spawned)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends it a signal, if it has not ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.process.child();
        match child.try_wait()? {
            Some(_) => Ok(()),
            None => kill(self.pid, signal).context("sending a signal"),
        }
    }

    /// Its exit status, if it has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.process.child().try_wait().context("waiting")
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for its end for some time.
    pub fn wait_within(&mut self, within: Duration) -> Result<ExitStatus> {
        wait_until(within, || self.process.has_ended());
        match self.try_wait()? {
            Some(status) => Ok(status),
            None => bail!("process {} has not ended within {within:?}", self.pid),
        }
    }

    /// Kills it and waits for some time; returns whether it has ended.
    pub fn kill(&mut self) -> bool {
        self.process.kill_and_wait(DIE_WITHIN)
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if !self.kill() {
            left().push(Arc::clone(&self.process));
        }
    }
}

/// Waits for the processes that could not die when their guards were dropped.
pub fn reap_left() {
    for process in left().drain(..) {
        if !process.kill_and_wait(REAP_WITHIN) {
            eprintln!("a killed process does not end: {:?}", process.child().id());
        }
    }
}

fn left() -> MutexGuard<'static, Vec<Arc<Process>>> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks until it is true; false when the time is over.
pub fn wait_until(within: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if is_true() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
}

/// Waits until a thread of the process is in D; returns which.
pub fn wait_for_d_state(pid: Pid, within: Duration) -> Result<Pid> {
    let mut found = None;
    wait_until(within, || {
        found = threads(pid).into_iter().find(|t| state(*t) == Some('D'));
        found.is_some()
    });
    found.with_context(|| format!("process {pid} was not in D within {within:?}"))
}

/// The threads of a process.
pub fn threads(pid: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| name.parse().ok())
        .map(Pid::from_raw)
        .collect()
}

/// The state letter of a process or thread.
pub fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    state_in(&stat)
}

/// The letter after the name, which may hold anything, parentheses too.
fn state_in(stat: &str) -> Option<char> {
    let (_, after) = stat.rsplit_once(") ")?;
    after.chars().next()
}

/// The CPU a process runs on, or ran on last.
pub fn running_on(pid: Pid) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    running_in(&stat)
}

/// Field 39 (proc_pid_stat(5)); the first one after the name is field 3.
fn running_in(stat: &str) -> Option<u32> {
    let (_, after) = stat.rsplit_once(") ")?;
    after.split(' ').nth(36)?.parse().ok()
}

/// A program of the machine, by name.
pub fn find_program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not installed"))
}

/// A program of this package: named by cargo, or beside this one, or one folder up (tests).
pub fn program_beside(name: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(format!("CARGO_BIN_EXE_{name}")) {
        return Ok(PathBuf::from(path));
    }
    let own = std::env::current_exe().context("asking for this program's path")?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder: &Path| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not beside {}: build it first", own.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_the_last_parenthesis() {
        assert_eq!(state_in("12 (a) R) b) D 1 2"), Some('D'));
        assert_eq!(state_in("12 (fio"), None);
    }

    #[test]
    fn the_cpu_is_one_of_this_machines() {
        let own = running_on(Pid::this()).unwrap();
        assert!(own < 4096, "{own}");
        assert_eq!(running_in("12 (fio) D 1 2"), None);
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let spawned = Spawned::start(Command::new("sleep").arg("60")).unwrap();
        let pid = spawned.pid();
        assert!(state(pid).is_some());
        drop(spawned);
        assert_eq!(state(pid), None);
    }

    #[test]
    fn exit_statuses_come_through() {
        let mut spawned = Spawned::start(&mut Command::new("false")).unwrap();
        assert_eq!(spawned.wait().unwrap().code(), Some(1));
        assert!(spawned.signal(Signal::SIGTERM).is_ok());
    }

    #[test]
    fn threads_include_the_first() {
        let own = nix::unistd::getpid();
        assert!(threads(own).contains(&own));
    }
}
