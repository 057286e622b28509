//! `cargo xtask test`: the checks and tests, and one line of counts at the very end.
//!
//! The short form runs the agent that is built soonest. `--full` runs the one that is handed out, and has more: the page in a browser,
//! the mixes, what the agent costs, a virtual machine, and other kernels in emulated machines. A step that fails does not stop the later ones, so that the counts are whole; what failed is said again before them. Formatting, the
//! lints of each target and the rules of `tidy` count as one test each. Property tests have the same cases in every run.

mod kernels;
mod suite;
mod tally;
mod told;

use std::env;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::kept::Kept;
use crate::setup::runtime::{BROWSER, STAGING, TESTS};
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use crate::{build, dist, process, setup, tidy, vm, worlds};
use kernels::Plan;
use tally::Tally;

/// All but the programs in the kernel, which the host cannot compile.
const HOST: [&str; 4] = ["--workspace", "--exclude", "stall-agent-ebpf", "--locked"];

/// Names the agent under test to the tests on the real kernel.
const AGENT: &str = "STALL_AGENT_BIN";
/// Has them run those that are for the full form only.
const FULL: &str = "STALL_FULL";
/// Describes a small virtual machine to them; or says why there is none.
const MACHINE: &str = "STALL_MACHINE";
const NO_MACHINE: &str = "STALL_NO_MACHINE";

/// The seed of proptest's cases, the same in every run, so that a run that fails tells of a change and not of luck. What other
/// cases would show is what `cargo xtask fuzz` is for. Set to another number, it tries others.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "20261125");

/// Fails, by its exit code alone, when anything did.
pub(crate) fn run(workspace: &Workspace, full: bool) -> ExitCode {
    let mut run = Run {
        workspace,
        full,
        tally: Tally::default(),
        failures: Vec::new(),
    };
    let browser = if full { BROWSER } else { &[] };
    let programs = [STAGING, TESTS, browser];
    let toolchain = run.needed("set-up", || setup::run(workspace, &programs));
    run.checks(toolchain.as_ref());
    run.suites();
    if full {
        run.kernels();
    }
    for failure in &run.failures {
        println!("failed: {failure}");
    }
    println!("{}", run.tally);
    if run.tally.clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Run<'a> {
    workspace: &'a Workspace,
    full: bool,
    tally: Tally,
    /// Said again before the counts.
    failures: Vec<String>,
}

impl Run<'_> {
    fn checks(&mut self, toolchain: Option<&Toolchain>) {
        let workspace = self.workspace;
        self.needed("rustfmt and clippy", || components(workspace));
        self.check("formatting", || {
            process::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
            let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
            process::run(workspace.cargo().args(fuzz))
        });
        self.check("clippy, host", || process::run(&mut clippy(workspace)));
        match toolchain.and_then(|toolchain| clippy_bpf(workspace, toolchain)) {
            Some(mut command) => self.check("clippy, BPF", || process::run(&mut command)),
            None => self.skip("clippy, BPF", "the BPF compiler came without clippy"),
        }
        self.check("tidy", || tidy::run(workspace));
        match Kept::get(workspace) {
            Ok(kept) => {
                self.check("licenses and origins", || kept.deny(workspace));
                self.check("manifests", || kept.manifests(workspace));
                self.check("spelling", || {
                    kept.spelling(workspace, &tidy::files(workspace)?)
                });
                let mut agent = build::dev(workspace, &["stall-agent"]);
                self.needed("the agent", || process::run(&mut agent));
                let agent = workspace.dev("stall-agent");
                self.check("formats", || kept.formats(workspace, &agent));
            }
            Err(error) => {
                for name in ["licenses and origins", "manifests", "spelling", "formats"] {
                    self.skip(name, &format!("{error:#}"));
                }
            }
        }
    }

    fn suites(&mut self) {
        let workspace = self.workspace;
        self.suite(
            "unit and property tests",
            cargo_test(workspace, &["--lib", "--bins"]),
        );
        self.suite(
            "examples in documentation",
            cargo_test(workspace, &["--doc"]),
        );
        self.check("worlds, judged", || worlds::test(workspace));
        let mut real_kernel = cargo_test(workspace, &["--test", "*"]);
        if self.full {
            self.needed("the agent", || build::release(workspace, &["stall-agent"]));
            real_kernel.env(AGENT, workspace.release("stall-agent"));
            real_kernel.env(FULL, "1");
            match vm::reader::describe(workspace) {
                Ok(machine) => real_kernel.env(MACHINE, machine),
                Err(error) => real_kernel.env(NO_MACHINE, format!("{error:#}")),
            };
        } else {
            let mut agent = build::dev(workspace, &["stall-agent"]);
            self.needed("the agent", || process::run(&mut agent));
            real_kernel.env(AGENT, workspace.dev("stall-agent"));
            real_kernel.env(NO_MACHINE, "only with cargo xtask test --full");
        }
        self.suite("tests on the real kernel", real_kernel);
    }

    /// Last: it takes minutes, and the network.
    fn kernels(&mut self) {
        let workspace = self.workspace;
        let name = "other kernels, emulated";
        match self.needed("parts of other kernels", || kernels::plan(workspace)) {
            Some(Plan::Run(kernels, downloads)) => {
                let tally = self.needed(name, || kernels::run(workspace, &kernels, downloads));
                self.tally += tally.unwrap_or_default();
                self.check("size of the static agents", || dist::check_built(workspace));
            }
            Some(Plan::Skip(reason)) => {
                println!("== {name}: skipped: {reason}");
                self.tally.skipped += kernels::skipped();
            }
            None => {}
        }
    }

    /// Not a test, but what later steps need: counted only when it fails.
    fn needed<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        let result = timed(name, step);
        let failed = |error| {
            self.tally += Tally::one_failed();
            self.failures.push(format!("{name}: {error:#}"));
        };
        result.map_err(failed).ok()
    }

    fn check(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        let passed = self.needed(name, step).is_some();
        self.tally.passed += u64::from(passed);
    }

    fn suite(&mut self, name: &str, command: Command) {
        let outcome = self.needed(name, || suite::run(command));
        let outcome = outcome.unwrap_or_default();
        self.tally += outcome.tally;
        self.failures.extend(outcome.failures);
    }

    fn skip(&mut self, name: &str, reason: &str) {
        println!("== {name}: skipped: {reason}");
        self.tally.skipped += 1;
    }
}

/// The result of a step, between two lines that tell of it; the error of one that fails is told too.
fn timed<T>(name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("== {name}");
    let start = Instant::now();
    let result = step();
    let seconds = start.elapsed().as_secs_f32();
    match &result {
        Ok(_) => println!("== {name}: done in {seconds:.1} s"),
        Err(error) => println!("== {name}: FAILED in {seconds:.1} s: {error:#}"),
    }
    result
}

/// rustup's smallest profile comes without these two.
fn components(workspace: &Workspace) -> Result<()> {
    let has = |tool: &str| process::succeeds(workspace.cargo().args([tool, "--version"]));
    if has("fmt") && has("clippy") {
        return Ok(());
    }
    let mut command = Command::new("rustup");
    command
        .args(["component", "add", "rustfmt", "clippy"])
        .current_dir(workspace.root());
    process::run(&mut command).context("cargo fmt or cargo clippy is missing")
}

fn clippy(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    command
        .arg("clippy")
        .args(HOST)
        .args(["--all-targets", "--", "-D", "warnings"]);
    command
}

/// With the clippy of the BPF compiler, which knows the target.
fn clippy_bpf(workspace: &Workspace, toolchain: &Toolchain) -> Option<Command> {
    let cargo_clippy = toolchain
        .clippy_driver
        .as_ref()?
        .with_file_name("cargo-clippy");
    let mut command = toolchain.command(&cargo_clippy);
    command.current_dir(workspace.root()).args([
        "clippy",
        "--locked",
        "--package",
        "stall-agent-ebpf",
    ]);
    command
        .arg("--target-dir")
        .arg(workspace.bpf_target())
        .args(toolchain.options());
    command.args(["--", "-D", "warnings"]);
    Some(command)
}

/// The same packages each time, so that what they depend on is built once.
fn cargo_test(workspace: &Workspace, targets: &[&str]) -> Command {
    let mut command = workspace.cargo();
    command
        .arg("test")
        .args(HOST)
        .arg("--no-fail-fast")
        .args(targets);
    let (name, seed) = SEED;
    if env::var_os(name).is_none() {
        command.env(name, seed);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_tests_have_the_same_cases_in_every_run() {
        let workspace = Workspace::find().expect("the tests run in it");
        let command = cargo_test(&workspace, &["--lib"]);
        let mut set = command.get_envs();
        let seed = set.find(|(name, _)| *name == SEED.0);
        let given = env::var_os(SEED.0);
        assert!(given.is_some() || seed == Some((SEED.0.as_ref(), Some(SEED.1.as_ref()))));
        assert!(SEED.1.parse::<u64>().is_ok(), "proptest takes no other");
    }
}
