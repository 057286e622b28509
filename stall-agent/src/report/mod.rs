//! The report: the JSON contract and the words for people. It computes nothing; numbers come from
//! `analysis`, and each is defined in `docs/report.md`.

pub mod model;
mod schema;
mod summary;
mod text;

pub use model::{Report, SCHEMA};
pub use schema::schema;
pub use summary::summary;
pub use text::{bytes, duration, escape, factor, share, thousands};
