//! Who a process is, all told: what `/proc` says of it, its pod, and of a virtual machine's monitor its disks, of a
//! Longhorn replica its directory.
//!
//! Called on threads that may hang in a read: pods are listed by one of them at a time, and the others go on without
//! their names rather than wait.

use std::sync::{Mutex, PoisonError, TryLockError};

use super::pods::Pods;
use super::procfs::{self, Missing};
use super::{HostRoot, container, kubevirt, longhorn};
use crate::capture::{Pod, Process};
use crate::command::{self, Command};

/// Looks up processes of one host.
pub struct Identity {
    root: HostRoot,
    pods: Mutex<Pods>,
}

impl Identity {
    #[must_use]
    pub fn new(root: HostRoot) -> Self {
        Self {
            pods: Mutex::new(Pods::new(root.clone())),
            root,
        }
    }

    /// Describes a process. `start` is its start in nanoseconds of `CLOCK_BOOTTIME` where known.
    ///
    /// # Errors
    ///
    /// When there is no such process, or not any more.
    pub fn process(&self, pid: u32, start: Option<u64>) -> Result<Process, Missing> {
        let mut process = procfs::process(&self.root, pid, start)?;
        process.pod = self.pod(&process);
        match command::read(&process) {
            Some(Command::Vm(_)) => process.open_disks = kubevirt::open_disks(&self.root, pid),
            Some(Command::Replica(replica)) => {
                let directory = replica.directory.filter(|path| path.starts_with('/'));
                process.replica = directory.map(|path| longhorn::directory(&self.root, &path));
            }
            _ => {}
        }
        Ok(process)
    }

    fn pod(&self, process: &Process) -> Option<Pod> {
        let place = container::place(&process.cgroup);
        match self.pods.try_lock() {
            Ok(mut pods) => pods.pod(&place),
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned).pod(&place),
            Err(TryLockError::WouldBlock) => {
                let within = place.pod_uid.is_some() || place.container_id.is_some();
                within.then(|| Pod {
                    uid: place.pod_uid,
                    container_id: place.container_id,
                    ..Pod::default()
                })
            }
        }
    }
}
