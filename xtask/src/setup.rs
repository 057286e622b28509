//! `cargo xtask setup`: the BPF compiler, its linker, and the programs the tests run.
//!
//! Two ways: Debian's packages, or a rustup nightly with `rust-src`. What is complete already is
//! taken; else Debian's packages where apt can install them. Says what it installs, changes nothing
//! that is there, and is quick when nothing is missing. Where neither way is open, one sentence.
//! Each command has only those programs installed that it runs.

mod apt;
mod debian;
mod linker;
mod pins;
mod proof;
pub(crate) mod runtime;
mod rustup;
mod say;

use std::fs;

use anyhow::{Context as _, Result};

use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use runtime::{Program, STAGING, TESTS};
pub(crate) use say::{MARK, say};

/// Sets up, and says what is in use.
pub(crate) fn report(workspace: &Workspace) -> Result<()> {
    let toolchain = run(workspace, &[STAGING, TESTS])?;
    say(&format!(
        "ready: {}, {}",
        toolchain.version,
        pins::linker_name()
    ));
    Ok(())
}

/// Leaves a working toolchain recorded in `.toolchain/bpf`, and these programs installed.
pub(crate) fn run(workspace: &Workspace, programs: &[&[Program]]) -> Result<Toolchain> {
    let setup = Setup::new(workspace)?;
    let toolchain = setup.toolchain()?;
    setup.record(&toolchain)?;
    runtime::ensure(programs)?;
    Ok(toolchain)
}

struct Setup<'a> {
    workspace: &'a Workspace,
    recorded: Option<Toolchain>,
}

impl<'a> Setup<'a> {
    fn new(workspace: &'a Workspace) -> Result<Self> {
        let dir = workspace.toolchain_dir();
        fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        Ok(Self {
            workspace,
            recorded: Toolchain::read(&dir),
        })
    }

    fn toolchain(&self) -> Result<Toolchain> {
        let ways = [debian::install, rustup::install];
        let made = || ways.iter().find_map(|way| self.made(way(self.workspace)));
        self.complete().or_else(made).with_context(pins::advice)
    }

    /// Whichever way has everything.
    fn complete(&self) -> Option<Toolchain> {
        let debian = debian::find(self.workspace).filter(|found| found.clippy_driver.is_some());
        let found = debian.into_iter().chain(rustup::find(self.workspace));
        found.filter_map(|found| self.proven(found)).next()
    }

    /// A way that fails is told, and the next one is tried.
    fn made(&self, attempt: Result<Option<Toolchain>>) -> Option<Toolchain> {
        let made = attempt.unwrap_or_else(|error| {
            say(&format!("{error:#}"));
            None
        });
        made.and_then(|made| self.proven(made))
    }

    fn proven(&self, found: Toolchain) -> Option<Toolchain> {
        if self.recorded.as_ref() == Some(&found) {
            return Some(found);
        }
        match proof::build_a_program(self.workspace, &found) {
            Ok(()) => Some(found),
            Err(error) => {
                say(&format!(
                    "{} does not build BPF programs: {error:#}",
                    found.version
                ));
                None
            }
        }
    }

    fn record(&self, toolchain: &Toolchain) -> Result<()> {
        if self.recorded.as_ref() == Some(toolchain) {
            return Ok(());
        }
        toolchain.write(&self.workspace.toolchain_dir())
    }
}
