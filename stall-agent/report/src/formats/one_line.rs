//! One line for programs that watch: Nagios and its kin, and the node-problem-detector of Kubernetes.

use crate::Report;
use crate::incident::incident;
use crate::model::Severity;
use crate::text::{cut, escape};

/// What node-problem-detector takes by default (`max_output_length`).
const PROBLEM: usize = 80;
/// What Nagios takes of a first line is more; nobody reads it.
const LINE: usize = 400;
/// Exit code of a check that could not tell.
pub const NAGIOS_UNKNOWN: u8 = 3;

/// `STALL CRITICAL - ...|...` with a line feed: the form of a Nagios plugin, with performance data.
#[must_use]
pub fn one_line(report: &Report) -> String {
    let incident = incident(report);
    let state = match incident.severity {
        Severity::Ok => "OK",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
        Severity::Unknown => "UNKNOWN",
    };
    let lost = report.verdict.episodes.first().map_or(0, |one| one.lost_ns);
    let slow: u64 = report
        .devices
        .iter()
        .filter_map(|device| device.stall.as_ref())
        .fold(0u64, |sum, stall| sum.saturating_add(stall.slow_ops));
    // A bar begins the performance data.
    let said = escape(&report.verdict.sentence).replace('|', "/");
    let said = cut(
        &format!("{}; {said}", incident.title.replace('|', "/")),
        LINE,
    );
    format!(
        "STALL {state} - {said}|lost={:.3}s slow_requests={slow} affected={}\n",
        lost as f64 / 1e9,
        incident.affected.len() as u64 + incident.affected_omitted
    )
}

/// 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
#[must_use]
pub fn nagios_code(report: &Report) -> u8 {
    match incident(report).severity {
        Severity::Ok => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
        Severity::Unknown => NAGIOS_UNKNOWN,
    }
}

/// At most 80 bytes, what is cut of longer ones, and a line feed.
#[must_use]
pub fn node_problem(report: &Report) -> String {
    let title = incident(report).title;
    let ascii: String = title
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect();
    cut(&ascii, PROBLEM) + "\n"
}

/// 0 all is well, 1 there is a problem, 2 not known.
#[must_use]
pub fn node_problem_code(report: &Report) -> u8 {
    match incident(report).severity {
        Severity::Ok => 0,
        Severity::Warning | Severity::Critical => 1,
        Severity::Unknown => 2,
    }
}
