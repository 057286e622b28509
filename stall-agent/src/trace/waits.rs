//! What keeps tasks waiting without a request: asked of the kernel's iterators as the window begins and ends, of the host's files
//! on threads of their own, which may hang and are waited for a moment at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::background::Aside;
use crate::collect::d_state::Found;
use crate::collect::maps::Maps;
use crate::collect::task_io::{self, Thread, Written};
use stall_capture::{
    Actor, CgroupLimit, CpuWait, Dirtied, FrozenFilesystem, HostWaits, MemoryPressure, NameGap,
    Process, ServerMount, Task, UnseenDisk,
};
use stall_host::mounts::Mounts;
use stall_host::{
    HostRoot, cgroup, cgroup_limits, cgroup_paths, cpu_wait, memory, procfs, served, unseen,
};

/// All looks together are waited for at the end.
const PATIENCE: Duration = Duration::from_millis(400);
/// Frozen filesystems kept.
const MOST_FROZEN: usize = 64;
/// `/proc` tells starts in ticks of 10 ms.
const SAME_START_NS: u64 = 20_000_000;

/// The looks of one run.
pub(super) struct Waits {
    first: Aside<Counts>,
    last: Option<Aside<Counts>>,
    /// What threads had written when the window began, and who wrote in it; `None` where the kernel does not tell.
    threads: Option<Vec<Thread>>,
    written: Vec<Written>,
    frozen: BTreeMap<(u32, u32), Frozen>,
}

/// What grows while the host runs.
#[derive(Clone, Default)]
struct Counts {
    cpu: cpu_wait::Look,
    memory: Option<memory::Look>,
}

struct Frozen {
    seen_ns: u64,
    /// The oldest sleep there.
    since_ns: Option<u64>,
    last_seen_ns: u64,
}

impl Waits {
    /// Begins to look at the host.
    pub(super) fn begin(root: &HostRoot) -> Self {
        Self {
            first: counts(root),
            last: None,
            threads: None,
            written: Vec::new(),
            frozen: BTreeMap::new(),
        }
    }

    /// What threads have written by now, which the window is to begin with.
    pub(super) fn wrote_before(&mut self, threads: Option<Vec<Thread>>) {
        self.threads = threads;
    }

    /// What they have written when it ends.
    pub(super) fn wrote(&mut self, threads: Option<Vec<Thread>>, maps: &Maps) {
        if let Some((before, after)) = self.threads.as_deref().zip(threads) {
            self.written = task_io::written(before, after, maps);
        }
    }

    /// Tasks in D now; the last call says what is so at the end.
    pub(super) fn found(&mut self, found: &[Found], now_ns: u64) {
        for task in found {
            let Some(number) = task.frozen.or(task.any_frozen) else {
                continue;
            };
            if self.frozen.len() >= MOST_FROZEN && !self.frozen.contains_key(&number) {
                continue;
            }
            let row = self.frozen.entry(number).or_insert(Frozen {
                seen_ns: now_ns,
                since_ns: None,
                last_seen_ns: now_ns,
            });
            row.last_seen_ns = now_ns;
            // Who sleeps for something else there has slept for no freeze.
            let waits_for_it = task.waits_on.is_none_or(|place| place == number);
            if task.frozen.is_some() && waits_for_it {
                row.since_ns = [row.since_ns, task.since_ns].into_iter().flatten().min();
            }
        }
    }

    /// Begins the last look at the host.
    pub(super) fn look_again(&mut self, root: &HostRoot) {
        self.last = Some(counts(root));
    }

    /// All of it. `actors`, `tasks` and `others` are the processes that are known: these are asked for.
    pub(super) fn end(
        self,
        root: &HostRoot,
        known: &Known<'_>,
        end_ns: u64,
        gaps: &mut Vec<NameGap>,
    ) -> HostWaits {
        let looks = Looks::begin(root, known, &self.written);
        let mut patience = Patience::new();
        let first = patience.hear(Some(self.first));
        let last = patience.hear(self.last);
        let (cpu, memory_pressure) = first.until(&last);
        let table = patience.hear(Some(looks.table));
        let limits = patience.hear(Some(looks.limits));
        let unseen_disks = patience.hear(Some(looks.unseen));
        let names = patience.hear(Some(looks.names));
        if patience.silent > 0 {
            gaps.push(NameGap {
                what: "waits".to_owned(),
                reason: "/proc or a control group had not answered at the end".to_owned(),
                count: patience.silent,
            });
        }
        let dirtied = self.written.iter().map(|row| Dirtied {
            process: known.process(row, &names),
            bytes: row.bytes,
            devices: table.with_below(&row.devices),
        });
        HostWaits {
            dirtied: dirtied.collect(),
            limits,
            frozen: frozen(&self.frozen, &table.mounts, end_ns),
            servers: table.servers,
            unseen_disks,
            cpu: cpu.into_iter().map(|row| known.named(row)).collect(),
            memory_pressure,
        }
    }
}

impl Counts {
    fn until(&self, later: &Self) -> (Vec<CpuWait>, Option<MemoryPressure>) {
        let memory = self.memory.zip(later.memory);
        let memory = memory.map(|(before, after)| before.until(&after));
        (self.cpu.until(&later.cpu), memory)
    }
}

fn counts(root: &HostRoot) -> Aside<Counts> {
    let root = root.clone();
    Aside::begin("wait-counts", move || Counts {
        memory: memory::Look::take(&root),
        cpu: cpu_wait::Look::take(&root),
    })
}

/// How long looks are waited for, and how many had no answer.
struct Patience {
    until: Instant,
    silent: u64,
}

impl Patience {
    fn new() -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            silent: 0,
        }
    }

    fn hear<T: Default + Send + 'static>(&mut self, look: Option<Aside<T>>) -> T {
        let left = self.until.saturating_duration_since(Instant::now());
        let answer = look.and_then(|look| look.end(left));
        self.silent += u64::from(answer.is_none());
        answer.unwrap_or_default()
    }
}

/// Looks at the end, each on a thread of its own.
struct Looks {
    table: Aside<Table>,
    limits: Aside<Vec<CgroupLimit>>,
    unseen: Aside<Vec<UnseenDisk>>,
    names: Aside<Names>,
}

/// Who wrote: living processes by pid and start; paths of control groups by their ids.
#[derive(Default)]
struct Names {
    living: BTreeMap<(u32, u64), Process>,
    groups: BTreeMap<u64, String>,
}

impl Looks {
    fn begin(root: &HostRoot, known: &Known<'_>, written: &[Written]) -> Self {
        let of = || root.clone();
        let lines: Vec<Vec<String>> = known.groups();
        let machines: Vec<Process> = known.others.to_vec();
        let (host, written) = (of(), written.to_vec());
        Self {
            table: {
                let root = of();
                Aside::begin("mounts", move || Table::of(Mounts::of_host(&root)))
            },
            limits: {
                let root = of();
                Aside::begin("limits", move || {
                    cgroup_limits::limits(&root, lines.iter().map(Vec::as_slice))
                })
            },
            unseen: {
                let root = of();
                Aside::begin("unseen", move || unseen::disks(&root, &machines))
            },
            names: Aside::begin("writers", move || names(&host, &written)),
        }
    }
}

fn names(root: &HostRoot, written: &[Written]) -> Names {
    let living = written.iter().filter(|row| row.ended.is_none());
    let living = living.filter_map(|row| {
        let key = (row.pid, row.start_boottime_ns);
        Some((key, procfs::process(root, key.0, Some(key.1)).ok()?))
    });
    let ids: Vec<u64> = written
        .iter()
        .filter_map(|row| Some(row.ended?.cgroup))
        .collect();
    Names {
        living: living.collect(),
        groups: cgroup_paths::unified(root, &ids),
    }
}

/// The host's mounts.
#[derive(Default)]
struct Table {
    mounts: Mounts,
    servers: Vec<ServerMount>,
}

impl Table {
    fn of(mounts: Mounts) -> Self {
        Self {
            servers: served::servers(&mounts),
            mounts,
        }
    }

    /// With the filesystems that those which stack on another write to.
    fn with_below(&self, devices: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let below = devices.iter();
        let below = below.filter_map(|(major, minor)| self.mounts.below(*major, *minor));
        let mut all: Vec<_> = devices.iter().copied().chain(below).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn frozen(
    frozen: &BTreeMap<(u32, u32), Frozen>,
    mounts: &Mounts,
    end_ns: u64,
) -> Vec<FrozenFilesystem> {
    let rows = frozen.iter().map(|((major, minor), row)| FrozenFilesystem {
        major: *major,
        minor: *minor,
        mount_points: mounts
            .of(*major, *minor)
            .into_iter()
            .map(|mount| mount.mount_point)
            .collect(),
        seen_ns: row.seen_ns,
        at_end: row.last_seen_ns >= end_ns,
        since_ns: row.since_ns,
    });
    rows.collect()
}

/// The processes of a capture.
pub(super) struct Known<'a> {
    pub(super) actors: &'a [Actor],
    pub(super) tasks: &'a [Task],
    /// Virtual machines and what serves their volumes.
    pub(super) others: &'a [Process],
}

impl Known<'_> {
    fn all(&self) -> impl Iterator<Item = &Process> {
        let actors = self.actors.iter();
        let actors = actors.filter_map(|actor| actor.process.as_ref());
        let tasks = self.tasks.iter().map(|task| &*task.process);
        actors.chain(tasks).chain(self.others)
    }

    /// Their lines of `/proc/<pid>/cgroup`, each once.
    fn groups(&self) -> Vec<Vec<String>> {
        let mut lines: Vec<_> = self.all().map(|process| process.cgroup.clone()).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    fn of(&self, pid: u32, start_boottime_ns: u64) -> Option<&Process> {
        self.all().find(|process| {
            let apart = process.start_boottime_ns.abs_diff(start_boottime_ns);
            process.pid == pid && apart <= SAME_START_NS && !process.comm.is_empty()
        })
    }

    /// Who wrote: as it is now, as it is known otherwise, or as it was when it ended.
    fn process(&self, row: &Written, names: &Names) -> Process {
        let key = (row.pid, row.start_boottime_ns);
        if let Some(process) = names.living.get(&key) {
            return process.clone();
        }
        if let Some(process) = self.of(row.pid, row.start_boottime_ns)
            && !process.cgroup.is_empty()
        {
            return process.clone();
        }
        let ended = row.ended;
        let group = ended.and_then(|ended| names.groups.get(&ended.cgroup));
        let cgroup: Vec<String> = group.map(|path| format!("0::{path}")).into_iter().collect();
        Process {
            pid: row.pid,
            comm: row.comm.clone(),
            kernel_thread: row.kernel_thread,
            start_boottime_ns: row.start_boottime_ns,
            unit: cgroup::unit(&cgroup),
            cgroup,
            parent_pid: ended.map(|ended| ended.parent_pid),
            ..Process::default()
        }
    }

    /// With all that is known of the process.
    fn named(&self, row: CpuWait) -> CpuWait {
        let process = self.of(row.process.pid, row.process.start_boottime_ns);
        CpuWait {
            process: process.cloned().unwrap_or(row.process),
            ..row
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(since_ns: u64, waits_on: Option<(u32, u32)>, frozen: Option<(u32, u32)>) -> Found {
        Found {
            tid: 7,
            tgid: 7,
            comm: String::new(),
            start_boottime_ns: 0,
            killable: false,
            since_ns: Some(since_ns),
            frames: Vec::new(),
            io_wait: false,
            task_at: 0,
            stack_at: 0,
            waits_on,
            frozen,
            any_frozen: None,
            holder: None,
        }
    }

    #[test]
    fn a_filesystem_is_frozen_since_the_oldest_sleep_there() {
        let mut waits = Waits::begin(&HostRoot::new("/nowhere"));
        let (own, other) = (Some((7, 1)), Some((7, 2)));
        waits.found(&[sleeper(40, own, own), sleeper(30, None, own)], 50);
        waits.found(&[sleeper(20, other, own), sleeper(55, other, other)], 60);
        let table = "31 1 7:1 / /mnt rw - ext4 /dev/loop1 rw\n";
        let rows = frozen(&waits.frozen, &Mounts::parse(table), 60);
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.minor, row.seen_ns, row.since_ns, row.at_end))
            .collect();
        assert_eq!(told, [(1, 50, Some(30), true), (2, 60, Some(55), true)]);
        assert_eq!(rows[0].mount_points, ["/mnt"]);
        let rows = frozen(&waits.frozen, &Mounts::default(), 61);
        assert!(rows.iter().all(|row| !row.at_end));
    }

    #[test]
    fn who_has_ended_is_known_by_what_it_was() {
        let nobody = Known {
            actors: &[],
            tasks: &[],
            others: &[],
        };
        let row = Written {
            pid: 9,
            comm: "dd".to_owned(),
            bytes: 5,
            ended: Some(task_io::Ended {
                parent_pid: 3,
                cgroup: 12,
            }),
            ..Written::default()
        };
        let names = Names {
            groups: [(12, "/system.slice/backup.service".to_owned())].into(),
            ..Names::default()
        };
        let process = nobody.process(&row, &names);
        assert_eq!((process.comm.as_str(), process.parent_pid), ("dd", Some(3)));
        assert_eq!(process.unit.as_deref(), Some("backup.service"));
    }

    #[test]
    fn an_overlay_writes_to_the_filesystem_of_its_upper_directory() {
        let table = "\
31 1 8:1 / /var rw - ext4 /dev/sda1 rw
32 1 0:40 / /merged rw - overlay overlay rw,lowerdir=/a,upperdir=/var/lib/up,workdir=/w
";
        let table = Table::of(Mounts::parse(table));
        assert_eq!(table.with_below(&[(0, 40)]), [(0, 40), (8, 1)]);
        assert_eq!(table.with_below(&[(8, 1)]), [(8, 1)]);
    }
}
