//! The formats for other people's tools, as `report` writes them of captures of real incidents and of what those do not
//! have: many VMs, and names that somebody chose to do harm.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{agent, sentence};

fn captures() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| !path.ends_with("expected.json"));
    paths
        .map(|path| path.to_str().unwrap().to_owned())
        .collect()
}

fn capture(name: &str) -> String {
    let all = captures();
    let mut all = all.iter();
    let end = format!("/{name}.json");
    all.find(|path| path.ends_with(&end)).unwrap().clone()
}

/// What is written, and the exit code.
fn shown(file: &str, format: &str) -> (String, i32) {
    let output = agent(&["report", file, "--format", format]);
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code().unwrap())
}

fn written(file: &str, format: &str) -> String {
    let (text, code) = shown(file, format);
    assert_eq!(code, 0, "{format} {file}");
    text
}

/// The report of a trim that delayed so many VMs, with a name for each.
fn many(folder: &Path, count: usize, name: impl Fn(usize) -> String) -> PathBuf {
    let text = written(&capture("trim_and_readers"), "json");
    let mut report: Value = serde_json::from_str(&text).unwrap();
    let verdict = &mut report["verdict"];
    let mut victim = verdict["episodes"][0]["victims"][0].clone();
    victim["kind"] = json!("vm");
    victim["namespace"] = json!("default");
    let victims = (0..count).map(|number| {
        let mut victim = victim.clone();
        victim["name"] = json!(name(number));
        victim["label"] = json!(format!("VM default/{}", name(number)));
        victim
    });
    verdict["episodes"][0]["victims"] = victims.collect();
    let mut waiter = verdict["waiters"][0].clone();
    waiter["label"] = json!(format!("VM default/{}", name(0)));
    waiter["party"] = verdict["episodes"][0]["victims"][0].clone();
    verdict["waiters"].as_array_mut().unwrap().push(waiter);
    let path = folder.join("many.json");
    fs::write(&path, report.to_string()).unwrap();
    path
}

#[test]
fn a_saved_report_gives_the_summary_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = many(folder.path(), 1, |_| "kube-master-01".to_owned());
    let output = agent(&["report", path.to_str().unwrap(), "--summary"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!((8..=15).contains(&text.lines().count()), "{text}");
    let affected = text.lines().find(|line| line.starts_with("AFFECTED"));
    assert!(
        affected.unwrap().contains("VM default/kube-master-01"),
        "VMs first: {text}"
    );
    let refused = agent(&["report", "x", "--summary", "--format", "json"]);
    assert!(sentence(&refused, 2).contains("--summary"));
}

#[test]
fn an_event_is_one_short_line() {
    let folder = tempfile::tempdir().unwrap();
    let long = many(folder.path(), 500, |number| {
        format!("{number}-{}", "\u{6c38}\"".repeat(300))
    });
    let files = captures()
        .into_iter()
        .chain([long.to_str().unwrap().to_owned()]);
    for file in files {
        let line = written(&file, "event");
        assert!(
            line.len() < 8 * 1024 && line.ends_with('\n'),
            "{}",
            line.len()
        );
        assert_eq!(line.lines().count(), 1);
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["schema"], "stall-agent/event/1");
        for field in ["id", "fingerprint", "title", "summary", "severity"] {
            assert!(
                !event[field].as_str().unwrap().is_empty(),
                "{field} of {file}"
            );
        }
        assert!(event["title"].as_str().unwrap().chars().count() < 100);
    }
    let event: Value = serde_json::from_str(&written(long.to_str().unwrap(), "event")).unwrap();
    let shown = event["affected"].as_array().unwrap().len() as u64;
    assert_eq!(event["affected_omitted"].as_u64().unwrap() + shown, 500);
    assert_eq!(event["severity"], "critical");
}

#[test]
fn markdown_is_short_and_does_what_no_name_says() {
    let folder = tempfile::tempdir().unwrap();
    let name = "@channel <!here> **x** ``` [a](http://b)";
    let hostile = many(folder.path(), 9, |_| name.to_owned());
    for file in captures()
        .iter()
        .map(String::as_str)
        .chain([hostile.to_str().unwrap()])
    {
        let text = written(file, "markdown");
        assert!(text.len() < 3_000 && text.lines().count() <= 16, "{text}");
        assert!(text.starts_with("**"), "{text}");
    }
    let text = written(hostile.to_str().unwrap(), "markdown");
    for part in ["@", "<", " [a](", "http://"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("and 4 more"), "{text}");
}

#[test]
fn programs_that_watch_get_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let vm = many(folder.path(), 1, |_| "kube-master-01".to_owned());
    let cases = [
        (capture("busy_and_well"), "STALL OK - ", 0, 0),
        (capture("trim_and_readers"), "STALL WARNING - ", 1, 1),
        (vm.to_str().unwrap().to_owned(), "STALL CRITICAL - ", 2, 1),
    ];
    for (file, begin, nagios, problem) in cases {
        let (line, code) = shown(&file, "one-line");
        assert!(
            line.starts_with(begin) && line.lines().count() == 1,
            "{line}"
        );
        assert_eq!((line.matches('|').count(), code), (1, nagios), "{line}");
        let (line, code) = shown(&file, "node-problem");
        assert!(line.trim_end().len() <= 80 && line.is_ascii(), "{line}");
        assert_eq!(code, problem, "{line}");
    }
    let output = agent(&["report", "/no/such/file", "--format", "one-line"]);
    assert!(sentence(&output, 3).contains("No such file"));
}

#[test]
fn an_event_of_kubernetes_is_about_the_vm() {
    let folder = tempfile::tempdir().unwrap();
    let vm = many(folder.path(), 3, |number| format!("kube-master-0{number}"));
    let read =
        |file: &str| -> Value { serde_norway::from_str(&written(file, "k8s-event")).unwrap() };
    let event = read(vm.to_str().unwrap());
    assert_eq!(event["regarding"]["kind"], "VirtualMachineInstance");
    assert_eq!(event["regarding"]["name"], "kube-master-00");
    assert_eq!(
        event["metadata"]["namespace"],
        event["regarding"]["namespace"]
    );
    assert_eq!(event["related"]["kind"], "Node");
    assert_eq!(event["reason"], "DiskStalledByHostTrim");
    for file in captures() {
        let event = read(&file);
        assert!(event["note"].as_str().unwrap().len() <= 1_000);
        let is_calm = event["reason"] == "NoStall";
        assert_eq!(event["type"] == "Normal", is_calm, "{file}");
    }
}

#[test]
fn lines_for_github_and_opentelemetry() {
    let file = capture("trim_and_readers");
    let line = written(&file, "github");
    assert!(
        line.starts_with("::warning title=") && line.lines().count() == 1,
        "{line}"
    );
    let line = written(&file, "otlp-jsonl");
    assert_eq!(line.lines().count(), 1);
    let data: Value = serde_json::from_str(&line).unwrap();
    let record = &data["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["severityNumber"], 13);
    // 2026-11-24T03:19:56Z
    assert!(
        record["timeUnixNano"]
            .as_str()
            .unwrap()
            .starts_with("17954903"),
        "{record}"
    );
}

/// What tools read is the same at its own place in the report.
#[test]
fn the_report_has_the_incident_at_one_place() {
    for file in captures() {
        let report: Value = serde_json::from_str(&written(&file, "json")).unwrap();
        let event: Value = serde_json::from_str(&written(&file, "event")).unwrap();
        let incident = report["incident"].as_object().unwrap();
        for field in [
            "id",
            "fingerprint",
            "title",
            "severity",
            "kind",
            "started_at",
            "causes",
        ] {
            assert_eq!(incident[field], event[field], "{field} of {file}");
        }
        let sum: f64 = incident["causes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| cause["share"].as_f64().unwrap())
            .sum();
        assert!(sum < 1.01, "{sum} in {file}");
    }
}

/// That it is one is for Perfetto's own descriptors to say (`cargo xtask test`); here, that a terminal is spared it, and a report
/// without a capture has the requests that it names.
#[test]
fn a_trace_for_perfetto_goes_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, bare) = (capture("trim_and_readers"), folder.path().join("bare.json"));
    let mut report: Value = serde_json::from_str(&written(&whole, "json")).unwrap();
    report["capture"] = Value::Null;
    fs::write(&bare, report.to_string()).unwrap();
    let size = |file: &str| {
        let output = agent(&["report", file, "--format", "perfetto"]);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
        output.stdout.len()
    };
    let (whole, bare) = (size(&whole), size(bare.to_str().unwrap()));
    assert!(whole > bare && bare > 1_000, "{whole} {bare}");
}

#[test]
fn a_start_that_makes_no_sense_is_refused() {
    for (when, expected) in [
        ("/0s", "whole seconds"),
        ("/soon", "write it as /10s"),
        ("10s", "neither like /10s nor"),
        ("2020-01-01T00:00:00Z", "has passed"),
    ] {
        let said = super::refused(&["trace", "--start-at", when], 2);
        assert!(said.contains(expected), "{said}");
    }
}
