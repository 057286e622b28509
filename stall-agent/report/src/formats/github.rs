//! An annotation of GitHub Actions, as a workflow prints it to its log.

use crate::Report;
use crate::incident::incident;
use crate::model::Severity;

/// One workflow command, with its line feed.
#[must_use]
pub fn github(report: &Report) -> String {
    let incident = incident(report);
    let level = match incident.severity {
        Severity::Ok => "notice",
        Severity::Warning | Severity::Unknown => "warning",
        Severity::Critical => "error",
    };
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let title = data(&incident.title)
        .replace(':', "%3A")
        .replace(',', "%2C");
    format!("::{level} title={title}::{}\n", data(&incident.summary))
}
