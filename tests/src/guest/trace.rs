//! The agent as a process in the guest: started, waited for until it watches, ended, and its report.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::outcome::AGENT;
use super::outcome::CAPTURE;
use crate::spawned::Spawned;
use crate::watching::wait_until_watching;

/// Emulated machines are slow, and the host may be busy.
const WATCHING_WITHIN: Duration = Duration::from_secs(120);
const ENDED_WITHIN: Duration = Duration::from_secs(120);

/// An emulated CPU on a busy host makes any request take 10 ms now and then; what is staged takes seconds.
const SLOW: &str = "100ms";

/// The capture of the newest trace.
static NEWEST: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A running trace; killed when dropped.
pub struct Tracing {
    process: Spawned,
    name: String,
}

impl Tracing {
    /// Of these disks, of all without; comes back when all hooks are attached.
    ///
    /// # Errors
    ///
    /// When the agent ends, or does not get that far.
    pub fn start(name: &str, disks: &[&str]) -> Result<Self> {
        let mut command = Command::new(AGENT);
        command.args(["trace", "--quiet", "--slow", SLOW]);
        for disk in disks {
            command.args(["--device", disk]);
        }
        command.arg("--output").arg(file(name, "json"));
        command.arg("--capture").arg(capture(name));
        command.stdin(Stdio::null());
        command.stderr(fs::File::create(file(name, "stderr"))?);
        let process = Spawned::start(&mut command)?;
        let tracing = Self {
            process,
            name: name.to_owned(),
        };
        if !wait_until_watching(tracing.process.pid(), WATCHING_WITHIN) {
            bail!("the agent does not watch: {}", tracing.said());
        }
        Ok(tracing)
    }

    /// Ends the window now; its report.
    ///
    /// # Errors
    ///
    /// When the agent fails, or leaves no report.
    pub fn stop(mut self) -> Result<Report> {
        self.process.signal(Signal::SIGINT)?;
        let status = self.process.wait_within(ENDED_WITHIN)?;
        ensure!(status.success(), "the agent: {status}: {}", self.said());
        *NEWEST
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(capture(&self.name));
        let text = fs::read(file(&self.name, "json")).context("there is no report")?;
        Ok(Report(
            serde_json::from_slice(&text).context("the report is not JSON")?,
        ))
    }

    fn said(&self) -> String {
        fs::read_to_string(file(&self.name, "stderr")).unwrap_or_default()
    }
}

fn capture(name: &str) -> PathBuf {
    file(name, "capture.json")
}

fn file(name: &str, ending: &str) -> PathBuf {
    PathBuf::from(format!("/run/{name}.{ending}"))
}

/// Sends the host the capture of the newest trace, to be judged again there.
pub fn show_capture(check: &str) {
    let newest = NEWEST
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take();
    if let Some(text) = newest.and_then(|path| fs::read_to_string(path).ok()) {
        // Between two tokens a line's end is nothing.
        println!(
            "{CAPTURE}{} {}",
            check.replace(' ', "-"),
            text.replace('\n', "")
        );
    }
}

/// A report.
pub struct Report(pub Value);

impl Report {
    /// A disk's part.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn device(&self, name: &str) -> Result<&Value> {
        let mut devices = self.rows("devices");
        let device = devices.find(|one| one["name"] == name);
        device.with_context(|| format!("{name} is not in the report"))
    }

    /// A number of an operation on a disk; nothing where the report has none.
    ///
    /// # Errors
    ///
    /// When the disk is not there.
    pub fn count(&self, disk: &str, op: &str, path: &str) -> Result<u64> {
        let operations = self.device(disk)?["operations"].as_array();
        let operation = operations.into_iter().flatten().find(|one| one["op"] == op);
        let number = operation.and_then(|one| one.pointer(path)?.as_u64());
        Ok(number.unwrap_or(0))
    }

    /// Rows of a list.
    pub fn rows(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        let list = self.0.pointer(&format!("/{pointer}"));
        list.and_then(Value::as_array).into_iter().flatten()
    }

    /// Time in D in the window, of tasks of this name.
    pub fn in_d(&self, comm: &str) -> Duration {
        let tasks = self.rows("blocked").filter(|task| task["comm"] == comm);
        let times = tasks.filter_map(|task| task["in_window_ns"].as_u64());
        Duration::from_nanos(times.sum())
    }

    /// The verdict's kind.
    pub fn verdict(&self) -> &str {
        self.0["verdict"]["kind"].as_str().unwrap_or("?")
    }

    /// What the verdict says.
    pub fn sentence(&self) -> &str {
        self.0["verdict"]["sentence"].as_str().unwrap_or("?")
    }
}
