//! Files as they come: through jq, gzip and other users' hands, of older and newer programs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::privileges::{as_nobody, copy_by_another_process};
use super::{AGENT, agent, is_root, sentence};

/// The largest integer that every reader of JSON keeps.
const LARGEST: u64 = (1 << 53) - 1;

fn fixture(name: &str) -> PathBuf {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    fixtures.join(name)
}

/// What `report` shows of a file, after checking that it has nothing to say of it.
fn shown(path: &str) -> String {
    let output = agent(&["report", path]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{path}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_jq_and_gzip_leave_is_read_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["report-1.json", "capture-1.json"] {
        let original = fixture("versions").join(name);
        let plain = shown(original.to_str().unwrap());
        assert!(
            plain.contains("VERDICT") || plain.lines().count() > 20,
            "{plain}"
        );
        for filter in [["jq", "."], ["jq", "-S"], ["gzip", "-c"]] {
            let file = directory.path().join("file");
            let filtered = Command::new(filter[0])
                .arg(filter[1])
                .stdin(fs::File::open(&original).unwrap())
                .stdout(fs::File::create(&file).unwrap())
                .status();
            // jq is not everywhere; the tests of the reader have what it does.
            if filtered.is_ok_and(|status| status.success()) {
                assert_eq!(shown(file.to_str().unwrap()), plain, "{filter:?}");
            }
        }
    }
}

#[test]
fn no_number_of_a_report_is_larger_than_a_double_keeps() {
    let mut reports = 0;
    for entry in fs::read_dir(fixture("captures")).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("expected.json") {
            continue;
        }
        let output = agent(&["report", path.to_str().unwrap(), "--format", "json"]);
        assert!(output.status.success(), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        each_number(&report, &mut |number| {
            let size = number
                .as_u64()
                .or_else(|| number.as_i64().map(i64::unsigned_abs));
            assert!(
                size.is_none_or(|size| size <= LARGEST),
                "{number} in {}",
                path.display()
            );
        });
        reports += 1;
    }
    assert!(reports > 20, "{reports}");
}

fn each_number(value: &Value, visit: &mut impl FnMut(&serde_json::Number)) {
    match value {
        Value::Number(number) => visit(number),
        Value::Array(items) => items.iter().for_each(|one| each_number(one, visit)),
        Value::Object(fields) => fields.values().for_each(|one| each_number(one, visit)),
        _ => {}
    }
}

#[test]
fn a_report_of_another_program_is_shown_and_the_difference_told() {
    let capture = fixture("versions/capture-1.json");
    let output = agent(&["report", capture.to_str().unwrap(), "--format", "json"]);
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["verdict"]
        .as_object_mut()
        .unwrap()
        .remove("unexplained_devices");
    report["of_a_newer_version"] = Value::from(1);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stall.json");
    fs::write(&path, report.to_string()).unwrap();
    let path = path.to_str().unwrap();
    let output = agent(&["report", path]);
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("1 field (verdict.unexplained_devices) missing"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(agent(&["report", path, "-q"]).stderr.is_empty());
}

#[test]
fn a_file_that_only_its_owner_may_read_is_told_as_such() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("stall-agent");
    copy_by_another_process(AGENT.as_ref(), &program);
    let file = directory.path().join("stall.json");
    fs::copy(fixture("versions/report-1.json"), &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let said = sentence(&as_nobody(&program, &["report", file.to_str().unwrap()]), 9);
    assert!(
        said.contains("cannot be read: Permission denied: only its owner"),
        "{said}"
    );
    assert!(
        said.contains("use sudo") && !said.contains("capture"),
        "{said}"
    );
}

#[test]
fn there_is_one_way_from_a_capture_to_its_report() {
    let capture = fixture("versions/capture-1.json");
    let capture = capture.to_str().unwrap();
    let report = agent(&["report", capture, "--format", "json"]);
    let analyzed = agent(&["analyze", capture, "-q", "--pretty"]);
    assert_eq!(report.stdout, analyzed.stdout);
    let help = String::from_utf8(agent(&["--help"]).stdout).unwrap();
    assert!(!help.contains("analyze"), "{help}");
    let code = |command: &[&str]| agent(command).status.code();
    let expected = code(&["analyze", capture, "-q", "--exit-code"]);
    assert_eq!(code(&["report", capture, "--exit-code"]), expected);
    assert_eq!(expected, Some(10));
}

/// `report` shows it as a page, and `head` has read enough of it before its end.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let report = fixture("versions/report-1.json");
    let mut program = Command::new(AGENT)
        .args(["report", report.to_str().unwrap(), "--format", "html"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    let output = program.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}
