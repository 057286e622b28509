//! `cargo xtask fuzz [--seconds N] [--keep] [TARGET...]`: libFuzzer on what reads foreign bytes, one target after another.
//!
//! Bounded: time per target, 2 GiB of memory, a minute and 64 KiB per input. Built with the compiler of everything else and the flags
//! of cargo-fuzz, without a sanitizer: the code under test is safe Rust. What is
//! found is kept in `target/fuzz/corpus`, what breaks something in `fuzz/artifacts`; both are read again the next time. `--keep` brings
//! what reaches new code into `fuzz/corpus`, minimised: small, and never in place of a seed, which has a name.

mod corpus;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace::Workspace;
use crate::{process, setup};

/// What cargo-fuzz gives rustc: counters at each edge, a table of them, and what is compared with what.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Branches that are folded into one are one to the counters.
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg",
    "fuzzing",
];

/// Of one input.
const BOUNDS: [&str; 4] = [
    "-rss_limit_mb=2048",
    "-malloc_limit_mb=1024",
    "-timeout=60",
    "-max_len=65536",
];

/// What is wanted.
pub(crate) struct Wanted {
    /// Of each target.
    pub(crate) seconds: u64,
    pub(crate) keep: bool,
    /// All without.
    pub(crate) targets: Vec<String>,
}

/// Goes on after a target that found something, and then fails.
pub(crate) fn run(workspace: &Workspace, wanted: &Wanted) -> Result<()> {
    let fuzz = Fuzz::new(workspace)?;
    let targets = fuzz.chosen(&wanted.targets)?;
    setup::run(workspace, &[])?;
    fuzz.build(workspace)?;
    let mut broken = Vec::new();
    for target in targets {
        println!("== {target}: {} s", wanted.seconds);
        if let Err(error) = fuzz.play(&target, wanted.seconds) {
            broken.push(format!("{target} ({error:#})"));
        } else if wanted.keep {
            fuzz.keep(&target)?;
        }
    }
    ensure!(
        broken.is_empty(),
        "see {}: {}",
        fuzz.artifacts.display(),
        broken.join(", ")
    );
    Ok(())
}

/// Where everything is.
struct Fuzz {
    sources: PathBuf,
    /// Committed.
    corpus: PathBuf,
    artifacts: PathBuf,
    target: PathBuf,
    host: String,
}

impl Fuzz {
    fn new(workspace: &Workspace) -> Result<Self> {
        let sources = workspace.root().join("fuzz");
        let host = process::read(Command::new("rustc").args(["--print", "host-tuple"]));
        Ok(Self {
            corpus: sources.join("corpus"),
            artifacts: sources.join("artifacts"),
            target: workspace.target().join("fuzz"),
            host: host.context("rustc does not say what it builds for")?,
            sources,
        })
    }

    /// Those of these names; each has a folder of inputs to start from.
    fn chosen(&self, names: &[String]) -> Result<Vec<String>> {
        let folders = fs::read_dir(&self.corpus).context("there is no corpus")?;
        let folders = folders.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut all: Vec<String> = folders.collect();
        all.sort();
        if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
            bail!("there is no target {unknown}; there are {}", all.join(", "));
        }
        if !names.is_empty() {
            all.retain(|name| names.contains(name));
        }
        Ok(all)
    }

    /// With a target named, so that the flags are not those of build scripts.
    fn build(&self, workspace: &Workspace) -> Result<()> {
        let mut command = workspace.cargo();
        command.args(["build", "--release", "--locked", "--target", &self.host]);
        command.arg("--manifest-path");
        command.arg(self.sources.join("Cargo.toml"));
        command.arg("--target-dir").arg(&self.target);
        command.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
        process::run(&mut command)
    }

    fn found(&self, target: &str) -> PathBuf {
        self.target.join("corpus").join(target)
    }

    fn program(&self, target: &str) -> Command {
        let folder = self.target.join(&self.host).join("release");
        let mut command = Command::new(folder.join(target));
        // What it is given as files is not what it finds on the machine.
        command.current_dir(&self.target).args(BOUNDS);
        command
    }

    fn play(&self, target: &str, seconds: u64) -> Result<()> {
        let (found, artifacts) = (self.found(target), self.artifacts.join(target));
        for folder in [&found, &artifacts] {
            fs::create_dir_all(folder)?;
        }
        let mut command = self.program(target);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.args(["-print_final_stats=1", "-verbosity=1"]);
        // The first folder takes what is found.
        command.args([&found, &self.corpus.join(target), &artifacts]);
        process::run(&mut command)
    }

    /// The fewest inputs that reach what all of them reach.
    fn keep(&self, target: &str) -> Result<()> {
        let (committed, minimal) = (self.corpus.join(target), self.target.join("minimal"));
        let _absent = fs::remove_dir_all(&minimal);
        fs::create_dir_all(&minimal)?;
        let mut command = self.program(target);
        command.arg("-set_cover_merge=1");
        command.args([&minimal, &committed, &self.found(target)]);
        process::run(&mut command)?;
        let kept = corpus::replace(&committed, &minimal)?;
        println!("== {target}: {kept} inputs kept");
        Ok(fs::remove_dir_all(minimal)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_not_there_is_named() {
        let workspace = Workspace::find().expect("the tests run in it");
        let fuzz = Fuzz::new(&workspace).expect("there is a compiler");
        assert!(fuzz.chosen(&[]).expect("there are some").len() > 3);
        let one = fuzz.chosen(&["btf".to_owned()]).expect("it is there");
        assert_eq!(one, ["btf"]);
        let error = fuzz.chosen(&["bft".to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("there is no target bft; there are btf, "));
    }
}
