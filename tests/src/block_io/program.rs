//! `direct-io`: a process that does exactly what it is told, under the name it is given.
//!
//! Contract: steps in order, again and again with `--for`; with `--log` its account of each
//! request is written at the end, in the form of the disk's log.

use std::ffi::CString;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::direct::Direct;
use super::step::Step;
use crate::clock::monotonic_ns;
use crate::slow_disk::OpLog;
use crate::spawned::program_beside;

/// What `--help` prints.
pub const USAGE: &str = "\
direct-io [OPTIONS] PATH STEP...
  --name NAME   what the process is called
  --log FILE    write each request's times there at the end
  --for MS      do the steps again and again for so long
  --wait        wait for a line on stdin before the first step
  --processes N do the steps in N processes, one after the other (no log)
  -name TEXT    nothing: for a command line that looks like an emulator's
STEP is read|write|discard|zero:OFFSET:LENGTH[:COUNT[:STRIDE]], sync[:COUNT] or sleep:MS;
steps after a `--beside` are done by another thread at the same time";

/// What a `direct-io` is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    pub name: Option<String>,
    pub log: Option<PathBuf>,
    pub repeat: Duration,
    pub wait: bool,
    /// 0: in this one.
    pub processes: u32,
    pub path: PathBuf,
    pub steps: Vec<String>,
    /// Steps of a second thread.
    pub beside: Vec<String>,
}

impl Program {
    /// Reads the command line; `None` means that help is wanted.
    pub fn parse(arguments: &[String]) -> Result<Option<Self>> {
        let mut program = Self::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--name" => program.name = Some(value()?.clone()),
                "--log" => program.log = Some(value()?.into()),
                "--for" => program.repeat = Duration::from_millis(value()?.parse()?),
                "--wait" => program.wait = true,
                "--processes" => program.processes = value()?.parse()?,
                "-name" => drop(value()?),
                "--help" => return Ok(None),
                option if option.starts_with('-') => bail!("`{option}` is not understood"),
                path => {
                    program.path = path.into();
                    let steps = words.by_ref().cloned();
                    program.steps = steps.take_while(|word| word != "--beside").collect();
                    program.beside = words.by_ref().cloned().collect();
                }
            }
        }
        Ok((program.path != Path::new("")).then_some(program))
    }

    /// A command that runs this in a process of its own.
    pub fn command(&self) -> Result<Command> {
        self.command_of(&program_beside("direct-io")?, &[])
    }

    /// The same with a copy of the program, under whatever name it has, and more words before all.
    pub fn command_of(&self, program: &Path, first: &[&str]) -> Result<Command> {
        let mut command = Command::new(program);
        command.args(first);
        if let Some(name) = &self.name {
            command.args(["--name", name]);
        }
        if let Some(log) = &self.log {
            command.arg("--log").arg(log);
        }
        if self.wait {
            command.arg("--wait");
        }
        if self.processes > 0 {
            command.args(["--processes", &self.processes.to_string()]);
        }
        command
            .args(["--for", &self.repeat.as_millis().to_string()])
            .arg(&self.path)
            .args(&self.steps);
        if !self.beside.is_empty() {
            command.arg("--beside").args(&self.beside);
        }
        Ok(command)
    }

    /// Does it in this process.
    pub fn run(&self) -> Result<()> {
        let (steps, beside) = (parsed(&self.steps)?, parsed(&self.beside)?);
        let mut direct = Direct::open(&self.path)?;
        if let Some(name) = &self.name {
            take_name(name)?;
        }
        if self.wait {
            std::io::stdin().lock().lines().next();
        }
        for _ in 0..self.processes {
            in_a_process(|| {
                steps
                    .iter()
                    .try_for_each(|s| s.run(&mut direct, &mut Vec::new()))
            })?;
        }
        if self.processes > 0 {
            return Ok(());
        }
        let log = self.side_by_side(&steps, &beside, &mut direct)?;
        match &self.log {
            Some(path) => std::fs::write(path, log.to_text()).context("writing the log"),
            None => Ok(()),
        }
    }

    /// The account of the first; the second is done as long.
    fn side_by_side(&self, first: &[Step], second: &[Step], direct: &mut Direct) -> Result<OpLog> {
        if second.is_empty() {
            return self.repeat(first, direct);
        }
        let mut another = Direct::open(&self.path)?;
        thread::scope(|scope| {
            let beside = scope.spawn(|| self.repeat(second, &mut another));
            let log = self.repeat(first, direct);
            match beside.join() {
                Ok(done) => done.and(log),
                Err(_) => bail!("the other thread panicked"),
            }
        })
    }

    fn repeat(&self, steps: &[Step], direct: &mut Direct) -> Result<OpLog> {
        let end = Instant::now() + self.repeat;
        let mut records = Vec::new();
        loop {
            for step in steps {
                step.run(direct, &mut records)?;
            }
            if Instant::now() >= end {
                let taken_ns = monotonic_ns();
                return Ok(OpLog { taken_ns, records });
            }
        }
    }
}

fn parsed(steps: &[String]) -> Result<Vec<Step>> {
    steps.iter().map(|step| step.parse()).collect()
}

/// Runs something in a child, and waits for its end.
fn in_a_process(act: impl FnOnce() -> Result<()>) -> Result<()> {
    // SAFETY: this program has one thread, so that the child may do whatever the parent may.
    match unsafe { fork() }.context("forking")? {
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => bail!("a child ended: {other:?}"),
        },
        ForkResult::Child => std::process::exit(act().is_err().into()),
    }
}

fn take_name(name: &str) -> Result<()> {
    let name = CString::new(name).context("a name without NUL")?;
    nix::sys::prctl::set_name(&name).context("setting the name")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Program>> {
        let words: Vec<String> = words.iter().map(|&w| w.to_owned()).collect();
        Program::parse(&words)
    }

    #[test]
    fn options_come_before_the_path() {
        let words = [
            "--name",
            "db",
            "--for",
            "50",
            "/dev/x",
            "read:0:512",
            "sync",
        ];
        let program = parse(&words).unwrap().unwrap();
        assert_eq!(program.name.as_deref(), Some("db"));
        assert_eq!(program.repeat, Duration::from_millis(50));
        assert_eq!(program.steps, ["read:0:512", "sync"]);
        let words = ["-name", "guest=a", "/dev/x", "sync", "--beside", "sleep:1"];
        let program = parse(&words).unwrap().unwrap();
        assert_eq!(
            (program.steps, program.beside),
            (vec!["sync".into()], vec!["sleep:1".into()])
        );
        assert_eq!(parse(&["--help"]).unwrap(), None);
        assert_eq!(parse(&[]).unwrap(), None);
        assert!(parse(&["--fast", "/dev/x"]).is_err());
    }
}
