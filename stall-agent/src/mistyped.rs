//! Error messages for invalid command lines: what is wrong, what was probably meant, and which help to read.

use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, ValueEnum as _};

use crate::cli::{Cli, ReportFormat};

/// The problem as one sentence: clap's own, its suggestions, and what we can guess beyond them. `words` is what was typed.
#[must_use]
pub fn problem(error: &clap::Error, words: &[String]) -> String {
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let first = one_line(paragraphs.next().unwrap_or_default());
    let mut sentence = first.trim_start_matches("error: ").to_owned();
    for tip in paragraphs.flat_map(str::lines).filter_map(tip) {
        sentence.push_str("; ");
        sentence.push_str(tip);
    }
    if let Some(hint) = hint(error, subcommand(words)) {
        sentence.push_str(": ");
        sentence.push_str(&hint);
    }
    sentence
}

/// What shows the help of the command that was typed.
#[must_use]
pub fn help(words: &[String]) -> String {
    match subcommand(words) {
        Some(name) => format!("stall-agent {name} --help"),
        None => "stall-agent --help".to_owned(),
    }
}

/// The command among the words, which only flags can come before.
fn subcommand(words: &[String]) -> Option<&str> {
    let name = words.iter().find(|word| !word.starts_with('-'))?;
    let all = Cli::command();
    let mut all = all.get_subcommands();
    all.any(|one| one.get_name() == name)
        .then_some(name.as_str())
}

/// A suggestion of clap's; that an option could be a value after `--` is none.
fn tip(line: &str) -> Option<&str> {
    let tip = line.trim().strip_prefix("tip: ")?;
    (!tip.starts_with("to pass ")).then_some(tip)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a word is likely to mean that is given without its option, or without its command.
fn hint(error: &clap::Error, subcommand: Option<&str>) -> Option<String> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    if let Some(word) = word(ContextKind::InvalidSubcommand) {
        let is_file = Path::new(word).is_file();
        return is_file.then(|| format!("to read a file, type stall-agent report {word}"));
    }
    let word = word(ContextKind::InvalidArg)?;
    let format = word.strip_prefix("--").unwrap_or_default();
    if ReportFormat::from_str(format, true).is_ok() {
        return Some(format!("type --format {format}"));
    }
    if subcommand != Some("trace") {
        return None;
    }
    if humantime::parse_duration(word).is_ok() {
        return Some(format!("for how long, type --duration {word}"));
    }
    let is_name = || !word.is_empty() && Path::new("/sys/class/block").join(word).exists();
    let is_disk = word.starts_with('/') || is_name();
    is_disk.then(|| format!("for one disk, type --device {word}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn said(words: &[&str]) -> String {
        let error = Cli::try_parse_from(["stall-agent"].iter().chain(words)).unwrap_err();
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        format!("{}; see {}", problem(&error, &words), help(&words))
    }

    #[test]
    fn a_typo_is_told_what_is_near_and_the_help_of_its_command() {
        let cases: [(&[&str], &[&str]); 7] = [
            (
                &["trace", "--durration", "5s"],
                &[
                    "'--durration'",
                    "'--duration'",
                    "see stall-agent trace --help",
                ],
            ),
            (&["trac"], &["'trac'", "'trace'", "see stall-agent --help"]),
            (
                &["-q", "report", "a", "--outptu", "b"],
                &["'--output'", "see stall-agent report --help"],
            ),
            (
                &["check", "--format", "jsn"],
                &["'jsn'", "'json'", "see stall-agent check --help"],
            ),
            (
                &["trace", "60s"],
                &["type --duration 60s", "see stall-agent trace --help"],
            ),
            (&["trace", "/dev/sda"], &["type --device /dev/sda"]),
            (&["trace", "--html"], &["type --format html"]),
        ];
        for (words, parts) in cases {
            let said = said(words);
            for part in parts {
                assert!(said.contains(part), "{words:?}: {said}");
            }
            assert!(!said.contains("Usage"), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }

    #[test]
    fn a_file_without_a_command_is_to_be_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().to_str().unwrap();
        let said = said(&[name]);
        assert!(
            said.contains(&format!("stall-agent report {name}")),
            "{said}"
        );
    }

    #[test]
    fn an_option_is_not_advised_to_be_a_value() {
        let said = said(&["report", "--bogus"]);
        assert!(!said.contains("as a value"), "{said}");
    }
}
