//! The real agent as a process: started, waited for until it watches, ended, and what it wrote.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpgid};
use stall_agent::capture::Capture;
use stall_tests::scratch::Scratch;
use stall_tests::spawned::Spawned;
use stall_tests::staged::StagedDisk;
use stall_tests::watching::wait_until_watching;

use super::document;
use super::kept_back;
pub(crate) use super::program::program;
use super::seen::Trace;

const WATCHING_WITHIN: Duration = Duration::from_secs(20);
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// A trace to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agent {
    arguments: Vec<OsString>,
    /// What of the kernel is kept from it.
    kept_back: Vec<&'static str>,
    /// Another than the one under test.
    program: Option<PathBuf>,
    /// What starts it, with its arguments.
    launcher: Vec<OsString>,
    /// As whom that starts it, if not as root.
    user: Option<u32>,
    /// Its monotonic clock is ahead of the kernel's.
    ahead: bool,
}

impl Agent {
    /// Traces all disks until told to stop.
    pub(crate) fn everywhere() -> Self {
        Self::default()
    }

    /// Traces one disk until told to stop.
    pub(crate) fn on(disk: &StagedDisk) -> Self {
        Self::everywhere().with("--device", disk.name())
    }

    /// With an option and its value.
    pub(crate) fn with(mut self, option: &str, value: &str) -> Self {
        self.arguments.extend([option.into(), value.into()]);
        self
    }

    /// On a kernel that lacks something ([`kept_back`]).
    pub(crate) fn without(mut self, things: &[&'static str]) -> Self {
        self.kept_back.extend(things);
        self
    }

    /// Its program lies elsewhere.
    pub(crate) fn program(self, path: &Path) -> Self {
        Self {
            program: Some(path.to_owned()),
            ..self
        }
    }

    /// Another program becomes it.
    pub(crate) fn launched_by<'a>(
        self,
        launcher: impl IntoIterator<Item = &'a str>,
        path: &Path,
    ) -> Self {
        Self {
            launcher: launcher.into_iter().map(OsString::from).collect(),
            ..self.program(path)
        }
    }

    /// What starts it makes it this user.
    pub(crate) fn of_user(self, user: u32) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// In a time namespace in which its clock is a day ahead.
    pub(crate) fn ahead(self) -> Self {
        Self {
            ahead: true,
            ..self
        }
    }

    /// Starts it; comes back when all hooks are attached.
    pub(crate) fn start(&self) -> Result<Tracing> {
        self.spawn()?.started()
    }

    /// What becomes the agent, without its arguments.
    fn command(&self) -> Result<Command> {
        if !self.kept_back.is_empty() {
            return kept_back::command(&self.kept_back);
        }
        let own = match &self.program {
            Some(path) => path.clone(),
            None => program()?,
        };
        let mut line = self.launcher.iter().cloned().chain([own.into()]);
        let mut command = Command::new(line.next().unwrap_or_default());
        command.args(line);
        Ok(command)
    }

    /// Starts it, and does not wait for anything.
    pub(crate) fn spawn(&self) -> Result<Tracing> {
        self.spawn_below(&std::env::temp_dir())
    }

    /// The same with all its files somewhere in a folder.
    pub(crate) fn spawn_below(&self, parent: &Path) -> Result<Tracing> {
        let folder = Scratch::below(parent)?;
        let stdout = File::create(folder.path().join(STDOUT))?;
        self.spawn_in(folder, stdout.into(), None)
    }

    /// The same with another stdout, which nobody reads.
    pub(crate) fn spawn_to(&self, stdout: Stdio) -> Result<Tracing> {
        self.spawn_in(Scratch::new()?, stdout, None)
    }

    /// The same with a stderr of its own, too.
    pub(crate) fn spawn_saying(&self, stdout: Stdio, stderr: File) -> Result<Tracing> {
        self.spawn_in(Scratch::new()?, stdout, Some(stderr))
    }

    fn spawn_in(&self, folder: Scratch, stdout: Stdio, stderr: Option<File>) -> Result<Tracing> {
        let own = || File::create(folder.path().join(STDERR));
        let stderr = stderr.map_or_else(own, Ok)?;
        let mut command = self.command()?;
        command
            .args(["trace", "--capture"])
            .arg(folder.path().join(CAPTURE))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        if self.ahead {
            // SAFETY: between fork and exec only system calls are made.
            unsafe { command.pre_exec(enter_ahead) };
        }
        // Whoever it runs as writes there.
        let user = std::os::unix::fs::chown(folder.path(), self.user, self.user);
        user.context("giving it the folder")?;
        Ok(Tracing {
            process: Spawned::start(&mut command)?,
            folder,
            writes_report: self.kept_back.is_empty(),
        })
    }
}

/// Makes a time namespace and enters it, so that what is executed is in it.
fn enter_ahead() -> std::io::Result<()> {
    unshare(CloneFlags::from_bits_retain(libc::CLONE_NEWTIME))?;
    fs::write("/proc/self/timens_offsets", "monotonic 86400 0")?;
    let namespace = File::open("/proc/self/ns/time_for_children")?;
    setns(namespace, CloneFlags::from_bits_retain(libc::CLONE_NEWTIME))?;
    Ok(())
}

const CAPTURE: &str = "capture";
const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";

/// A running agent; killed when dropped.
#[derive(Debug)]
pub(crate) struct Tracing {
    process: Spawned,
    folder: Scratch,
    /// Else `analyze` of the capture is its report.
    writes_report: bool,
}

impl Tracing {
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// The processes that write its documents and messages: nobody's children, but of its process group.
    pub(crate) fn writers(&self) -> Vec<Pid> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let of_group = |pid: &i32| getpgid(Some(Pid::from_raw(*pid))) == Ok(self.pid());
        pids.filter(|pid| *pid != self.pid().as_raw() && of_group(pid))
            .map(Pid::from_raw)
            .collect()
    }

    /// Waits until it watches.
    pub(crate) fn started(self) -> Result<Self> {
        self.wait_until_watching()?;
        Ok(self)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Ends the window now; what it saw.
    pub(crate) fn stop(self) -> Result<Trace> {
        self.signal(Signal::SIGINT)?;
        self.finish()
    }

    /// Waits for its end; how it ended, and what it said.
    pub(crate) fn end(self) -> Result<(ExitStatus, String)> {
        self.end_within(ENDED_WITHIN)
    }

    /// The same for some time.
    pub(crate) fn end_within(mut self, within: Duration) -> Result<(ExitStatus, String)> {
        let status = self.wait_within(within)?;
        Ok((status, self.said()))
    }

    /// How it ended; its files stay.
    pub(crate) fn wait_within(&mut self, within: Duration) -> Result<ExitStatus> {
        self.process.wait_within(within)
    }

    /// Waits for its end; what it saw, and what it said.
    pub(crate) fn finish_with_words(mut self) -> Result<(Trace, String)> {
        self.process.wait_within(ENDED_WITHIN)?;
        let said = self.said();
        Ok((self.finish()?, said))
    }

    /// Waits for its end; what it saw.
    pub(crate) fn finish(mut self) -> Result<Trace> {
        let status = self.process.wait_within(ENDED_WITHIN)?;
        ensure!(status.success(), "the agent: {status}: {}", self.said());
        let file = self.folder.path().join(CAPTURE);
        let capture = Capture::read(File::open(&file)?).context("reading the capture")?;
        let json = document::analyzed(&file)?;
        if self.writes_report {
            let text = fs::read_to_string(self.folder.path().join(STDOUT))?;
            ensure!(
                document::one(&text)? == json,
                "`analyze` of the capture gives another report than `trace` did"
            );
        }
        let report = serde_json::from_value(json).context("reading the report")?;
        let trace = Trace { capture, report };
        if trace.missed_events() {
            super::test::was_blind();
        }
        Ok(trace)
    }

    /// Waits for it to give up; its exit code, and what it said.
    pub(crate) fn give_up(mut self) -> Result<(Option<i32>, String)> {
        let status = self.process.wait_within(ENDED_WITHIN)?;
        Ok((status.code(), self.said()))
    }

    /// Kills it, and waits for its end.
    pub(crate) fn kill(mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.process.wait_within(ENDED_WITHIN)
    }

    /// What is in the file of its messages now.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join(STDERR)).unwrap_or_default()
    }

    fn wait_until_watching(&self) -> Result<()> {
        if wait_until_watching(self.pid(), WATCHING_WITHIN) {
            return Ok(());
        }
        bail!(
            "the agent does not watch after {WATCHING_WITHIN:?}: {}",
            self.said()
        )
    }
}
