//! Names: what `/proc`, `/sys` and `/dev` of the host say of disks, mounts and processes.
//!
//! Each reader takes a [`HostRoot`], reads a bounded amount, and gives `None` or leaves out what has
//! gone or invalid: names are found, never guessed, and nothing here ends the run. Text that
//! is not UTF-8 has its bad bytes replaced.

#![forbid(unsafe_code)]

pub mod block_device;
mod cached;
pub mod cgroup;
pub mod cgroup_limits;
pub mod cgroup_paths;
pub mod container;
pub mod cpu_wait;
mod device_number;
pub mod identity;
pub mod inventory;
pub mod iscsi;
pub mod kubevirt;
pub mod longhorn;
pub mod memory;
pub mod mounts;
pub mod namespace;
pub mod network;
pub mod oem;
pub mod pods;
pub mod procfs;
pub mod reader;
pub mod root;
pub mod served;
pub mod system;
pub mod systemd;
pub mod unseen;
pub mod warm;

#[cfg(any(test, feature = "fixture"))]
pub mod fixture;

pub use reader::Reader;
pub use root::HostRoot;
