//! The staged disk and what drives it: the ground truth the agent is judged against.
//!
//! Contract: nothing here knows the agent. Everything staged is taken down again, on normal exit,
//! panic, SIGINT and SIGTERM; processes are ended by pid only.

pub mod bench;
pub mod block_io;
pub mod cgroup;
pub mod clock;
pub mod command_line;
pub mod exposure;
pub mod fio;
pub mod guest;
pub mod incident;
pub mod interrupt;
pub mod intervals;
pub mod loop_device;
pub mod mix;
pub mod mounted;
pub mod scratch;
pub mod self_test;
pub mod slow_disk;
pub mod soak;
pub mod spawned;
pub mod staged;
pub mod watching;
