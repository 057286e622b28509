//! Exact, deterministic I/O: what a victim or a culprit does, and what it measured of it.
//!
//! Contract: one request at a time, in the order asked for; nothing is cached, nothing is added.

mod direct;
pub mod load;
pub mod program;
mod step;

pub use self::direct::Direct;
pub use self::step::{Action, Step};
