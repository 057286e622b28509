//! `compare`, given to the real program: one document, its exit code, and one sentence for bad input.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{AGENT, agent, refused};

fn capture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
    folder.join(name).to_string_lossy().into_owned()
}

#[test]
fn the_exit_code_tells_the_outcome_when_asked() {
    let cases = [
        ("proof_before.json", "proof_after_stop.json", 0),
        ("proof_before_nothing.json", "proof_trim_goes_on.json", 13),
        ("trim.json", "proof_after_stop.json", 12),
    ];
    for (before, after, code) in cases {
        let (before, after) = (capture(before), capture(after));
        let silent = agent(&["compare", &before, &after, "--quiet"]);
        assert_eq!(silent.status.code(), Some(0));
        assert!(silent.stderr.is_empty());
        let told = agent(&["compare", &before, &after, "--quiet", "--exit-code"]);
        assert_eq!(told.status.code(), Some(code), "{before} {after}");
        assert_eq!(silent.stdout, told.stdout);
    }
}

#[test]
fn stdout_is_json_and_stderr_is_for_people_unless_text_is_asked_for() {
    let (before, after) = (
        capture("proof_before.json"),
        capture("proof_after_stop.json"),
    );
    let json = agent(&["compare", &before, &after]);
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["schema"], "stall-agent/comparison/1");
    let text = agent(&["compare", &before, &after, "--format", "text"]);
    assert_eq!(text.stdout, json.stderr);
    assert!(text.stderr.is_empty() && text.stdout.starts_with(b"VERDICT"));
}

#[test]
fn one_of_the_two_may_be_stdin_and_the_result_a_file() {
    let (before, after) = (
        capture("proof_before.json"),
        capture("proof_after_stop.json"),
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("comparison.json");
    let from_stdin = Command::new(AGENT)
        .args(["compare", "-", &after, "-q", "--pretty", "--output"])
        .arg(&file)
        .stdin(fs::File::open(&before).unwrap())
        .output()
        .unwrap();
    assert_eq!(from_stdin.status.code(), Some(0));
    assert!(from_stdin.stdout.is_empty());
    let plain = agent(&["compare", &before, &after, "-q"]);
    let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(read(&fs::read(&file).unwrap()), read(&plain.stdout));
}

#[test]
fn what_cannot_be_compared_is_one_sentence() {
    let before = capture("proof_before.json");
    assert!(refused(&["compare", "-", "-"], 2).contains("one stdin"));
    assert!(refused(&["compare", &before], 2).contains("AFTER"));
    assert!(refused(&["compare", &before, "/no/such/file"], 9).contains("No such file"));
}

/// The file that one has is the file that one compares.
#[test]
fn reports_are_compared_as_the_captures_they_carry() {
    let directory = tempfile::tempdir().unwrap();
    let captures = ["proof_before.json", "proof_after_stop.json"].map(capture);
    let reports = captures.each_ref().map(|capture| {
        let report = directory
            .path()
            .join(PathBuf::from(capture).file_name().unwrap());
        fs::write(
            &report,
            agent(&["report", capture, "--format", "json"]).stdout,
        )
        .unwrap();
        report.to_str().unwrap().to_owned()
    });
    let of_captures = agent(&["compare", &captures[0], &captures[1], "-q", "--exit-code"]);
    let of_reports = agent(&["compare", &reports[0], &reports[1], "-q", "--exit-code"]);
    assert_eq!(of_reports.status.code(), Some(0));
    assert_eq!(of_reports.stdout, of_captures.stdout);
    let mut bare: serde_json::Value =
        serde_json::from_slice(&fs::read(&reports[0]).unwrap()).unwrap();
    bare["capture"] = serde_json::Value::Null;
    fs::write(&reports[0], bare.to_string()).unwrap();
    let said = refused(&["compare", &reports[0], &reports[1]], 9);
    assert!(said.contains("a report without its capture"), "{said}");
    bare["capture"] = serde_json::json!({"gzip_base64": "H4sI"});
    fs::write(&reports[0], bare.to_string()).unwrap();
    let said = refused(&["compare", &reports[0], &reports[1]], 9);
    assert!(said.contains("a report, damaged in the capture"), "{said}");
}
