//! `cargo xtask tidy`: the rules of the sources that neither rustfmt nor clippy holds.
//!
//! Every `.rs` file starts with a `//!` header, no line of anything trails whitespace, and links between documents lead somewhere.
//! Each rule is a pure function of a file's text.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::process;
use crate::workspace::Workspace;

const KINDS: [&str; 5] = ["md", "rs", "sh", "toml", "yaml"];

/// Prints `path:line: rule` for each breach, and fails when there is one.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let root = workspace.root();
    let files = files(workspace)?;
    let mut count = 0;
    for path in &files {
        let text = fs::read_to_string(root.join(path));
        let text = text.with_context(|| format!("reading {}", path.display()))?;
        for (line, rule) in breaches(path, &text, |path| root.join(path).exists()) {
            println!("{}:{line}: {rule}", path.display());
            count += 1;
        }
    }
    println!("tidy: {} files, {count} breaches", files.len());
    ensure!(!files.is_empty() && count == 0, "the sources are not tidy");
    Ok(())
}

/// What git knows or would add, seen from the workspace.
fn files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut git = workspace.git();
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let list = process::read(&mut git).context("git does not say which files there are")?;
    let paths = list.lines().map(PathBuf::from);
    let is_wanted = |path: &PathBuf| {
        let kind = path.extension().and_then(|kind| kind.to_str());
        kind.is_some_and(|kind| KINDS.contains(&kind)) && workspace.root().join(path).is_file()
    };
    Ok(paths.filter(is_wanted).collect())
}

/// Line and rule of each.
fn breaches(path: &Path, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<(usize, String)> {
    let mut breaches = Vec::new();
    let is = |kind: &str| path.extension().is_some_and(|extension| extension == kind);
    if is("rs") && !text.starts_with("//!") {
        let rule = "does not start with a //! header that says what the module promises";
        breaches.push((1, rule.to_owned()));
    }
    let mut code = false;
    for (number, line) in text.split('\n').enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            breaches.push((number + 1, "has trailing whitespace".to_owned()));
        }
        code ^= line.trim_start().starts_with("```");
        if is("md") && !code {
            let lost = targets(line).filter(|target| !exists(&resolve(path, target)));
            breaches.extend(lost.map(|to| (number + 1, format!("links to {to}: not there"))));
        }
    }
    breaches
}

/// The files of `[text](target)`, outside of code, without the part behind `#`.
fn targets(line: &str) -> impl Iterator<Item = String> {
    let prose: String = line.split('`').step_by(2).collect();
    let links = prose.split("](").skip(1);
    let targets = links.filter_map(|rest| rest.split([')', ' ', '#']).next());
    let is_local = |target: &&str| !target.is_empty() && !target.contains(':');
    let targets: Vec<_> = targets.filter(is_local).map(str::to_owned).collect();
    targets.into_iter()
}

/// Seen from the workspace, and inside of it.
fn resolve(document: &Path, target: &str) -> PathBuf {
    let mut path = PathBuf::from(document.parent().unwrap_or(Path::new("")));
    for part in target.split('/') {
        match part {
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let exists =
            |path: &Path| ["README.md", "docs/report.md"].contains(&path.to_str().unwrap());
        let breaches = breaches(Path::new(path), text, exists);
        breaches.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn sources_have_a_header_and_no_line_trails() {
        assert_eq!(lines("a.rs", "//! Says what it is.\n\nfn a() {}\n"), [0; 0]);
        assert_eq!(lines("a.rs", "use std::fs;\n//! Late.\n"), [1]);
        assert_eq!(lines("a.toml", "a\nb \nc\t\nd\r\n"), [2, 3, 4]);
    }

    #[test]
    fn links_are_seen_from_their_document() {
        let text =
            "[a](report.md) [b](../README.md#use) [`c`](#part)\n[d](README.md)\n[`e`](gone.md)\n";
        assert_eq!(lines("docs/principles.md", text), [2, 3]);
        let code = "[a](https://example.org) `[c](d)`\n```\n[e](f)\n```\n";
        assert_eq!(lines("docs/principles.md", code), [0; 0]);
    }
}
