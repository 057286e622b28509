//! From the running programs' maps and records to a [`stall_capture::Capture`].

pub mod blocked;
pub mod budgets;
pub mod clock;
pub mod d_state;
pub mod in_flight;
pub mod intervals;
pub mod loss;
pub mod maps;
pub mod names;
pub mod owner;
pub mod packed;
pub mod records;
pub mod series;
pub mod snapshot;
pub mod stacks;
pub mod task_io;
pub mod uses;
