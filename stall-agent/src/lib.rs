//! `stall-agent`: the disks of my VMs are slow; which process did it?
//!
//! Data flows one way: kernel hooks -> `collect` (with names from `stall_host`) -> [`capture::Capture`]
//! -> `stall_analysis` -> `stall_report` -> JSON and text. Nothing flows back: analysis reads no file and asks
//! no kernel, and the report computes nothing. This crate is everything that touches the kernel, files and terminals.

pub mod check;
pub mod cli;
pub mod collect;
pub mod completions;
pub mod config;
pub mod confine;
pub mod delivery;
pub mod explain;
pub mod failure;
pub mod file;
#[doc(hidden)]
pub mod fuzzed;
pub mod input;
pub mod kernel;
pub mod live;
pub mod manual;
pub mod mistyped;
pub mod output;
pub mod overhead;
pub mod prereq;
pub mod probe;
mod problem;
pub mod progress;
pub mod record;
pub mod start_at;
pub mod trace;

pub use stall_analysis as analysis;
pub use stall_analysis::comparison;
pub use stall_capture as capture;
pub use stall_capture::command;
pub use stall_host as host;
pub use stall_report as report;
