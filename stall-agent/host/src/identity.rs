//! Who a process is, all told: what `/proc` says of it, its pod, and of a virtual machine's monitor its disks, of a
//! Longhorn replica its directory.
//!
//! Called on threads that may hang in a read: pods are listed by one of them at a time, and the others go on without
//! their names rather than wait.

use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::mounts::Mounts;
use super::pods::Pods;
use super::procfs::{self, Missing};
use super::{HostRoot, container, kubevirt, longhorn, network};
use stall_capture::command::{self, Command};
use stall_capture::{Pod, Process, ReplicaDirectory};

/// A mount table older than this is read again: disks are mounted while a trace runs.
const STALE: Duration = Duration::from_secs(1);

/// Looks up processes of one host.
pub struct Identity {
    root: HostRoot,
    pods: Mutex<Pods>,
    mounts: Mutex<Option<(Instant, Mounts)>>,
}

impl Identity {
    #[must_use]
    pub fn new(root: HostRoot) -> Self {
        Self {
            pods: Mutex::new(Pods::new(root.clone())),
            mounts: Mutex::default(),
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
                process.replica = directory.map(|path| self.replica(&path));
            }
            Some(Command::Engine(_)) => {
                if let Some(pod) = &mut process.pod {
                    self.add_addresses(pod, pid);
                }
            }
            _ => {}
        }
        Ok(process)
    }

    /// By which of them a controller's pod is reached by its replicas depends on Longhorn's settings.
    fn add_addresses(&self, pod: &mut Pod, pid: u32) {
        for address in network::addresses(&self.root, pid) {
            if !pod.addresses.contains(&address) {
                pod.addresses.push(address);
            }
        }
    }

    /// One thread at a time reads the mount table; the others go without rather than wait.
    fn replica(&self, path: &str) -> ReplicaDirectory {
        let Ok(mut mounts) = self.mounts.try_lock() else {
            return longhorn::directory(&self.root, &Mounts::default(), path);
        };
        let young = mounts.take().filter(|(read, _)| read.elapsed() < STALE);
        let (_, mounts) =
            mounts.insert(young.unwrap_or_else(|| (Instant::now(), Mounts::of_host(&self.root))));
        longhorn::directory(&self.root, mounts, path)
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
