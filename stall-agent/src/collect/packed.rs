//! Processes as they are kept while a window lasts: one piece of memory each, where a process is made of two dozen.
//!
//! Contract: what is unpacked is what was packed. Processes of one control group share its lines.

use std::collections::BTreeSet;
use std::sync::Arc;

use stall_capture::Process;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// All but the lines of its control group, in postcard's form.
    rest: Box<[u8]>,
    cgroup: Arc<[String]>,
}

/// The lines of the control groups met so far.
#[derive(Default)]
pub struct Groups(BTreeSet<Arc<[String]>>);

impl Groups {
    /// Keeps a process.
    #[must_use]
    pub fn pack(&mut self, mut process: Process) -> Packed {
        let cgroup = self.shared(std::mem::take(&mut process.cgroup));
        let rest = postcard::to_allocvec(&process);
        let rest = rest.expect("numbers, texts and lists of known length are all there is");
        Packed {
            rest: rest.into_boxed_slice(),
            cgroup,
        }
    }

    fn shared(&mut self, cgroup: Vec<String>) -> Arc<[String]> {
        if let Some(known) = self.0.get(cgroup.as_slice()) {
            return Arc::clone(known);
        }
        let new = Arc::<[String]>::from(cgroup);
        self.0.insert(Arc::clone(&new));
        new
    }
}

impl Packed {
    #[must_use]
    pub fn unpack(&self) -> Process {
        let rest = postcard::from_bytes(&self.rest).expect("it was packed from a process");
        Process {
            cgroup: self.cgroup.to_vec(),
            ..rest
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use stall_capture::{OpenDisk, Pod, ReplicaDirectory};

    fn text() -> impl Strategy<Value = String> {
        "\\PC{0,20}"
    }

    prop_compose! {
        fn replica()(path in text(), major in option::of(any::<u32>())) -> ReplicaDirectory {
            ReplicaDirectory { path, major, ..ReplicaDirectory::default() }
        }
    }

    prop_compose! {
        fn process()(
            pid in any::<u32>(),
            comm in text(),
            kernel_thread in any::<bool>(),
            start_boottime_ns in any::<u64>(),
            args in vec(text(), 0..5),
            exe in option::of(text()),
            cgroup in vec(text(), 0..3),
            exited_ns in option::of(any::<u64>()),
            uid in option::of(text()),
            disks in vec((text(), any::<u32>()), 0..3),
            replica in option::of(replica()),
        ) -> Process {
            let disk = |(path, minor)| OpenDisk { path, major: 8, minor };
            Process {
                pid,
                comm,
                kernel_thread,
                start_boottime_ns,
                args,
                exe,
                cgroup,
                exited_ns,
                pod: uid.map(|uid| Pod { uid: Some(uid), ..Pod::default() }),
                open_disks: disks.into_iter().map(disk).collect(),
                replica,
                ..Process::default()
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(process in process()) {
            let packed = Groups::default().pack(process.clone());
            prop_assert_eq!(packed.unpack(), process);
        }
    }

    #[test]
    fn processes_of_a_control_group_have_its_lines_once() {
        let mut groups = Groups::default();
        let process = |pid| Process {
            pid,
            cgroup: vec!["0::/kubepods.slice".to_owned()],
            ..Process::default()
        };
        let [one, other] = [1, 2].map(|pid| groups.pack(process(pid)));
        assert!(Arc::ptr_eq(&one.cgroup, &other.cgroup));
        assert!(one.rest.len() < 32, "{} bytes", one.rest.len());
    }
}
