//! The flight recorder: it was running when it happened.
//!
//! Once a second what the trace has counted becomes a [`slice`] of a [`ring`]; the judge looks at the last seconds of it
//! ([`watch`]), and what is trouble to him is [`cut`] out, written and told in one [`line`], unless the same was there just before
//! ([`storm`]). [`recorder`] has all of this, and touches neither kernel nor files; [`desk`] is the thread it works on.

pub mod book;
pub mod cut;
pub mod desk;
pub mod line;
pub mod list;
pub mod lock;
pub mod metrics;
pub mod notify;
#[cfg(test)]
mod played;
pub mod recorder;
pub mod ring;
pub mod slice;
pub mod storm;
mod sums;
pub mod watch;

pub use sums::Short;
