//! `cargo xtask demo`: builds everything, then becomes the program that stages the incident.
//!
//! What can be compiled without the BPF compiler is, while set-up gets that; both keep what they print in `target/demo`, and one line
//! says how far they are. The incident's program takes everything down again, also after a signal; being it, nothing is in between.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::setup::runtime::STAGING;
use crate::workspace::Workspace;
use crate::{build, process, setup};

/// The agent, what stages the incident, and its disk.
const PROGRAMS: [&str; 3] = ["stall-agent", "incident", "slow-disk"];
/// What cargo says of a package when it begins with it.
const COMPILING: &str = "   Compiling ";

pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    prepare(workspace)?;
    let mut command = Command::new(workspace.dev("incident"));
    command.arg("--agent").arg(workspace.dev("stall-agent"));
    process::become_program(command.args(arguments))
}

fn prepare(workspace: &Workspace) -> Result<()> {
    let logs = Logs::new(workspace)?;
    process::keep_output_in(File::create(&logs.setup)?);
    let built = File::create(&logs.build)?;
    let begin = Instant::now();
    let (ended, end) = channel();
    let result = thread::scope(|scope| {
        let shown = &logs;
        scope.spawn(move || show(shown, packages(workspace), begin, &end));
        let early = scope.spawn(|| {
            let mut command = build::dev(workspace, &PROGRAMS);
            // It fails where there is no BPF compiler yet, when all else is done.
            process::run_into(command.arg("--keep-going"), &built)
        });
        let set_up = setup::run(workspace, &[STAGING]).map_err(|error| (&logs.setup, error));
        if set_up.is_ok() {
            setup::say("done");
        }
        let _missing = early.join();
        let mut command = build::dev(workspace, &PROGRAMS);
        let built = set_up.and_then(|_| {
            process::run_into(&mut command, &built).map_err(|error| (&logs.build, error))
        });
        drop(ended);
        built
    });
    result.map_err(|(log, error)| {
        eprint!("{}", fs::read_to_string(log).unwrap_or_default());
        error.context(format!("the demo cannot be built ({})", log.display()))
    })
}

struct Logs {
    setup: PathBuf,
    build: PathBuf,
}

impl Logs {
    fn new(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target().join("demo");
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        Ok(Self {
            setup: folder.join("setup.log"),
            build: folder.join("build.log"),
        })
    }
}

/// How many packages are compiled, less those that were for this very program; none where cargo does not say.
fn packages(workspace: &Workspace) -> usize {
    let all = tree(workspace, &build::PACKAGES);
    all.difference(&tree(workspace, &["xtask"])).count()
}

fn tree(workspace: &Workspace, packages: &[&str]) -> BTreeSet<String> {
    let mut command = workspace.cargo();
    command.args(["tree", "--locked", "--edges=normal,build", "--prefix=none"]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    let tree = process::read(&mut command).unwrap_or_default();
    let words = tree.lines().map(|line| line.split(' ').take(2));
    let names = words.map(|words| words.collect::<Vec<_>>().join(" "));
    names.filter(|name| !name.is_empty()).collect()
}

/// One line that is written over on a terminal, and again now and then elsewhere, until the end.
fn show(logs: &Logs, packages: usize, begin: Instant, end: &Receiver<()>) {
    let terminal = io::stderr().is_terminal();
    let every = Duration::from_millis(if terminal { 500 } else { 20_000 });
    while end.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        let line = line(logs, packages, begin.elapsed());
        let mut stderr = io::stderr();
        let shown = if terminal {
            write!(stderr, "\r\x1b[K{line}")
        } else {
            writeln!(stderr, "{line}")
        };
        if shown.is_err() {
            return;
        }
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
    eprintln!("demo: built in {}", minutes(begin.elapsed()));
}

fn line(logs: &Logs, packages: usize, elapsed: Duration) -> String {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let (setup, build) = (read(&logs.setup), read(&logs.build));
    let compiled: Vec<&str> = compiled(&build).collect();
    let last = compiled
        .last()
        .map_or_else(String::new, |name| format!(" ({name})"));
    let setup = setup.lines().rfind(|line| line.starts_with(setup::MARK));
    let setup = setup.map_or_else(String::new, |line| format!("; {line}"));
    let (elapsed, count) = (minutes(elapsed), compiled.len());
    let text = format!("demo: {elapsed}; compiled {count} of {packages} packages{last}{setup}");
    // What does not fit into a line cannot be written over.
    text.chars().take(79).collect()
}

/// Each package once, as a build that is begun again says it again.
fn compiled(log: &str) -> impl Iterator<Item = &str> {
    let mut seen = BTreeSet::new();
    let lines = log.lines().filter_map(|line| line.strip_prefix(COMPILING));
    let names = lines.map(|line| line.split(" v").next().unwrap_or(line));
    names.filter(move |name| seen.insert(*name))
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_is_begun_again_counts_once() {
        let log = "  Downloaded a v1\n   Compiling a v1.0.0\n   Compiling own v0.1.0 (/work/own)\n   Compiling own v0.1.0 (/work/own)\n";
        assert_eq!(compiled(log).collect::<Vec<_>>(), ["a", "own"]);
        assert_eq!(minutes(Duration::from_secs(125)), "2:05");
    }
}
