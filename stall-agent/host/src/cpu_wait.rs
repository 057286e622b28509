//! How long processes of virtual machines and of their storage waited for a CPU: `schedstat` of each thread, at both ends.
//!
//! Only `comm`, `stat` and `schedstat` are read, which wait for no lock of the process.

use std::collections::BTreeMap;

use super::HostRoot;
use super::procfs;
use stall_capture::{CpuWait, Process, command};

/// A node has some 100 VMs.
const MAX_PROCESSES: usize = 512;
/// Of one process: a VM has a thread for each of its CPUs and some more, a replica some hundred.
const MAX_THREADS: usize = 1024;

/// The threads of such processes as they are at one time.
#[derive(Clone, Debug, Default)]
pub struct Look {
    processes: Vec<Times>,
}

#[derive(Clone, Debug)]
struct Times {
    process: Process,
    /// Time it ran, and time it waited, ns, by thread.
    threads: BTreeMap<u32, (u64, u64)>,
}

impl Look {
    /// Looks at all of them.
    #[must_use]
    pub fn take(root: &HostRoot) -> Self {
        let pids = procfs::pids(root).filter(|pid| {
            let comm = root.value(format!("proc/{pid}/comm"));
            comm.is_some_and(|comm| is_of_storage(&comm))
        });
        let processes = pids.take(MAX_PROCESSES).filter_map(|pid| {
            Some(Times {
                process: procfs::brief(root, pid)?,
                threads: threads(root, pid),
            })
        });
        Self {
            processes: processes.collect(),
        }
    }

    /// What the threads seen at both ends did in between, of each process; those that waited longest first.
    #[must_use]
    pub fn until(&self, later: &Self) -> Vec<CpuWait> {
        let of = |process: &Process| {
            let same = |times: &&Times| {
                (times.process.pid, times.process.start_boottime_ns)
                    == (process.pid, process.start_boottime_ns)
            };
            self.processes.iter().find(same)
        };
        let both = later.processes.iter();
        let both = both.filter_map(|times| Some((of(&times.process)?, times)));
        let mut rows: Vec<_> = both
            .map(|(before, after)| {
                let mut row = CpuWait {
                    process: after.process.clone(),
                    ..CpuWait::default()
                };
                for (tid, (ran, waited)) in &after.threads {
                    let Some((ran_before, waited_before)) = before.threads.get(tid) else {
                        continue;
                    };
                    let waited = waited.saturating_sub(*waited_before);
                    row.threads += 1;
                    row.ran_ns += ran.saturating_sub(*ran_before);
                    row.waited_ns += waited;
                    row.most_of_one_thread_ns = row.most_of_one_thread_ns.max(waited);
                }
                row
            })
            .filter(|row| row.threads > 0)
            .collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.waited_ns), row.process.pid));
        rows
    }
}

/// Longhorn's processes, tgtd, SPDK, VMs, and etcd.
fn is_of_storage(comm: &str) -> bool {
    comm == "etcd" || command::is_worth_reading(comm)
}

fn threads(root: &HostRoot, pid: u32) -> BTreeMap<u32, (u64, u64)> {
    let names = root.names(format!("proc/{pid}/task"));
    let tids = names.iter().filter_map(|name| name.parse::<u32>().ok());
    let times = tids.take(MAX_THREADS).filter_map(|tid| {
        let text = root.value(format!("proc/{pid}/task/{tid}/schedstat"))?;
        Some((tid, parse(&text)?))
    });
    times.collect()
}

/// `ran waited times`, the first two in nanoseconds (Documentation/scheduler/sched-stats.rst).
fn parse(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn process(fixture: &Fixture, pid: u32, comm: &str, threads: &[(u32, &str)]) {
        let zeros = "0 ".repeat(17);
        fixture
            .file(&format!("proc/{pid}/comm"), format!("{comm}\n"))
            .file(
                &format!("proc/{pid}/stat"),
                format!("{pid} ({comm}) S 1 {zeros}77 0\n"),
            );
        for (tid, times) in threads {
            fixture.file(&format!("proc/{pid}/task/{tid}/schedstat"), times);
        }
    }

    #[test]
    fn what_threads_waited_between_two_looks_is_told() {
        let fixture = Fixture::new();
        process(
            &fixture,
            7,
            "qemu-system-x86",
            &[(7, "10 100 1\n"), (8, "20 5000 9\n")],
        );
        process(&fixture, 9, "bash", &[(9, "1 1 1\n")]);
        let first = Look::take(&fixture.root());
        process(
            &fixture,
            7,
            "qemu-system-x86",
            &[(7, "15 150 2\n"), (8, "40 9000 10\n"), (70, "9 9 9\n")],
        );
        let rows = first.until(&Look::take(&fixture.root()));
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].process.pid, 7);
        assert_eq!(rows[0].process.start_boottime_ns, 770_000_000);
        assert_eq!((rows[0].waited_ns, rows[0].ran_ns), (4050, 25));
        assert_eq!((rows[0].threads, rows[0].most_of_one_thread_ns), (2, 4000));
    }

    #[test]
    fn another_process_of_the_same_pid_is_another() {
        let fixture = Fixture::new();
        process(&fixture, 7, "etcd", &[(7, "10 100 1\n")]);
        let first = Look::take(&fixture.root());
        process(&fixture, 7, "etcd", &[(7, "15 150 2\n")]);
        let stat = fixture.root().value("proc/7/stat").unwrap();
        fixture.file("proc/7/stat", stat.replace("77 0", "99 0"));
        assert!(first.until(&Look::take(&fixture.root())).is_empty());
    }

    #[test]
    fn nonsense_is_no_time() {
        assert_eq!(parse("1 2 3"), Some((1, 2)));
        assert_eq!(parse("1"), None);
        assert_eq!(parse("x y"), None);
    }
}
