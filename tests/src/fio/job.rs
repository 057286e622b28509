//! What fio is to do, typed.
//!
//! Contract: a job's command line depends on the job alone; a running job is killed when dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;

use super::result::FioResult;
use crate::cgroup::IoGroup;
use crate::scratch::Scratch;
use crate::spawned::{Spawned, find_program};

/// Which requests, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    Read,
    Write,
    RandRead,
    RandWrite,
    RandReadWrite,
    Trim,
}

impl Pattern {
    fn name(self) -> &'static str {
        match self {
            Pattern::Read => "read",
            Pattern::Write => "write",
            Pattern::RandRead => "randread",
            Pattern::RandWrite => "randwrite",
            Pattern::RandReadWrite => "randrw",
            Pattern::Trim => "trim",
        }
    }
}

/// How requests are submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Psync,
    Libaio,
    IoUring,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Engine::Psync => "psync",
            Engine::Libaio => "libaio",
            Engine::IoUring => "io_uring",
        }
    }
}

/// One fio job.
#[derive(Clone, Debug)]
pub struct Job {
    file: PathBuf,
    pattern: Pattern,
    name: String,
    options: Vec<(&'static str, String)>,
}

impl Job {
    /// A job of 4 KiB direct requests on a file or device, one at a time.
    pub fn new(pattern: Pattern, file: &Path) -> Self {
        Self {
            file: file.to_path_buf(),
            pattern,
            name: "fio".to_owned(),
            options: Vec::new(),
        }
        .block_size(4096)
        .engine(Engine::Psync)
        .depth(1)
        .direct(true)
    }

    /// What the process is called: it runs from a copy of fio under this name.
    pub fn called(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Bytes per request.
    pub fn block_size(self, bytes: u64) -> Self {
        self.set("bs", &bytes)
    }

    /// How requests are submitted.
    pub fn engine(self, engine: Engine) -> Self {
        self.set("ioengine", &engine.name())
    }

    /// How many at once, for the asynchronous engines.
    pub fn depth(self, requests: u32) -> Self {
        self.set("iodepth", &requests)
    }

    /// How many threads do the same.
    pub fn jobs(self, threads: u32) -> Self {
        self.set("numjobs", &threads)
    }

    /// Past the page cache or through it.
    pub fn direct(self, direct: bool) -> Self {
        self.set("direct", &u8::from(direct))
    }

    /// Size of the file, or of the part that is used.
    pub fn size(self, bytes: u64) -> Self {
        self.set("size", &bytes)
    }

    /// Runs for a time, going round.
    pub fn runtime(self, time: Duration) -> Self {
        self.set("time_based", &1)
            .set("runtime", &format!("{}ms", time.as_millis()))
    }

    /// Ends after so many requests.
    pub fn requests(self, count: u64) -> Self {
        self.set("number_ios", &count)
    }

    /// fdatasync after so many writes.
    pub fn fdatasync(self, every: u32) -> Self {
        self.set("fdatasync", &every)
    }

    /// fsync after so many writes.
    pub fn fsync(self, every: u32) -> Self {
        self.set("fsync", &every)
    }

    /// At most so many requests per second.
    pub fn rate_iops(self, per_second: u32) -> Self {
        self.set("rate_iops", &per_second)
    }

    /// Any other option of fio.
    pub fn option(self, name: &'static str, value: &str) -> Self {
        self.set(name, value)
    }

    fn set(mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.options.retain(|(there, _)| *there != name);
        self.options.push((name, value.to_string()));
        self
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--name={}", self.name),
            format!("--filename={}", self.file.display()),
            format!("--rw={}", self.pattern.name()),
        ];
        arguments.extend(self.options.iter().map(|(n, v)| format!("--{n}={v}")));
        arguments.extend(
            [
                "--thread",
                "--randrepeat=1",
                "--fallocate=none",
                "--group_reporting",
                "--percentile_list=50:90:99:99.9",
                "--output-format=json",
                "--eta=never",
            ]
            .map(str::to_owned),
        );
        arguments
    }

    /// Lays the file out and does nothing else.
    pub fn create_only(&self) -> Result<()> {
        let mut creating = self.clone().set("create_only", &1).start()?;
        creating.wait_status()
    }

    /// Runs it to its end.
    pub fn run(&self) -> Result<FioResult> {
        self.start()?.wait()
    }

    /// Starts it.
    pub fn start(&self) -> Result<Running> {
        self.start_in(None)
    }

    /// Starts it inside a control group.
    pub fn start_in(&self, group: Option<&IoGroup>) -> Result<Running> {
        let folder = Scratch::new()?;
        let program = folder.copy(&find_program("fio")?, &self.name)?;
        let output = folder.path().join("result.json");
        let mut command = Command::new(program);
        command
            .args(self.arguments())
            .arg(format!("--output={}", output.display()))
            .current_dir(folder.path())
            .stdin(Stdio::null());
        if let Some(group) = group {
            group.place(&mut command)?;
        }
        Ok(Running {
            process: Spawned::start(&mut command)?,
            output,
            _folder: folder,
        })
    }
}

/// A running fio; killed when dropped.
#[derive(Debug)]
pub struct Running {
    pub process: Spawned,
    output: PathBuf,
    _folder: Scratch,
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Waits for its end and reads what it measured.
    pub fn wait(mut self) -> Result<FioResult> {
        self.wait_status()?;
        let text = fs::read_to_string(&self.output).context("reading fio's result")?;
        FioResult::parse(&text)
    }

    /// Asks it to end now; it still reports.
    pub fn stop(self) -> Result<FioResult> {
        self.process.signal(nix::sys::signal::Signal::SIGINT)?;
        self.wait()
    }

    fn wait_status(&mut self) -> Result<()> {
        let status = self.process.wait()?;
        // Asked to end early it says 128.
        let fine = status.success() || status.code() == Some(128);
        ensure!(fine, "fio: {status}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_options_replace_earlier_ones() {
        let job = Job::new(Pattern::RandRead, Path::new("/x"))
            .block_size(512)
            .runtime(Duration::from_secs(2));
        let arguments = job.arguments();
        assert!(arguments.contains(&"--bs=512".to_owned()));
        assert!(!arguments.contains(&"--bs=4096".to_owned()));
        assert!(arguments.contains(&"--runtime=2000ms".to_owned()));
        assert!(arguments.contains(&"--rw=randread".to_owned()));
    }
}
