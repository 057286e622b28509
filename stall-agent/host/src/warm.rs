//! Everything that is looked up of the host's own files on disks, read once: from then on it is in memory, and a look that
//! does not wait for a disk finds it.

use super::HostRoot;
use super::pods::Pods;
use super::{oem, systemd};

/// Waits for disks, for as long as they take: for a process that may.
pub fn warm(root: &HostRoot) {
    let root = root.waiting();
    let _schedule = systemd::trim_schedule(&root);
    let _files = oem::look(&root);
    Pods::new(root).look();
}
