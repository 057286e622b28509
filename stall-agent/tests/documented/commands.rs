//! Every command line that README.md and the guide show is one of this program's, and those that need no root are run.

use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use stall_agent::cli::{self, Cli};

const PAGES: [(&str, &str); 2] = [
    ("README.md", include_str!("../../../README.md")),
    ("docs/guide.md", include_str!("../../../docs/guide.md")),
];
/// What the files of the examples are, by their names; [`ANY`] is every other.
const FILES: [(&str, &str); 2] = [
    ("before.json", "proof_before.json"),
    ("after.json", "proof_after_stop.json"),
];
const ANY: &str = "trim.json";

#[test]
fn every_command_shown_is_one_of_the_program() {
    let mut run = 0;
    for (page, text) in PAGES {
        let commands = commands(text);
        assert!(commands.len() > 3, "{page}: {commands:?}");
        for words in commands {
            let typed = Cli::try_parse_from(std::iter::once("stall-agent").chain(words.clone()));
            let typed = typed.unwrap_or_else(|error| panic!("{page}: {words:?}: {error}"));
            match typed.command.unwrap() {
                cli::Command::Report(_)
                | cli::Command::Compare(_)
                | cli::Command::Explain { .. }
                | cli::Command::Schema { .. }
                | cli::Command::Completions { .. }
                | cli::Command::Man => {
                    succeeds(page, &words);
                    run += 1;
                }
                _ => {}
            }
        }
    }
    assert!(run > 5, "{run}");
}

#[test]
fn what_is_no_command_is_found() {
    let page = "\
Text: stall-agent no\n\
\n    a && /tmp/stall-agent trace --duration 1s > b   # c\
\n    stall-agent report \\\
\n        'c d' | less\n";
    let words = [vec!["trace", "--duration", "1s"], vec!["report", "c d"]];
    assert_eq!(commands(page), words);
    assert!(Cli::try_parse_from(["stall-agent", "trace", "--no-such-option"]).is_err());
}

/// The arguments of each, from indented code: without comments, redirections, and what is piped to.
fn commands(page: &str) -> Vec<Vec<&str>> {
    let code = page.lines().filter_map(|line| line.strip_prefix("    "));
    let mut commands = Vec::new();
    let mut words = Vec::new();
    for line in code {
        let line = line.split(" #").next().unwrap_or(line);
        let (part, goes_on) = match line.trim_end().strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        // In quotes is every second piece.
        for (index, piece) in part.split('\'').enumerate() {
            if index % 2 == 0 {
                words.extend(piece.split_whitespace());
            } else {
                words.push(piece);
            }
        }
        if !goes_on {
            for segment in words.split(|word| matches!(*word, "|" | "&&" | ";")) {
                let name = |word: &&str| *word == "stall-agent" || word.ends_with("/stall-agent");
                if let Some(at) = segment.iter().position(name)
                    && at + 1 < segment.len()
                {
                    let words = segment[at + 1..].iter().copied();
                    commands.push(words.take_while(|word| !word.starts_with('>')).collect());
                }
            }
            words.clear();
        }
    }
    commands
}

/// In a directory of its own, on captures in place of its files.
fn succeeds(page: &str, words: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stall-agent"));
    command.current_dir(&directory);
    for word in words {
        if !word.ends_with(".json") {
            command.arg(word);
            continue;
        }
        let name = Path::new(word).file_name().unwrap();
        let known = FILES.iter().find(|(file, _)| *file == name);
        let capture = captures.join(known.map_or(ANY, |(_, capture)| capture));
        std::fs::copy(capture, directory.path().join(name)).unwrap();
        command.arg(name);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page}: {words:?}: {said}");
    let files = std::fs::read_dir(&directory).unwrap().count();
    let is_told = !output.stdout.is_empty() || files > 1;
    assert!(is_told, "{page}: {words:?} wrote nothing");
}
