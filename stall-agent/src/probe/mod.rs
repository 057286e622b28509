//! Which programs are loaded, and loading them.

pub mod coverage;
pub mod loader;
pub mod memlock;
pub mod plan;
pub mod sizes;
mod verify;
