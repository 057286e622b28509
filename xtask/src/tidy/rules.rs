//! The rules for one source file, each a pure function of its text.

use std::path::Path;

use super::Breach;
use super::mask::mask;

const LONGEST_FILE: usize = 400;
/// The programs in the kernel are to be read in one go.
const LONGEST_BPF_FILE: usize = 160;
const NAMES_THAT_SAY_NOTHING: [&str; 7] = [
    "common", "helper", "helpers", "types", "util", "utils", "misc",
];

/// Everything asked of a `.rs` file.
pub(super) fn source(path: &Path, text: &str) -> Vec<Breach> {
    let masked = mask(text);
    let mut breaches = header(text);
    breaches.extend(length(path, text));
    breaches.extend(name(path));
    breaches.extend(allowances(&masked));
    breaches.extend(unsafe_without_reason(text, &masked));
    breaches
}

pub(super) fn trailing_whitespace(text: &str) -> Vec<Breach> {
    let trails = |line: &str| line.ends_with([' ', '\t', '\r']);
    breaches(text, trails, "has trailing whitespace")
}

fn header(text: &str) -> Vec<Breach> {
    if text.starts_with("//!") {
        return Vec::new();
    }
    vec![Breach::new(
        1,
        "does not start with a //! header that says what the module promises",
    )]
}

fn length(path: &Path, text: &str) -> Vec<Breach> {
    let bpf = path.starts_with("stall-agent-ebpf");
    let most = if bpf { LONGEST_BPF_FILE } else { LONGEST_FILE };
    let lines = text.lines().count();
    if lines <= most {
        return Vec::new();
    }
    vec![Breach::new(
        most + 1,
        format!("has {lines} lines, of at most {most}"),
    )]
}

fn name(path: &Path) -> Vec<Breach> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    if !NAMES_THAT_SAY_NOTHING.contains(&stem.as_ref()) {
        return Vec::new();
    }
    vec![Breach::new(
        1,
        format!("is named {stem}, which says nothing of what is in it"),
    )]
}

fn allowances(masked: &str) -> Vec<Breach> {
    let allows = |line: &str| line.contains("#[allow") || line.contains("#![allow");
    breaches(
        masked,
        allows,
        "allows a lint: use #[expect(.., reason = \"..\")]",
    )
}

fn unsafe_without_reason(text: &str, masked: &str) -> Vec<Breach> {
    let lines: Vec<_> = text.lines().collect();
    let code = masked
        .lines()
        .enumerate()
        .filter(|(_, code)| is_unsafe(code));
    let bare = code.filter(|(index, _)| !has_reason(&lines, *index));
    bare.map(|(index, _)| Breach::new(index + 1, "is unsafe without a SAFETY comment above it"))
        .collect()
}

/// A block, an implementation, or a function with a name; not a function's type.
fn is_unsafe(code: &str) -> bool {
    let after = code
        .match_indices("unsafe ")
        .map(|(at, word)| code[at + word.len()..].trim_start());
    let mut after = after.map(|after| after.strip_prefix("extern ").map_or(after, str::trim_start));
    after.any(|after| {
        ["{", "impl", "fn "]
            .iter()
            .any(|start| after.starts_with(start))
    })
}

/// In the comment above the statement, which may have begun on an earlier line.
fn has_reason(lines: &[&str], index: usize) -> bool {
    let says_why = |line: &&str| line.contains("SAFETY:") || line.contains("# Safety");
    let above = lines[..index]
        .iter()
        .rev()
        .copied()
        .map(str::trim)
        .take_while(|line| continues(line));
    [lines[index]]
        .into_iter()
        .chain(above)
        .any(|line| says_why(&line))
}

fn continues(line: &str) -> bool {
    let comment = line.starts_with("//") || line.starts_with("#[");
    comment || !(line.is_empty() || line.ends_with([';', '{', '}']))
}

fn breaches(text: &str, wrong: impl Fn(&str) -> bool, rule: &str) -> Vec<Breach> {
    // Not `lines`, which drops carriage returns.
    let lines = text.split('\n').enumerate().filter(|(_, line)| wrong(line));
    lines
        .map(|(index, _)| Breach::new(index + 1, rule))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(breaches: &[Breach]) -> Vec<usize> {
        breaches.iter().map(|breach| breach.line).collect()
    }

    fn unsafe_lines(text: &str) -> Vec<usize> {
        lines(&unsafe_without_reason(text, &mask(text)))
    }

    #[test]
    fn a_tidy_file_breaks_nothing() {
        let text = "//! Says what it is.\n\nfn a() {}\n";
        assert_eq!(source(Path::new("xtask/src/a.rs"), text), []);
    }

    #[test]
    fn a_file_needs_a_header() {
        assert_eq!(lines(&header("use std::fs;\n//! Late.\n")), [1]);
        assert_eq!(lines(&header("")), [1]);
    }

    #[test]
    fn files_of_programs_in_the_kernel_are_shorter() {
        let text = "x\n".repeat(161);
        assert_eq!(length(Path::new("stall-agent/src/a.rs"), &text), []);
        assert_eq!(
            lines(&length(Path::new("stall-agent-ebpf/src/a.rs"), &text)),
            [161]
        );
        assert_eq!(
            lines(&length(
                Path::new("stall-agent/src/a.rs"),
                &"x\n".repeat(401)
            )),
            [401]
        );
    }

    #[test]
    fn a_name_says_what_is_in_the_file() {
        assert_eq!(lines(&name(Path::new("a/utils.rs"))), [1]);
        assert_eq!(name(Path::new("common/histogram.rs")), []);
    }

    #[test]
    fn lints_are_not_allowed_away() {
        let text = "#[allow(dead_code)]\nfn a() {}\n// #[allow(x)]\n#![allow(y)]\n";
        assert_eq!(lines(&allowances(&mask(text))), [1, 4]);
    }

    #[test]
    fn whitespace_does_not_trail() {
        assert_eq!(lines(&trailing_whitespace("a\nb \nc\t\nd\r\n")), [2, 3, 4]);
    }

    #[test]
    fn unsafe_code_says_why() {
        assert_eq!(
            unsafe_lines("// SAFETY: so.\nlet a = b(\n    c,\n    unsafe { d },\n);\n"),
            [0; 0]
        );
        assert_eq!(
            unsafe_lines("// SAFETY: so.\nlet a = 1;\nlet b = unsafe { c };\n"),
            [3]
        );
        assert_eq!(
            unsafe_lines("/// # Safety\n/// Not null.\n#[inline]\npub unsafe fn a() {}\n"),
            [0; 0]
        );
        assert_eq!(
            unsafe_lines("unsafe impl Pod for A {}\nunsafe extern \"C\" fn a() {}\n"),
            [1, 2]
        );
    }

    #[test]
    fn what_is_not_unsafe_code_needs_no_reason() {
        assert_eq!(
            unsafe_lines("// unsafe { a }\nlet b = \"unsafe { c }\";\ntype F = unsafe fn(u8);\n"),
            [0; 0]
        );
        assert_eq!(unsafe_lines("#[unsafe(no_mangle)]\nfn a() {}\n"), [0; 0]);
    }
}
