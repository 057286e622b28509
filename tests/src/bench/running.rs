//! A contender at work: started until its programs run, and ended as its user would end it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid};
use serde_json::Value;

use super::bare::Bare;
use super::contender::{Contender, Kind};
use super::device::Probe;
use super::programs::{self, Programs};
use crate::scratch::Scratch;
use crate::spawned::Spawned;

const ATTACH_WITHIN: Duration = Duration::from_secs(20);
const END_WITHIN: Duration = Duration::from_secs(20);

/// One that runs; ended when dropped.
pub(super) struct Running {
    what: What,
    folder: Scratch,
    hooks: &'static [&'static str],
}

enum What {
    Nothing,
    Bare(#[expect(dead_code, reason = "attached as long as it lives")] Bare),
    Process(Spawned),
}

/// Events that were not counted, by cause; those there were.
pub(super) type Lost = BTreeMap<String, u64>;

/// How it ended.
pub(super) struct Ended {
    pub(super) took: Duration,
    /// Events it says it did not count, by cause; only the agent says.
    pub(super) lost: Option<Lost>,
}

impl Running {
    /// Starts it, and returns when each of the programs it is measured by has run: a block is read all the time.
    pub(super) fn start(contender: &Contender, probe: &mut Probe) -> Result<(Self, Duration)> {
        let begin = Instant::now();
        let folder = Scratch::new()?;
        let what = match &contender.kind {
            Kind::Nothing => What::Nothing,
            Kind::Empty => What::Bare(Bare::empty()?),
            Kind::Finding => What::Bare(Bare::finding()?),
            Kind::Agent(agent) => What::Process(agent_process(agent, &folder)?),
            Kind::Peer(words) => What::Process(peer_process(words, &folder)?),
        };
        let mut running = Self {
            what,
            folder,
            hooks: contender.hooks,
        };
        running.wait_attached(probe)?;
        Ok((running, begin.elapsed()))
    }

    /// Whose programs are counted.
    fn pid(&self) -> Pid {
        match &self.what {
            What::Nothing | What::Bare(_) => getpid(),
            What::Process(process) => process.pid(),
        }
    }

    /// Its programs, and what they are called.
    pub(super) fn programs(&self) -> (Programs, BTreeMap<u32, String>) {
        let programs = match &self.what {
            What::Nothing => Programs::new(),
            What::Bare(_) | What::Process(_) => programs::of(self.pid()),
        };
        let names = programs::named(&programs, self.hooks);
        (programs, names)
    }

    /// The process to charge for what user space does; none for what has none of its own.
    pub(super) fn process(&self) -> Option<Pid> {
        match &self.what {
            What::Process(process) => Some(process.pid()),
            What::Nothing | What::Bare(_) => None,
        }
    }

    /// Ends it by Ctrl-C's signal.
    pub(super) fn end(mut self) -> Result<Ended> {
        let begin = Instant::now();
        if let What::Process(process) = &mut self.what {
            process.signal(Signal::SIGINT)?;
            let status = process.wait_within(END_WITHIN)?;
            let fine = status.success() || status.signal() == Some(Signal::SIGINT as i32);
            ensure!(fine, "ended with {status}: {}", self.last_words());
        }
        let took = begin.elapsed();
        Ok(Ended {
            took,
            lost: self.lost(),
        })
    }

    fn wait_attached(&mut self, probe: &mut Probe) -> Result<()> {
        let deadline = Instant::now() + ATTACH_WITHIN;
        while !self.has_run() {
            self.check_alive()?;
            if Instant::now() > deadline {
                bail!(
                    "nothing is attached after {ATTACH_WITHIN:?}: {}",
                    self.last_words()
                );
            }
            probe.read()?;
            // Lets others run, so that there is a task switch.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn has_run(&self) -> bool {
        let (programs, names) = self.programs();
        let ran = programs.iter().filter(|(_, count)| count.runs > 0);
        let ran: Vec<_> = ran
            .filter_map(|(id, _)| programs::hook(names.get(id)?))
            .collect();
        self.hooks.iter().all(|hook| ran.contains(hook))
    }

    fn check_alive(&mut self) -> Result<()> {
        let status = match &mut self.what {
            What::Process(process) => process.try_wait()?,
            What::Nothing | What::Bare(_) => None,
        };
        match status {
            Some(status) => bail!("ended at once with {status}: {}", self.last_words()),
            None => Ok(()),
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(errors(&self.folder)).unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or("it said nothing").to_owned()
    }

    fn lost(&self) -> Option<Lost> {
        let text = fs::read_to_string(report(&self.folder)).ok()?;
        let report: Value = serde_json::from_str(&text).ok()?;
        let causes = report["losses"]["causes"].as_array()?.iter();
        let lost = causes
            .filter_map(|row| Some((row["cause"].as_str()?.to_owned(), row["count"].as_u64()?)));
        Some(lost.filter(|(_, count)| *count > 0).collect())
    }
}

fn agent_process(agent: &PathBuf, folder: &Scratch) -> Result<Spawned> {
    let mut command = Command::new(agent);
    command
        .args(["trace", "-q", "--output"])
        .arg(report(folder));
    start(&mut command, folder)
}

fn peer_process(words: &[String], folder: &Scratch) -> Result<Spawned> {
    let (program, arguments) = words.split_first().context("a peer without a program")?;
    start(Command::new(program).args(arguments), folder)
}

fn start(command: &mut Command, folder: &Scratch) -> Result<Spawned> {
    let errors = fs::File::create(errors(folder))?;
    let command = command.current_dir(folder.path()).stdin(Stdio::null());
    Spawned::start(command.stdout(Stdio::null()).stderr(errors))
}

fn report(folder: &Scratch) -> PathBuf {
    folder.path().join("report.json")
}

fn errors(folder: &Scratch) -> PathBuf {
    folder.path().join("errors")
}
