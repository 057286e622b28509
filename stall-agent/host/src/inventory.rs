//! What is on the host beside those who did I/O: virtual machines and the processes of their volumes, Longhorn's
//! volumes, the schedule of the host's trim, and whether this process sees the host as it is.
//!
//! All processes are looked at by name only, one short read each, of a file whose reading waits for no lock of the
//! process (`comm`); those whose name promises more are looked up whole.

use std::fs::File;
use std::io::Read as _;

use super::identity::Identity;
use super::procfs::pids;
use super::{HostRoot, longhorn, namespace, systemd};
use stall_capture::command;
use stall_capture::{Inventory, NameGap, Process};

/// `kernel.pid_max` is at most 4,194,304.
const MAX_PROCESSES: usize = 4 << 20;
/// Looked up whole; a node has some 100 VMs with a handful of processes each.
const MAX_KEPT: usize = 4096;

/// Reads all of it, but for `/oem`; takes milliseconds, and longer on a host that hangs: not for a thread that must not wait.
#[must_use]
pub fn look(root: &HostRoot) -> Inventory {
    let Found {
        processes,
        seen: processes_seen,
        left_out,
    } = processes(root, MAX_KEPT);
    let gap = (left_out > 0).then(|| NameGap {
        what: "inventory".to_owned(),
        reason: format!("more than {MAX_KEPT} processes called as those of VMs and volumes are"),
        count: left_out,
    });
    Inventory {
        processes,
        processes_seen,
        volumes: longhorn::volumes(root),
        trim: systemd::trim_schedule(root),
        oem: None,
        view: namespace::view(root),
        name_gaps: gap.into_iter().collect(),
    }
}

/// The processes whose names promise to tell of VMs and volumes.
#[derive(Default)]
struct Found {
    processes: Vec<Process>,
    /// Of all that there are.
    seen: u64,
    /// Beyond the most that are looked up: anybody can call a process so.
    left_out: u64,
}

fn processes(root: &HostRoot, most: usize) -> Found {
    let identity = Identity::new(root.clone());
    let mut found = Found::default();
    for pid in pids(root).take(MAX_PROCESSES) {
        found.seen += 1;
        if !is_worth_reading(root, pid) {
            continue;
        }
        if found.processes.len() < most {
            // One that ends meanwhile is not there.
            found.processes.extend(identity.process(pid, None));
        } else {
            found.left_out += 1;
        }
    }
    found
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
