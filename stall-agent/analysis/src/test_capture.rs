//! Captures made by hand, for tests.

use stall_common::histogram::bucket;

use stall_capture as capture;
use stall_capture::{
    Actor, Blocked, Capture, Discards, Disk, DiskFacts, EndedRequest, Frame, Histogram, Hook,
    HookState, Mount, Op, Process, Series, Stack, Task, UnfinishedSleep, Use, Window,
};

pub(super) const MS: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000_000_000;
/// `CLOCK_MONOTONIC` at the start of the window: the machine has been up for an hour.
pub(super) const START: u64 = 3_600 * SECOND;

/// Stacks as 6.18 shows them.
pub(super) const TRIM: &[&str] = &[
    "blk_mq_submit_bio",
    "submit_bio_wait",
    "blkdev_issue_discard",
    "ext4_trim_extent",
    "ext4_trim_fs",
    "__ext4_ioctl",
];
pub(super) const TRIM_SLEEP: &[&str] = &[
    "__schedule",
    "schedule",
    "io_schedule",
    "submit_bio_wait",
    "blkdev_issue_discard",
    "ext4_trim_extent",
    "ext4_trim_fs",
];

/// Requests of one side: how many, how many slow, how long each on average.
#[derive(Clone, Copy)]
pub(super) struct Part(pub(super) u64, pub(super) u64, pub(super) u64);

/// A capture in the making.
pub(super) struct Builder(Capture);

pub(super) fn disk(name: &str) -> Disk {
    let mount = Mount {
        mount_point: format!("/mnt/{name}"),
        root: "/".to_owned(),
        filesystem: "ext4".to_owned(),
        source: format!("/dev/{name}"),
        options: "rw".to_owned(),
        super_options: "rw".to_owned(),
    };
    Disk {
        name: name.to_owned(),
        facts: Some(DiskFacts {
            mounts: vec![mount],
            ..DiskFacts::default()
        }),
        ..Disk::default()
    }
}

pub(super) fn process(pid: u32, comm: &str) -> Process {
    Process {
        pid,
        comm: comm.to_owned(),
        start_boottime_ns: START - 1_560 * SECOND,
        args: vec![comm.to_owned(), "-v".to_owned()],
        ..Process::default()
    }
}

/// A histogram with all in one bucket.
fn all_at(part: Part) -> Histogram {
    Histogram(vec![(bucket(part.2) as u16, part.0)])
}

pub(super) fn stack_of(frames: &[&str]) -> Stack {
    let frame = |symbol: &&str| Frame {
        symbol: Some((*symbol).to_owned()),
        offset: 16,
        module: None,
    };
    Stack {
        frames: frames.iter().map(frame).collect(),
    }
}

/// A request recorded by itself, on the first disk.
pub(super) fn ended(actor: u32, op: Op, (queued_ns, completed_ns): (u64, u64)) -> EndedRequest {
    EndedRequest {
        actor,
        tid: 1_000 + actor,
        disk: 0,
        op,
        bytes: 4_096,
        sector: Some(0),
        queued_ns,
        issued_ns: Some(queued_ns),
        completed_ns,
        overlap_ns: 0,
        service_ns: 0,
        requeues: 0,
        older: false,
        stack: None,
        stands_for: 1.0,
    }
}

impl Builder {
    /// 60 s, a slow limit of 10 ms, all hooks, these disks, nothing happening.
    pub(super) fn of_disks(disks: Vec<Disk>) -> Self {
        let indexed = disks.into_iter().enumerate().map(|(index, disk)| Disk {
            index: Some(index as u16),
            ..disk
        });
        Self(Capture {
            format: capture::FORMAT.to_owned(),
            version: capture::VERSION,
            agent_version: "test".to_owned(),
            host: capture::Host {
                cpus: 2,
                ..capture::Host::default()
            },
            settings: capture::Settings {
                slow_ns: 10 * MS,
                interval_ns: SECOND,
                ..capture::Settings::default()
            },
            window: Window {
                start_ns: START,
                end_ns: START + 60 * SECOND,
                start_unix_ns: 1_767_000_000 * SECOND as i64,
                ..Window::default()
            },
            gaps: Vec::new(),
            hooks: vec![Hook {
                program: "request_complete".to_owned(),
                hook: "block_rq_complete".to_owned(),
                state: HookState::Attached,
                reason: None,
                lack: None,
            }],
            disks: indexed.collect(),
            actors: Vec::new(),
            uses: Vec::new(),
            series: Vec::new(),
            owners: Vec::new(),
            discards: Vec::new(),
            slow_requests: Vec::new(),
            discard_requests: Vec::new(),
            unfinished_requests: Vec::new(),
            tasks: Vec::new(),
            blocked: Vec::new(),
            long_sleeps: Vec::new(),
            unfinished_sleeps: Vec::new(),
            stacks: Vec::new(),
            intervals: Vec::new(),
            loss: Vec::new(),
            overhead: capture::Overhead::default(),
            confinement: None,
            inventory: capture::Inventory::default(),
            host_waits: capture::HostWaits::default(),
        })
    }

    pub(super) fn capture(self) -> Capture {
        self.0
    }

    /// Anything the other methods do not say.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Capture)) -> Self {
        change(&mut self.0);
        self
    }

    /// A process; its pid is its id and a thousand.
    pub(super) fn actor(self, id: u32, comm: &str) -> Self {
        let process = process(1_000 + id, comm);
        self.with(|capture| {
            capture.actors.push(Actor {
                id,
                process: Some(process),
                ..Actor::default()
            });
        })
    }

    /// Requests of an actor; with a discard in flight during all of the exposed.
    pub(super) fn flow(
        self,
        actor: u32,
        disk: u16,
        op: Op,
        exposed: Part,
        unexposed: Part,
    ) -> Self {
        self.partly_exposed(actor, disk, op, (exposed, exposed.0 * exposed.2), unexposed)
    }

    /// The same with the overlap given.
    pub(super) fn partly_exposed(
        mut self,
        actor: u32,
        disk: u16,
        op: Op,
        (exposed, overlap_ns): (Part, u64),
        unexposed: Part,
    ) -> Self {
        let exposed_total_ns = exposed.0 * exposed.2;
        let total_ns = exposed_total_ns + unexposed.0 * unexposed.2;
        self.0.uses.push(Use {
            actor,
            disk,
            op,
            ops: exposed.0 + unexposed.0,
            bytes: 4_096 * (exposed.0 + unexposed.0),
            queue_ns: 0,
            device_ns: total_ns,
            total_ns,
            slowest_ns: exposed.2.max(unexposed.2),
            slow_ops: exposed.1 + unexposed.1,
            slow_total_ns: 0,
            service_ns: 0,
            exposed_ops: exposed.0,
            exposed_slow_ops: exposed.1,
            exposed_total_ns,
            overlap_ns,
            exposed_latency: all_at(exposed),
            unexposed_latency: all_at(unexposed),
        });
        self.count(disk, op, exposed, unexposed);
        self
    }

    fn count(&mut self, disk: u16, op: Op, exposed: Part, unexposed: Part) {
        let (index, ops) = (self.series(disk, op), exposed.0 + unexposed.0);
        let series = &mut self.0.series[index];
        let total_ns = exposed.0 * exposed.2 + unexposed.0 * unexposed.2;
        series.ops += ops;
        series.bytes += 4_096 * ops;
        series.device_ns += total_ns;
        series.total_ns += total_ns;
        series.slowest_ns = series.slowest_ns.max(exposed.2).max(unexposed.2);
        series.queue.0.push((0, ops));
        for Part(ops, _, each_ns) in [exposed, unexposed] {
            series.device.0.push((bucket(each_ns) as u16, ops));
            series.total.0.push((bucket(each_ns) as u16, ops));
        }
        series.exposed.0.push((bucket(exposed.2) as u16, exposed.0));
    }

    fn series(&mut self, disk: u16, op: Op) -> usize {
        if let Some(index) = self
            .0
            .series
            .iter()
            .position(|series| series.disk == disk && series.op == op)
        {
            return index;
        }
        self.0.series.push(Series {
            disk,
            op,
            ops: 0,
            bytes: 0,
            queue_ns: 0,
            device_ns: 0,
            total_ns: 0,
            slowest_ns: 0,
            queue: Histogram::default(),
            device: Histogram::default(),
            total: Histogram::default(),
            exposed: Histogram::default(),
            requeues: 0,
            merges: 0,
            errors: 0,
            partial_completions: 0,
            sequenced_completions: 0,
            older_requests: 0,
        });
        self.0.series.len() - 1
    }

    /// Discards that ended.
    pub(super) fn discards(
        mut self,
        actor: u32,
        disk: u16,
        frames: &[&str],
        ops: u64,
        each_ns: u64,
    ) -> Self {
        let stack = self.stack(frames);
        self.0.discards.push(Discards {
            actor,
            disk,
            op: Op::Discard,
            stack: Some(stack),
            ops,
            bytes: ops << 26,
            queue_ns: 0,
            device_ns: ops * each_ns,
            slowest_ns: each_ns,
            first_queued_ns: START,
            last_completed_ns: START + ops * each_ns,
        });
        let nothing = Part(0, 0, 0);
        self.flow(actor, disk, Op::Discard, Part(ops, ops, each_ns), nothing)
    }

    /// Time with a discard in flight.
    pub(super) fn busy(self, disk: usize, ns: u64) -> Self {
        self.with(|capture| capture.disks[disk].discard_busy_ns = ns)
    }

    /// A process's only thread, which slept so long in the window and before it.
    pub(super) fn slept(
        mut self,
        actor: u32,
        comm: &str,
        frames: &[&str],
        (window_ns, before_ns): (u64, u64),
    ) -> Self {
        let (stack, task) = (self.stack(frames), self.task(actor, comm));
        self.0.blocked.push(Blocked {
            task,
            stack: Some(stack),
            killable: false,
            io_wait: None,
            sleeps: 1,
            blocked_ns: window_ns,
            before_ns,
            longest_ns: window_ns + before_ns,
        });
        self
    }

    /// The same, asleep at the end of the window since that age.
    pub(super) fn asleep(mut self, actor: u32, comm: &str, frames: &[&str], age_ns: u64) -> Self {
        let (stack, task) = (self.stack(frames), self.task(actor, comm));
        let start_ns = self.0.window.end_ns - age_ns;
        self.0.unfinished_sleeps.push(UnfinishedSleep {
            task,
            stack: Some(stack),
            killable: false,
            io_wait: None,
            start_ns,
            holder: None,
        });
        self
    }

    fn task(&mut self, actor: u32, comm: &str) -> u32 {
        let (id, tid) = (self.0.tasks.len() as u32, 1_000 + actor);
        self.0.tasks.push(Task {
            id,
            tid,
            comm: comm.to_owned(),
            process: process(tid, comm).into(),
            ..Task::default()
        });
        id
    }

    fn stack(&mut self, frames: &[&str]) -> usize {
        self.0.stacks.push(stack_of(frames));
        self.0.stacks.len() - 1
    }
}
