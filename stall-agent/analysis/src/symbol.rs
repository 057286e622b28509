//! Names of kernel functions on a stack.

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

/// Without what compilers append to the names of copies they make: `.isra.0`, `.constprop.0`, `.cold`, `.llvm.1`.
fn plain(symbol: &str) -> &str {
    symbol.split_once('.').map_or(
        symbol,
        |(name, _)| if name.is_empty() { symbol } else { name },
    )
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
    fn a_star_stands_for_any_beginning_or_end() {
        assert!(is_meant("*_trim_fs", "ext4_trim_fs"));
        assert!(!is_meant("*_trim_fs", "ext4_trim_fs_extra"));
        assert!(is_meant("xfs_discard*", "xfs_discard_endio_work"));
        assert!(!is_meant("lo_fallocate", "lo_fallocate2"));
    }
}
