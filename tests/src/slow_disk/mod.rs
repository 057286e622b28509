//! The slow disk: a FUSE file system with one file, `disk`, whose every operation takes a set time.
//!
//! Contract: the daemon does no I/O but on its own memory (a memfd) and, when told to, on its log
//! file; it never touches what is mounted on the disk. All times are CLOCK_MONOTONIC.
//! Behaviour is changed by lines on stdin (`command`), one answer line each on stdout; when stdin
//! ends without `quit`, the daemon takes down what stands on it (`attach`) and itself.

pub mod behaviour;
pub mod blame;
pub mod command;
pub mod daemon;
pub mod delay;
pub mod file_system;
pub mod gate;
pub mod log;
pub mod op;
pub mod orphan;
pub mod store;

pub use delay::Delay;
pub use gate::LockMode;
pub use log::{OpLog, OpRecord};
pub use op::Op;

/// The name of the one file in the file system.
pub const FILE_NAME: &str = "disk";
