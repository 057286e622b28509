//! The report: the JSON contract and the words for people. It computes nothing; numbers come from
//! `analysis`, and each is defined in `docs/report.md`.

#![forbid(unsafe_code)]

mod formats;
mod incident;
mod joined;
mod kind;
pub mod model;
mod page;
mod schema;
mod sheet;
mod shell;
mod summary;
mod text;
mod who;

pub use formats::{
    NAGIOS_UNKNOWN, event, github, k8s_event, markdown, nagios_code, node_problem,
    node_problem_code, one_line, otlp, perfetto,
};
pub use incident::incident;
pub use joined::{Joined, join, joined_text};
pub use kind::kind as kind_in_words;
pub use model::{Report, SCHEMA};
pub use page::page;
pub use schema::{DEFINITIONS, schema};
pub use sheet::{Paint, sheet, sheet_within};
pub use summary::{headline, lost, summary, summary_within};
pub use text::{bytes, cut, duration, escape, factor, share, thousands, width, word, wrap};

/// The report on a recorded capture. Through JSON, as the analysis rests on this crate as it is outside its own tests.
#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "a test reads its fixture")]
fn judged(path: &str) -> Report {
    let file = std::fs::File::open(path).expect("the fixture is part of the repository");
    let capture = stall_capture::Capture::read(file).expect("it was recorded by this program");
    let report = serde_json::to_value(stall_analysis::analyze(&capture));
    let report = report.expect("a report is plain data");
    serde_json::from_value(report).expect("the model is the same")
}
