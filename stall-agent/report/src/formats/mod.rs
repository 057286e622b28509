//! The report for other people's tools: each is one function of the report alone. What each is for and how to use it is in
//! `docs/formats.md`.

mod event;
mod github;
mod k8s_event;
mod markdown;
mod one_line;
mod otlp;
mod perfetto;

pub use event::event;
pub use github::github;
pub use k8s_event::k8s_event;
pub use markdown::markdown;
pub use one_line::{NAGIOS_UNKNOWN, nagios_code, node_problem, node_problem_code, one_line};
pub use otlp::otlp;
pub use perfetto::perfetto;
