//! Links in documents: those to files of the repository have to lead somewhere.

use std::path::{Component, Path, PathBuf};

use super::Breach;

/// The links of the document at `path` for which there is no file.
pub(super) fn broken(path: &Path, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<Breach> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let lost = |target: &String| is_local(target) && !exists(&resolve(directory, target));
    let mut breaches = Vec::new();
    for (line, text) in prose(text) {
        let lost = targets(&text).into_iter().filter(&lost);
        breaches.extend(
            lost.map(|target| Breach::new(line, format!("links to {target}, which is not there"))),
        );
    }
    breaches
}

/// Numbered lines outside code blocks, without `code`.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        let prose = line.split('`').step_by(2).collect();
        (!code && !fence).then_some((index + 1, prose))
    })
}

/// Of `[text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<String> {
    let inline = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next());
    let named = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "));
    inline
        .chain(named.map(|(_, target)| target.trim()))
        .map(str::to_owned)
        .collect()
}

fn is_local(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

/// Without `..`, and without the part of the document after `#`.
fn resolve(directory: &Path, target: &str) -> PathBuf {
    let file = target.split('#').next().unwrap_or(target);
    let mut path = PathBuf::new();
    for component in directory.join(file).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            component => path.push(component),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(text: &str) -> Vec<usize> {
        let exists =
            |path: &Path| path == Path::new("README.md") || path == Path::new("docs/report.md");
        broken(Path::new("docs/principles.md"), text, exists)
            .iter()
            .map(|breach| breach.line)
            .collect()
    }

    #[test]
    fn links_are_seen_from_their_document() {
        assert_eq!(
            lost("[a](report.md), [b](../README.md#use)\n[c](README.md)\n[d]: gone.md\n"),
            [2, 3]
        );
    }

    #[test]
    fn only_links_to_files_count() {
        assert_eq!(
            lost("[a](https://example.org/x) [b](#part) `[c](d)`\n```\n[e](f)\n```\n"),
            [0; 0]
        );
    }

    #[test]
    fn a_link_may_be_named_by_code() {
        assert_eq!(lost("[`report`](report.md) and [`gone`](gone.md)\n"), [1]);
    }
}
