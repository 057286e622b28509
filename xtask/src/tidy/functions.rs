//! How long the functions are, from `fn` to the closing brace, tests included.

use std::fmt;

use super::files::File;
use super::mask::mask;

/// The median has to stay below this.
const MEDIAN: usize = 10;
const LONG: usize = 50;
/// At most this share of the functions may be longer than `LONG`.
const LONG_PERCENT: usize = 5;

/// The length of each function, shortest first.
pub(super) struct Lengths(Vec<usize>);

impl Lengths {
    pub(super) fn of(files: &[File]) -> Self {
        let sources = files.iter().filter(|file| file.is("rs"));
        let mut lengths: Vec<_> = sources.flat_map(|file| in_source(&file.text)).collect();
        lengths.sort_unstable();
        Self(lengths)
    }

    pub(super) fn acceptable(&self) -> bool {
        self.median() < MEDIAN && self.long() * 100 <= self.0.len() * LONG_PERCENT
    }

    fn median(&self) -> usize {
        self.0.get(self.0.len() / 2).copied().unwrap_or(0)
    }

    fn long(&self) -> usize {
        self.0.iter().filter(|length| **length > LONG).count()
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, median, long) = (self.0.len(), self.median(), self.long());
        write!(
            f,
            "{count} functions, median {median} lines, {long} over {LONG}"
        )
    }
}

fn in_source(text: &str) -> Vec<usize> {
    let code = mask(text);
    let starts = code
        .match_indices("fn ")
        .filter(|(at, _)| !code[..*at].ends_with(is_of_a_name));
    starts.filter_map(|(at, _)| length(&code[at..])).collect()
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The lines of the function that `code` starts with; nothing for one without a body.
fn length(code: &str) -> Option<usize> {
    let body = body(code)?;
    let end = body + closing_brace(&code[body..])?;
    Some(code[..end].lines().count())
}

/// Where the body starts: the first brace outside all brackets, before any semicolon.
fn body(code: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Just after the brace that closes the one at the start.
fn closing_brace(code: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in code.match_indices(['{', '}']) {
        depth += if c == "{" { 1 } else { -1 };
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_fn_to_the_closing_brace() {
        assert_eq!(
            in_source(
                "pub fn a() {}\nfn b(\n    c: [u8; 4],\n) -> u8 {\n    if c { 1 } else { 2 }\n}\n"
            ),
            [1, 5]
        );
    }

    #[test]
    fn what_has_no_body_is_not_counted() {
        assert_eq!(
            in_source("trait T {\n    fn a(&self);\n}\n// fn b() {}\ntype F = fn (u8);\n"),
            [0; 0]
        );
    }

    #[test]
    fn braces_in_literals_do_not_count() {
        assert_eq!(in_source("fn a() {\n    b(\"}\", '}');\n}\n"), [3]);
    }

    #[test]
    fn a_few_long_functions_are_accepted_and_a_long_median_is_not() {
        assert!(Lengths([[5; 19].as_slice(), &[60]].concat()).acceptable());
        assert!(!Lengths([[5; 18].as_slice(), &[60, 60]].concat()).acceptable());
        assert!(!Lengths(vec![10; 3]).acceptable());
    }
}
