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
    let mut json = serde_json::to_value(&report).unwrap();
    cap(&mut json);
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

/// Counters of a capture made of noise sum to more than JSON's readers keep; no machine counts that far.
fn cap(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Number(number)
            if number
                .as_u64()
                .is_some_and(|it| it > stall_capture::fit::LARGEST) =>
        {
            *value = stall_capture::fit::LARGEST.into();
        }
        Value::Array(all) => all.iter_mut().for_each(cap),
        Value::Object(all) => all.values_mut().for_each(cap),
        _ => {}
    }
}
