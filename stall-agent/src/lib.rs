//! `stall-agent`: the disks of my VMs are slow; which process did it?
//!
//! Data flows one way: kernel hooks -> `collect` (with names from `host`) -> [`capture::Capture`]
//! -> `analysis` -> `report` -> JSON and text. Nothing flows back: analysis reads no file and asks
//! no kernel, and the report computes nothing.

pub mod analysis;
pub mod capture;
pub mod check;
pub mod cli;
pub mod collect;
pub mod command;
pub mod comparison;
pub mod config;
pub mod confine;
pub mod delivery;
pub mod explain;
pub mod failure;
#[doc(hidden)]
pub mod fuzzed;
pub mod host;
pub mod kernel;
pub mod live;
pub mod manual;
pub mod output;
pub mod overhead;
pub mod probe;
pub mod progress;
pub mod report;
pub mod trace;
