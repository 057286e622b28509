//! Those who use a disk: `direct-io` under any name, with its own account of what it did.
//!
//! Contract: killed when dropped; waited for with a deadline.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::program::Program;
use crate::scratch::Scratch;
use crate::slow_disk::OpLog;
use crate::spawned::Spawned;
use anyhow::{Result, ensure};
use nix::unistd::Pid;

const ENDED_WITHIN: Duration = Duration::from_secs(60);

/// A running `direct-io`; killed when dropped.
#[derive(Debug)]
pub struct Load {
    process: Spawned,
    log: PathBuf,
    _folder: Scratch,
}

impl Load {
    /// Starts the steps on a device or file.
    pub fn start(name: &str, path: &Path, steps: &[&str]) -> Result<Self> {
        Self::start_for(name, path, steps, Duration::ZERO)
    }

    /// Starts the steps, again and again for some time.
    pub fn start_for(name: &str, path: &Path, steps: &[&str], repeat: Duration) -> Result<Self> {
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
    pub fn run(name: &str, path: &Path, steps: &[&str]) -> Result<Done> {
        Self::start(name, path, steps)?.wait()
    }

    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Waits for its end; its account.
    pub fn wait(mut self) -> Result<Done> {
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
pub struct Done {
    pub pid: Pid,
    pub log: OpLog,
}
