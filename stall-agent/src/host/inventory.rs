//! What is on the host beside those who did I/O: virtual machines and the processes of their volumes, Longhorn's
//! volumes, the schedule of the host's trim, and whether this process sees the host as it is.
//!
//! All processes are looked at by name only, one short read each, of a file whose reading waits for no lock of the
//! process (`comm`); those whose name promises more are looked up whole.

use std::fs::File;
use std::io::Read as _;

use super::identity::Identity;
use super::{HostRoot, longhorn, namespace, systemd};
use crate::capture::{Inventory, Process};
use crate::command;

/// `kernel.pid_max` is at most 4,194,304.
const MAX_PROCESSES: usize = 4 << 20;
/// Looked up whole; a node has some 100 VMs with a handful of processes each.
const MAX_KEPT: usize = 4096;

/// Reads all of it, but for `/oem`; takes milliseconds, and longer on a host that hangs: not for a thread that must not wait.
#[must_use]
pub fn look(root: &HostRoot) -> Inventory {
    let (processes, processes_seen) = processes(root);
    Inventory {
        processes,
        processes_seen,
        volumes: longhorn::volumes(root),
        trim: systemd::trim_schedule(root),
        oem: None,
        view: namespace::view(root),
        name_gaps: Vec::new(),
    }
}

/// The processes whose names promise to tell of VMs and volumes, and how many there are of all.
fn processes(root: &HostRoot) -> (Vec<Process>, u64) {
    let identity = Identity::new(root.clone());
    let mut found = Vec::new();
    let mut seen = 0;
    for pid in pids(root).take(MAX_PROCESSES) {
        seen += 1;
        if found.len() < MAX_KEPT && is_worth_reading(root, pid) {
            // One that ends meanwhile is not there.
            found.extend(identity.process(pid, None));
        }
    }
    (found, seen)
}

fn pids(root: &HostRoot) -> impl Iterator<Item = u32> + use<> {
    let entries = root.path("proc").read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_worth_reading(root: &HostRoot, pid: u32) -> bool {
    let mut name = [0; 64];
    let length = root
        .open(format!("proc/{pid}/comm"))
        .and_then(|mut file: File| file.read(&mut name));
    let name = name.get(..length.unwrap_or(0)).unwrap_or_default();
    let name = std::str::from_utf8(name).unwrap_or_default();
    command::is_worth_reading(name.trim_end())
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
