//! One record of a log in the JSON lines of OpenTelemetry's file exporter: a collector's `otlpjsonfile` receiver reads it.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use crate::Report;
use crate::incident::incident;
use crate::model::Severity;
use crate::text::escape;
use crate::text::word;

/// One `LogsData` in a line, with its line feed.
#[must_use]
pub fn otlp(report: &Report) -> String {
    let incident = incident(report);
    // Numbers and names of OpenTelemetry's logs data model.
    let (number, level) = match incident.severity {
        Severity::Ok => (9, "INFO"),
        Severity::Warning | Severity::Unknown => (13, "WARN"),
        Severity::Critical => (17, "ERROR"),
    };
    let time = incident.started_at.as_ref().unwrap_or(&report.window.start);
    let mut attributes = vec![
        text("stall_agent.incident.id", &incident.id),
        text("stall_agent.incident.fingerprint", &incident.fingerprint),
        text("stall_agent.title", &incident.title),
        text("stall_agent.severity", &word(&incident.severity)),
        text(
            "stall_agent.kind",
            &word(&report.verdict.kind).replace(' ', "_"),
        ),
    ];
    let optional = [
        (
            "stall_agent.confidence",
            incident.confidence.map(|one| word(&one)),
        ),
        ("system.device", incident.device.clone()),
    ];
    attributes.extend(
        optional
            .iter()
            .filter_map(|(key, value)| Some(text(key, value.as_ref()?))),
    );
    for (key, list) in [
        ("stall_agent.affected", &incident.affected),
        ("stall_agent.culprits", &incident.culprits),
    ] {
        let values = list.iter().map(|one| json!({ "stringValue": one.label }));
        let values: Vec<Value> = values.collect();
        attributes.push(json!({ "key": key, "value": { "arrayValue": { "values": values } } }));
    }
    let resource = [
        ("service.name", Some("stall-agent".to_owned())),
        ("host.name", incident.node.clone()),
        ("k8s.node.name", incident.node.clone()),
    ];
    let resource = resource
        .iter()
        .filter_map(|(key, value)| Some(text(key, value.as_ref()?)));
    let resource: Vec<Value> = resource.collect();
    let record = json!({
        "timeUnixNano": nanoseconds(time),
        "observedTimeUnixNano": nanoseconds(&report.window.end),
        "severityNumber": number,
        "severityText": level,
        "eventName": "stall_agent.verdict",
        "body": { "stringValue": escape(&report.verdict.sentence) },
        "attributes": attributes,
    });
    let data = json!({ "resourceLogs": [{
        "resource": { "attributes": resource },
        "scopeLogs": [{
            "scope": { "name": "stall-agent", "version": report.agent.judged_by },
            "logRecords": [record],
        }],
    }] });
    format!("{data}\n")
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": escape(value) } })
}

/// As a text: JSON of protobuf writes 64 bits so.
fn nanoseconds(rfc3339: &str) -> String {
    let time = humantime::parse_rfc3339(rfc3339).ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos()).to_string()
}
