//! Runs the real fio, and reads what it measured.
//!
//! Contract: one process with threads, so that killing it by pid ends all of it; results come
//! from its JSON, never from its text.

mod job;
mod result;

pub use self::job::{Engine, Job, Pattern, Running};
pub use self::result::{Direction, FioResult, Latency};
