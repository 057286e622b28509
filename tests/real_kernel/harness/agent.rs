//! The real agent as a process: started, waited for until it watches, ended, and what it wrote.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use stall_agent::capture::Capture;
use stall_tests::scratch::Scratch;
use stall_tests::spawned::{Spawned, state, wait_until};
use stall_tests::staged::StagedDisk;

use super::seen::Trace;
use super::{bpf, document};

/// Names the agent under test.
const VARIABLE: &str = "STALL_AGENT_BIN";
const WATCHING_WITHIN: Duration = Duration::from_secs(20);
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// The agent under test: `$STALL_AGENT_BIN`, or the release build.
pub(crate) fn program() -> Result<PathBuf> {
    let given = std::env::var_os(VARIABLE).map(PathBuf::from);
    let built = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        root.unwrap_or(Path::new("."))
            .join("target/release/stall-agent")
    };
    let path = given.unwrap_or_else(built);
    ensure!(
        path.is_file(),
        "there is no agent at {}: run `cargo xtask build`, or set {VARIABLE}",
        path.display()
    );
    Ok(path)
}

/// A trace to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agent {
    arguments: Vec<OsString>,
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

    /// Starts it; comes back when all hooks are attached.
    pub(crate) fn start(&self) -> Result<Tracing> {
        let tracing = self.spawn()?;
        tracing.wait_until_watching()?;
        Ok(tracing)
    }

    /// Starts it, and does not wait for anything.
    pub(crate) fn spawn(&self) -> Result<Tracing> {
        let folder = Scratch::new()?;
        let file = |name: &str| File::create(folder.path().join(name));
        let mut command = Command::new(program()?);
        command
            .args(["trace", "--capture"])
            .arg(folder.path().join(CAPTURE))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(file(STDOUT)?)
            .stderr(file(STDERR)?);
        Ok(Tracing {
            process: Spawned::start(&mut command)?,
            folder,
        })
    }
}

const CAPTURE: &str = "capture";
const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";

/// A running agent; killed when dropped.
#[derive(Debug)]
pub(crate) struct Tracing {
    process: Spawned,
    folder: Scratch,
}

impl Tracing {
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
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

    /// Waits for its end; what it saw.
    pub(crate) fn finish(mut self) -> Result<Trace> {
        let status = self.process.wait_within(ENDED_WITHIN)?;
        ensure!(status.success(), "the agent: {status}: {}", self.said());
        let text = fs::read_to_string(self.folder.path().join(STDOUT))?;
        let json = document::one(&text)?;
        let file = self.folder.path().join(CAPTURE);
        let capture = Capture::read(File::open(&file)?).context("reading the capture")?;
        ensure!(
            document::analyzed(&file)? == json,
            "`analyze` of the capture gives another report than `trace` did"
        );
        let report = serde_json::from_value(json).context("reading the report")?;
        let trace = Trace { capture, report };
        if trace.missed_events() {
            super::test::was_blind();
        }
        Ok(trace)
    }

    /// Kills it, and waits for its end.
    pub(crate) fn kill(mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.process.wait_within(ENDED_WITHIN)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join(STDERR)).unwrap_or_default()
    }

    /// All hooks are attached when it waits for events and has links.
    fn wait_until_watching(&self) -> Result<()> {
        let mut watches = false;
        wait_until(WATCHING_WITHIN, || {
            watches = waits_for_events(self.pid()) && !bpf::links_of(self.pid()).is_empty();
            watches || matches!(state(self.pid()), None | Some('Z'))
        });
        if watches {
            return Ok(());
        }
        bail!(
            "the agent does not watch after {WATCHING_WITHIN:?}: {}",
            self.said()
        )
    }
}

/// Whether its first thread waits in epoll.
fn waits_for_events(pid: Pid) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|word| word.parse().ok());
    number.is_some_and(|number: i64| EPOLL.contains(&number))
}

#[cfg(target_arch = "x86_64")]
const EPOLL: [i64; 2] = [libc::SYS_epoll_pwait, libc::SYS_epoll_wait];
#[cfg(not(target_arch = "x86_64"))]
const EPOLL: [i64; 1] = [libc::SYS_epoll_pwait];
