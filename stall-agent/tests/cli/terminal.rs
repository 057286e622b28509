//! What a terminal gets, without a trace: stdout and stderr are both one of script(1)'s.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::AGENT;

/// What such a terminal shows, and the exit code.
fn shown(folder: &Path, arguments: &str) -> (String, i32) {
    let output = Command::new("script")
        .args(["-qec", &format!("{AGENT} {arguments}"), "/dev/null"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("script(1) is part of util-linux");
    let text = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    (text, output.status.code().unwrap())
}

fn capture(name: &str) -> String {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/captures");
    format!("{fixtures}/{name}")
}

#[test]
fn json_that_was_asked_for_is_whole_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (
        capture("proof_before.json"),
        capture("proof_after_stop.json"),
    );
    for command in [
        format!("analyze {before} --format json"),
        format!("report {before} --format json"),
        format!("compare {before} {after} --format json"),
    ] {
        let (text, _) = shown(folder.path(), &command);
        let document: Result<serde_json::Value, _> = serde_json::from_str(&text);
        assert!(document.is_ok(), "{command}: {text}");
    }
}

#[test]
fn a_person_is_shown_text_once() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (
        capture("proof_before.json"),
        capture("proof_after_stop.json"),
    );
    let (text, code) = shown(folder.path(), &format!("compare {before} {after}"));
    assert_eq!((text.matches("VERDICT").count(), code), (1, 0), "{text}");
    let (text, _) = shown(folder.path(), &format!("analyze {before}"));
    assert!(
        text.contains("WHO WAITED") && !text.contains("\"schema\""),
        "{text}"
    );
}

#[test]
fn a_page_goes_to_a_file_that_was_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let before = capture("proof_before.json");
    let (text, code) = shown(folder.path(), &format!("report {before} --format html"));
    assert_eq!((text.trim(), code), ("the page is in proof_before.html", 0));
    let page = fs::read_to_string(folder.path().join("proof_before.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"));
    let (text, code) = shown(folder.path(), &format!("report {before} --format html"));
    assert!(code == 8 && text.contains("it exists"), "{code}: {text}");
}
