//! Reports of captures made by hand, each held against what every report promises.

use std::sync::LazyLock;

use unicode_width::UnicodeWidthStr as _;

use super::analyze;
use stall_capture::Capture;
use stall_report as report;
use stall_report::Report;

/// The report of a capture; it must fit the schema and have a summary of the promised size.
pub(super) fn judged(capture: &Capture) -> Report {
    static SCHEMA: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::validator_for(&report::schema()).unwrap());
    let report = analyze(capture);
    let json = serde_json::to_value(&report).unwrap();
    if let Err(error) = SCHEMA.validate(&json) {
        panic!("{error} at {}", error.instance_path);
    }
    let summary = report::summary(&report, Some("stall.json"));
    assert!(summary.lines().count() <= 15, "{summary}");
    assert!(summary.lines().all(|line| line.width() <= 80), "{summary}");
    assert!(
        !summary.contains(|c: char| c.is_control() && c != '\n'),
        "{summary:?}"
    );
    report
}
