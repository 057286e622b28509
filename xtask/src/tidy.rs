//! `cargo xtask tidy`: the rules of the sources that neither rustfmt nor clippy holds.
//!
//! Every `.rs` file starts with a `//!` header, no line of anything trails whitespace, and links between documents lead
//! somewhere. Prose has at most 100 columns, `README.md` fits one screen, and phrases that nobody understood stay out.
//! Each rule is a pure function of a file's text.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::process;
use crate::workspace::Workspace;

const KINDS: [&str; 5] = ["md", "rs", "sh", "toml", "yaml"];
/// Of a line of a document, outside of tables and code.
const COLUMNS: usize = 100;
/// Lines of `README.md`, without its pictures.
const SCREEN: usize = 60;
/// `phrase => what to write instead`, a line each: phrases that were mended, in lower case.
const PHRASES: &str = include_str!("../phrases.txt");

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

/// What git knows or would add, of [`KINDS`], seen from the workspace.
pub(crate) fn files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
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
    let mut lines = text.split('\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if line.ends_with([' ', '\t', '\r']) {
            breaches.push((number + 1, "has trailing whitespace".to_owned()));
        }
        code ^= line.trim_start().starts_with("```");
        if is("md") && !code {
            let lost = targets(line).filter(|target| !exists(&resolve(path, target)));
            breaches.extend(lost.map(|to| (number + 1, format!("links to {to}: not there"))));
            if is_wide(line) {
                breaches.push((number + 1, format!("has more than {COLUMNS} columns")));
            }
        }
        if is("md") || is("rs") {
            let next = lines.peek().map_or("", |(_, next)| next);
            let found = mended(line, next);
            let rule = |(phrase, instead)| format!("says \"{phrase}\": write \"{instead}\"");
            breaches.extend(found.map(|found| (number + 1, rule(found))));
        }
    }
    let is_text = |line: &&str| !line.starts_with("![");
    if path == Path::new("README.md") && text.lines().filter(is_text).count() > SCREEN {
        let rule =
            format!("has more than {SCREEN} lines: move what is not needed at first to docs/");
        breaches.push((SCREEN + 1, rule));
    }
    breaches
}

/// Prose that could be broken: not a table, not indented code, not a single long word such as a link.
fn is_wide(line: &str) -> bool {
    let prose = line.trim();
    let exempt = prose.starts_with('|') || line.starts_with("    ") || !prose.contains(' ');
    !exempt && line.chars().count() > COLUMNS
}

/// Phrases that begin in this line, which may end in the next, with what to write instead.
fn mended(line: &str, next: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let line = line.to_lowercase();
    let both = format!("{} {}", line.trim(), next.trim().to_lowercase());
    let end = line.trim().len();
    let phrases = PHRASES.lines().filter_map(|line| line.split_once(" => "));
    phrases.filter(move |(phrase, _)| both.find(phrase).is_some_and(|at| at < end))
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
    fn prose_is_narrow_and_the_readme_short() {
        let word = "word ".repeat(21);
        let wide = word.trim();
        let of = |text: &str| lines("docs/report.md", text);
        assert_eq!(of(wide), [1]);
        assert_eq!(of(&format!("- a\n  {wide}")), [2]);
        let full = format!("{}s", &wide[..99]);
        for text in [&full, &format!("| {wide} |"), &format!("    {wide}")] {
            assert_eq!(of(text), [0; 0], "{text}");
        }
        assert_eq!(of(&format!("```\n{wide}\n```")), [0; 0]);
        assert_eq!(of(&"a".repeat(101)), [0; 0]);
        let readme = format!("![a](docs/report.md)\n{}", "a\n".repeat(SCREEN));
        assert_eq!(lines("README.md", &readme), [0; 0]);
        assert_eq!(lines("README.md", &format!("{readme}a\n")), [SCREEN + 1]);
    }

    #[test]
    fn phrases_that_were_mended_stay_out() {
        let phrase = PHRASES.split(" => ").next().unwrap();
        let (first, rest) = phrase.rsplit_once(' ').unwrap();
        assert_eq!(lines("a.md", &format!("It is {phrase}.")), [1]);
        assert_eq!(
            lines("a.md", &format!("b\nIt is {first}\n  {rest} it.")),
            [2]
        );
        assert_eq!(
            lines("a.rs", &format!("//! A.\nlet it = \"{phrase}\";")),
            [2]
        );
        assert_eq!(lines("a.toml", phrase), [0; 0]);
        for line in PHRASES.lines() {
            let (phrase, instead) = line.split_once(" => ").unwrap();
            assert_eq!(phrase, phrase.to_lowercase());
            assert!(!instead.is_empty() && !instead.contains(phrase), "{line}");
        }
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
