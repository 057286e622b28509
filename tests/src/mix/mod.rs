//! Random mixes: who uses a disk, how the disk behaves, what a trim does there; and whether the agent accuses
//! the trim when it is to blame, and only then.
//!
//! Contract: a seed draws the same mix again. Whether the trim is to blame is decided by what happened, from the
//! disk's own log and the users' own accounts, never by what was meant to happen and never by the agent; what
//! lies between is dropped and counted.

pub mod options;
pub mod plan;
pub mod run;
pub mod stage;
pub mod table;
pub mod truth;

pub use self::options::Options;
pub use self::plan::Plan;
pub use self::run::run;
pub use self::table::Table;
