//! Names of kernel functions on a stack.

use std::collections::HashMap;

use stall_capture::{Capture, Stack};

/// The stack of an index, when there is one with any name on it.
pub(super) fn stack(capture: &Capture, index: Option<usize>) -> Option<&Stack> {
    let stack = capture.stacks.get(index?)?;
    names(stack).next().is_some().then_some(stack)
}

/// Its functions, innermost first; frames without a name are passed over.
pub(super) fn names(stack: &Stack) -> impl Iterator<Item = &str> {
    stack
        .frames
        .iter()
        .filter_map(|frame| frame.symbol.as_deref())
        .map(plain)
}

/// A function on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    /// The module it is in, when not the kernel proper.
    pub(super) module: Option<&'a str>,
}

/// Its functions with their modules, innermost first.
pub(super) fn functions(stack: &Stack) -> impl Iterator<Item = Function<'_>> {
    stack.frames.iter().filter_map(|frame| {
        Some(Function {
            name: plain(frame.symbol.as_deref()?),
            module: frame.module.as_deref(),
        })
    })
}

/// Without what compilers append to the names of copies they make: `.isra.0`, `.constprop.0`, `.cold`, `.llvm.1`.
fn plain(symbol: &str) -> &str {
    symbol.split_once('.').map_or(
        symbol,
        |(name, _)| if name.is_empty() { symbol } else { name },
    )
}

/// Lists of patterns, of which the first that means a name is looked for. There are thousands of patterns and a
/// capture has thousands of functions.
pub(super) struct Index {
    exact: HashMap<&'static str, usize>,
    /// Patterns that end in `*`, by the first bytes of what they begin with.
    beginnings: HashMap<&'static [u8], Vec<(&'static str, usize)>>,
    ends: Vec<(&'static str, usize)>,
}

/// Bytes that a pattern ending in `*` has before it, at least.
const BEGINNING: usize = 3;

impl Index {
    pub(super) fn new(lists: impl Iterator<Item = (usize, &'static str)>) -> Self {
        let mut index = Self {
            exact: HashMap::new(),
            beginnings: HashMap::new(),
            ends: Vec::new(),
        };
        for (list, patterns) in lists {
            for pattern in patterns.split_whitespace() {
                index.add(pattern, list);
            }
        }
        index
    }

    fn add(&mut self, pattern: &'static str, list: usize) {
        if let Some(end) = pattern.strip_prefix('*') {
            self.ends.push((end, list));
        } else if let Some(beginning) = pattern.strip_suffix('*') {
            let first = beginning.as_bytes().first_chunk::<BEGINNING>();
            let first = first.expect("a pattern has three bytes before its star");
            self.beginnings
                .entry(first)
                .or_default()
                .push((beginning, list));
        } else {
            self.exact.entry(pattern).or_insert(list);
        }
    }

    /// The first list with a pattern that means the name.
    pub(super) fn first(&self, name: &str) -> Option<usize> {
        let exact = self.exact.get(name).copied();
        let first = name.as_bytes().first_chunk::<BEGINNING>();
        let beginnings = first.and_then(|first| self.beginnings.get(first.as_slice()));
        let beginnings = beginnings.into_iter().flatten();
        let begins = beginnings.filter(|(beginning, _)| name.starts_with(beginning));
        let ends = self.ends.iter().filter(|(end, _)| name.ends_with(end));
        let starred = begins.chain(ends).map(|(_, list)| *list);
        exact.into_iter().chain(starred).min()
    }
}

/// Whether a name is meant by one of the patterns, which are separated by spaces.
pub(super) fn is_one_of(patterns: &str, name: &str) -> bool {
    patterns
        .split_whitespace()
        .any(|pattern| is_meant(pattern, name))
}

/// Whether a name is meant by a pattern: the name itself, or with `*` at its start or end any that ends or begins
/// with the rest.
fn is_meant(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (None, Some(beginning)) => name.starts_with(beginning),
        (None, None) => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compilers_copy_has_the_name_of_the_original() {
        assert_eq!(plain("btrfs_ioctl_fitrim.isra.0"), "btrfs_ioctl_fitrim");
        assert_eq!(plain(".text"), ".text");
    }

    #[test]
    fn an_index_finds_the_first_list_of_any_pattern() {
        let lists = ["xfs_a *_end", "xfs_* foo", "foo xfs_a"];
        let index = Index::new(lists.into_iter().enumerate());
        let found =
            ["xfs_a", "xfs_b", "foo", "xfs_end", "xf", "other"].map(|name| index.first(name));
        assert_eq!(found, [Some(0), Some(1), Some(1), Some(0), None, None]);
    }

    #[test]
    fn a_star_stands_for_any_beginning_or_end() {
        assert!(is_meant("*_trim_fs", "ext4_trim_fs"));
        assert!(!is_meant("*_trim_fs", "ext4_trim_fs_extra"));
        assert!(is_meant("xfs_discard*", "xfs_discard_endio_work"));
        assert!(!is_meant("lo_fallocate", "lo_fallocate2"));
    }
}
