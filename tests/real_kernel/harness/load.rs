//! Those who use the staged disk: `direct-io` under any name, with its own account of what it did.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::unistd::Pid;
use stall_tests::block_io::program::Program;
use stall_tests::scratch::Scratch;
use stall_tests::slow_disk::OpLog;
use stall_tests::spawned::Spawned;

const ENDED_WITHIN: Duration = Duration::from_secs(60);

/// A running `direct-io`; killed when dropped.
#[derive(Debug)]
pub(crate) struct Load {
    process: Spawned,
    log: PathBuf,
    _folder: Scratch,
}

impl Load {
    /// Starts the steps on a device or file.
    pub(crate) fn start(name: &str, path: &Path, steps: &[&str]) -> Result<Self> {
        Self::start_for(name, path, steps, Duration::ZERO)
    }

    /// Starts the steps, again and again for some time.
    pub(crate) fn start_for(
        name: &str,
        path: &Path,
        steps: &[&str],
        repeat: Duration,
    ) -> Result<Self> {
        let folder = Scratch::new()?;
        let log = folder.path().join("log");
        let program = Program {
            name: Some(name.to_owned()),
            log: Some(log.clone()),
            repeat,
            path: path.to_path_buf(),
            steps: steps.iter().map(|&step| step.to_owned()).collect(),
            ..Program::default()
        };
        let mut command = program.command()?;
        command.stdin(Stdio::null());
        Ok(Self {
            process: Spawned::start(&mut command)?,
            log,
            _folder: folder,
        })
    }

    /// Does the steps and waits for their end.
    pub(crate) fn run(name: &str, path: &Path, steps: &[&str]) -> Result<Done> {
        Self::start(name, path, steps)?.wait()
    }

    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Waits for its end; its account.
    pub(crate) fn wait(mut self) -> Result<Done> {
        let status = self.process.wait_within(ENDED_WITHIN)?;
        ensure!(status.success(), "direct-io: {status}");
        Ok(Done {
            pid: self.pid(),
            log: OpLog::read(&self.log)?,
        })
    }
}

/// A `direct-io` that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) pid: Pid,
    pub(crate) log: OpLog,
}
