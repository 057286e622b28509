//! `cargo xtask tidy`: the rules of the sources that neither rustfmt nor clippy holds.
//!
//! Prints `path:line: rule` for each breach, and how long the functions are. Every rule is a pure
//! function of a file's text; only this file and `files` touch the disk.

mod files;
mod functions;
mod links;
mod mask;
mod rules;

use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use files::File;
use functions::Lengths;

/// A rule that a file breaks, and where.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    line: usize,
    rule: String,
}

impl Breach {
    fn new(line: usize, rule: impl Into<String>) -> Self {
        Self {
            line,
            rule: rule.into(),
        }
    }
}

/// Fails when a file breaks a rule, or the functions are too long on the whole.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let root = workspace.root();
    let files = files::read(root)?;
    let breaches = files.iter().map(|file| report(file, root)).sum::<usize>();
    let lengths = Lengths::of(&files);
    println!(
        "tidy: {} files, {breaches} breaches; {lengths}",
        files.len()
    );
    if breaches > 0 || !lengths.acceptable() {
        bail!("the sources are not tidy");
    }
    Ok(())
}

fn report(file: &File, root: &Path) -> usize {
    let breaches = check(file, root);
    for Breach { line, rule } in &breaches {
        println!("{}:{line}: {rule}", file.path.display());
    }
    breaches.len()
}

fn check(file: &File, root: &Path) -> Vec<Breach> {
    let mut breaches = rules::trailing_whitespace(&file.text);
    if file.is("rs") {
        breaches.extend(rules::source(&file.path, &file.text));
    }
    if file.is("md") {
        breaches.extend(links::broken(&file.path, &file.text, |path| {
            root.join(path).exists()
        }));
    }
    breaches
}
