//! The report: the JSON contract and the words for people. It computes nothing; numbers come from
//! `analysis`, and each is defined in `docs/report.md`.

#[cfg(test)]
pub(crate) mod documented;
pub mod model;
mod page;
mod schema;
mod sheet;
mod summary;
mod text;

pub use model::{Report, SCHEMA};
pub use page::page;
pub use schema::schema;
pub(crate) use sheet::word;
pub use sheet::{Paint, sheet};
pub use summary::summary;
pub(crate) use summary::{headline, kind as kind_in_words, lost};
pub use text::{bytes, duration, escape, factor, share, thousands};
pub(crate) use text::{cut, width, wrap};
