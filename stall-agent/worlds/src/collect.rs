//! What the agent's collection makes of what it could see: sums, histograms, intervals, records within their budget.
//!
//! The rules are those of the programs and of `stall-agent/src/{collect,trace}`; buckets and clocks are the same code.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use stall_capture::sample::{Key, Sample};
use stall_capture::{
    self as capture, Actor, Blocked, Capture, CgroupLimit, Contents, DeviceState, Dirtied,
    Discards, DiskFacts, DiskStat, EndedRequest, EndedSleep, FrozenFilesystem, Histogram, Host,
    HostWaits, InFlight, Interval, IntervalDiscards, IntervalDisk, IntervalSeries, IntervalUse,
    Inventory, Loss, MemoryPressure, Mount, Op, Overhead, Owner, Partition, Series, Settings,
    Stack, Task, UnfinishedRequest, UnfinishedSleep, Use, View, Waker, Window,
};
use stall_common::exposure::{self, finer};
use stall_common::histogram::{bucket, middle, wide};
use stall_common::loss::Loss as KernelLoss;
use stall_common::request::{Op as Abi, SERVICE_MIN_NS};

use crate::dice::Dice;
use crate::log::{Counters, Ended, Log, Process, Sleep, Tick, Why};
use crate::people::{self, OPENS};
use crate::world::{Class, Does, Freeze, MS, Ns, S, World};

/// Records in an interval: slow requests, discards, sleeps.
const BUDGETS: [u32; 3] = [2_000, 1_000, 1_000];
const SLOW_REQUESTS: usize = 0;
const DISCARDS: usize = 1;
const SLEEPS: usize = 2;
/// Slow requests of an actor, disk and operation that are not thinned out.
const FEW: u64 = 32;
/// Sleeps that are kept, the longest.
const KEPT: usize = 2_000;
/// As agents are started without `--slow`.
pub const SLOW: Ns = 10 * MS;
/// As they are started without `--interval`.
pub const INTERVAL: Ns = S;
/// Sleeps from this length on have a stack.
const STACK_MIN: Ns = MS;

/// The capture of a world that was played and observed.
#[must_use]
pub fn capture(world: &World, log: &Log) -> Capture {
    let mut collection = Collection::new(world, log);
    collection.requests_and_sleeps();
    collection.into_capture()
}

#[derive(Default)]
struct Counts(BTreeMap<u16, u64>);

impl Counts {
    fn add(&mut self, bucket: u32) {
        *self.0.entry(bucket as u16).or_default() += 1;
    }

    fn histogram(&self) -> Histogram {
        Histogram(
            self.0
                .iter()
                .map(|(bucket, count)| (*bucket, *count))
                .collect(),
        )
    }

    fn quantile_ns(&self, quantile: f64) -> u64 {
        let all: u64 = self.0.values().sum();
        let wanted = ((all as f64 * quantile).ceil() as u64).max(1);
        let mut sum = 0;
        for (bucket, count) in &self.0 {
            sum += count;
            if sum >= wanted {
                return middle(usize::from(*bucket));
            }
        }
        0
    }
}

#[derive(Default)]
struct SeriesCounts {
    queue: Counts,
    device: Counts,
    total: Counts,
    exposed: Counts,
    recent: Counts,
}

struct Collection<'a> {
    world: &'a World,
    log: &'a Log,
    /// Actors of processes, by their place in the log.
    actors: HashMap<u32, u32>,
    actor_rows: Vec<Actor>,
    disks: HashMap<usize, u16>,
    uses: BTreeMap<(u16, u32, Op), Use>,
    sides: HashMap<(u16, u32, Op), [Counts; 2]>,
    series: BTreeMap<(u16, Op), (Series, SeriesCounts)>,
    owners: BTreeMap<(u32, u16, Op, u64), Owner>,
    discards: BTreeMap<(u32, u16), Discards>,
    stacks: Vec<Stack>,
    stack_ids: HashMap<&'static str, usize>,
    tasks: BTreeMap<(u32, u32), u32>,
    blocked: BTreeMap<(u32, Option<usize>), Blocked>,
    slow_requests: Sample,
    discard_requests: Sample,
    long_sleeps: Vec<EndedSleep>,
    intervals: Vec<Interval>,
    interval_uses: BTreeMap<(u16, u32, Op), IntervalUse>,
    interval_series: BTreeMap<(u16, Op), IntervalSeries>,
    /// By kind of record: sent in this interval, and of how many one is.
    sent: [u32; 3],
    one_of: [u32; 3],
    dice: Dice,
    over_budget: u64,
    not_kept: u64,
    stats: Vec<DiskStat>,
}

impl<'a> Collection<'a> {
    fn new(world: &'a World, log: &'a Log) -> Self {
        let nobody = |id| Actor {
            id,
            ..Actor::default()
        };
        Self {
            world,
            log,
            actors: HashMap::new(),
            actor_rows: vec![nobody(0), nobody(1)],
            disks: HashMap::new(),
            uses: BTreeMap::new(),
            sides: HashMap::new(),
            series: BTreeMap::new(),
            owners: BTreeMap::new(),
            discards: BTreeMap::new(),
            stacks: Vec::new(),
            stack_ids: HashMap::new(),
            tasks: BTreeMap::new(),
            blocked: BTreeMap::new(),
            slow_requests: Sample::default(),
            discard_requests: Sample::default(),
            dice: Dice::new(world.seed ^ 2),
            long_sleeps: Vec::new(),
            intervals: Vec::new(),
            interval_uses: BTreeMap::new(),
            interval_series: BTreeMap::new(),
            sent: [0; 3],
            one_of: [1; 3],
            over_budget: 0,
            not_kept: 0,
            stats: vec![DiskStat::default(); world.disks.len()],
        }
    }

    /// Time in the capture.
    fn at(&self, time: Ns) -> u64 {
        OPENS + time - self.world.before.min(OPENS)
    }

    fn is_older(&self, queued: Ns) -> bool {
        queued < self.world.before
    }

    /// In the order in which things ended, with the looks between.
    fn requests_and_sleeps(&mut self) {
        let log = self.log;
        // A disk is known from its first request on, also of those that were there before.
        let mut requests: Vec<_> = log.ended.iter().chain(&log.unfinished).collect();
        requests.sort_by_key(|request| request.queued);
        for request in requests {
            self.disk(request.disk);
        }
        // Ids are given at the first request, which need not be the first that ends.
        for process in &log.submitters {
            self.actor(*process);
        }
        let (mut ended, mut sleeps) = (log.ended.iter().peekable(), log.sleeps.iter().peekable());
        let mut opened = self.world.before;
        for (number, tick) in log.ticks.iter().enumerate() {
            // The last look is at the end of the window, which may be that of the interval before it.
            if tick.at == opened && number > 0 {
                continue;
            }
            while let Some(time) = next(&mut ended, &mut sleeps, tick.at) {
                match time {
                    Next::Request(request) => self.ended(request),
                    Next::Sleep(sleep) => self.slept(sleep),
                }
            }
            self.look(opened, number);
            opened = tick.at;
        }
    }

    fn actor(&mut self, process: u32) -> u32 {
        if let Some(id) = self.actors.get(&process) {
            return *id;
        }
        let id = self.actor_rows.len() as u32;
        self.actors.insert(process, id);
        self.actor_rows.push(Actor {
            id,
            process: Some(self.process(process)),
            ..Actor::default()
        });
        id
    }

    fn process(&self, process: u32) -> capture::Process {
        let process = &self.log.processes[process as usize];
        people::process(&self.world.parties, self.world.before, process)
    }

    fn disk(&mut self, disk: usize) -> u16 {
        let next = self.disks.len() as u16;
        *self.disks.entry(disk).or_insert(next)
    }

    fn stack(&mut self, frames: &'static str, is_kernel_thread: bool) -> usize {
        if let Some(index) = self.stack_ids.get(frames) {
            return *index;
        }
        self.stacks.push(people::stack(frames, is_kernel_thread));
        self.stack_ids.insert(frames, self.stacks.len() - 1);
        self.stacks.len() - 1
    }

    fn who(&mut self, request: &Ended) -> u32 {
        match request.process {
            None => 1,
            Some(_) if self.is_older(request.queued) => 0,
            Some(process) => self.actor(process),
        }
    }

    fn ended(&mut self, request: &Ended) {
        let actor = self.who(request);
        let disk = self.disk(request.disk);
        let op = op(request);
        let is_discard = request.op == Abi::Discard;
        let is_older = self.is_older(request.queued) && actor == 0;
        let total = request.completed - request.queued;
        let issued = request.issued.filter(|_| !is_older);
        let (queue, device) = issued.map_or((0, 0), |issued| {
            (
                issued.saturating_sub(request.queued),
                request.completed.saturating_sub(issued),
            )
        });
        let service = if total < SERVICE_MIN_NS {
            0
        } else {
            request.service
        };
        let is_slow = total >= SLOW;
        let sums = Sums {
            total,
            queue,
            device,
            issued: issued.is_some(),
            service,
            overlap: request.overlap,
            is_slow,
            is_older,
        };
        self.count_use(actor, disk, op, request, &sums);
        self.count_series(disk, op, request, &sums);
        self.count_owner(actor, disk, op, request, &sums);
        self.count_stat(request, total);
        if is_discard {
            self.count_discard(actor, disk, request, &sums);
        }
        if is_discard || is_slow {
            self.record(actor, disk, op, request, &sums);
        }
    }

    fn count_use(&mut self, actor: u32, disk: u16, op: Op, request: &Ended, sums: &Sums) {
        let key = (disk, actor, op);
        let row = self
            .uses
            .entry(key)
            .or_insert_with(|| no_use(actor, disk, op));
        row.ops += 1;
        row.bytes += request.bytes;
        row.queue_ns += sums.queue;
        row.device_ns += sums.device;
        row.total_ns += sums.counted_total();
        row.slowest_ns = row.slowest_ns.max(sums.total);
        row.slow_ops += u64::from(sums.is_slow);
        row.slow_total_ns += if sums.is_slow { sums.total } else { 0 };
        row.service_ns += sums.service;
        if sums.overlap > 0 {
            row.exposed_ops += 1;
            row.exposed_slow_ops += u64::from(sums.is_slow);
            row.exposed_total_ns += sums.total;
            row.overlap_ns += sums.overlap;
        }
        let side = usize::from(sums.overlap > 0);
        let sides = self.sides.entry(key).or_default();
        sides[side].add(finer(exposure::bucket(sums.total) as usize) as u32);
        let row = self
            .interval_uses
            .entry(key)
            .or_insert_with(|| IntervalUse {
                actor,
                disk,
                op,
                ops: 0,
                bytes: 0,
                queue_ns: 0,
                device_ns: 0,
                service_ns: 0,
                waited: None,
            });
        row.ops += 1;
        row.bytes += request.bytes;
        row.queue_ns += sums.queue;
        row.device_ns += sums.device;
        row.service_ns += sums.service;
        let waited = row.waited.get_or_insert_default();
        waited.total_ns += sums.counted_total();
        waited.slow_ops += u64::from(sums.is_slow);
        waited.slow_total_ns += if sums.is_slow { sums.total } else { 0 };
        waited.overlap_ns += sums.overlap;
    }

    fn count_series(&mut self, disk: u16, op: Op, request: &Ended, sums: &Sums) {
        let (row, counts) = self
            .series
            .entry((disk, op))
            .or_insert_with(|| (no_series(disk, op), SeriesCounts::default()));
        row.ops += 1;
        row.bytes += request.bytes;
        row.queue_ns += sums.queue;
        row.device_ns += sums.device;
        row.total_ns += sums.counted_total();
        row.slowest_ns = row.slowest_ns.max(sums.total);
        row.older_requests += u64::from(sums.is_older);
        if sums.issued {
            counts.queue.add(bucket(sums.queue));
            counts.device.add(bucket(sums.device));
        }
        counts.total.add(bucket(sums.total));
        counts.recent.add(bucket(sums.total));
        if sums.overlap > 0 {
            counts.exposed.add(bucket(sums.total));
        }
        let row = self
            .interval_series
            .entry((disk, op))
            .or_insert_with(|| IntervalSeries {
                disk,
                op,
                ops: 0,
                bytes: 0,
                queue_ns: 0,
                device_ns: 0,
                p50_ns: 0,
                p99_ns: 0,
                total_counts: None,
            });
        row.ops += 1;
        row.bytes += request.bytes;
        row.queue_ns += sums.queue;
        row.device_ns += sums.device;
    }

    /// Only what threads of the kernel do for a control group.
    fn count_owner(&mut self, actor: u32, disk: u16, op: Op, request: &Ended, sums: &Sums) {
        let Some(process) = request.process else {
            return;
        };
        let is_kernel = self.log.processes[process as usize].party.is_none();
        let Some(party) = self.world.parties.get(request.party).filter(|_| is_kernel) else {
            return;
        };
        let id = people::cgroup_id(request.party);
        let row = self
            .owners
            .entry((actor, disk, op, id))
            .or_insert_with(|| Owner {
                actor,
                disk,
                op,
                cgroup_id: id,
                cgroup: Some(people::cgroup(request.party, party)),
                ops: 0,
                bytes: 0,
                total_ns: 0,
                service_ns: 0,
            });
        row.ops += 1;
        row.bytes += request.bytes;
        row.total_ns += sums.total;
        row.service_ns += sums.service;
    }

    fn count_discard(&mut self, actor: u32, disk: u16, request: &Ended, sums: &Sums) {
        let stack = self.discard_stack(request);
        let (queued, completed) = (self.at(request.queued), self.at(request.completed));
        let row = self
            .discards
            .entry((actor, disk))
            .or_insert_with(|| Discards {
                actor,
                disk,
                op: Op::Discard,
                stack,
                ops: 0,
                bytes: 0,
                queue_ns: 0,
                device_ns: 0,
                slowest_ns: 0,
                first_queued_ns: queued,
                last_completed_ns: 0,
            });
        row.ops += 1;
        row.bytes += request.bytes;
        row.queue_ns += sums.queue;
        row.device_ns += sums.device;
        row.slowest_ns = row.slowest_ns.max(sums.device);
        row.last_completed_ns = completed;
    }

    fn discard_stack(&mut self, request: &Ended) -> Option<usize> {
        if self.is_older(request.queued) {
            return None;
        }
        let does = self.does(request.party);
        Some(self.stack(people::discard_frames(does), false))
    }

    fn does(&self, party: usize) -> Option<Does> {
        let party = self.world.parties.get(party);
        party.map(|party| party.does)
    }

    /// Whether the interval's budget of a kind allows another record; what is rare is not thinned out.
    fn within_budget(&mut self, kind: usize, is_rare: bool) -> bool {
        let one_of = u64::from(self.one_of[kind]);
        let is_drawn = is_rare || one_of <= 1 || self.dice.below(one_of) == 0;
        let is_within = is_drawn && self.sent[kind] < BUDGETS[kind];
        self.sent[kind] += u32::from(is_within);
        self.over_budget += u64::from(!is_within);
        is_within
    }

    fn record(&mut self, actor: u32, disk: u16, op: Op, request: &Ended, sums: &Sums) {
        let is_discard = request.op == Abi::Discard;
        let slow = self
            .uses
            .get(&(disk, actor, op))
            .map_or(0, |row| row.slow_ops);
        let (kind, is_rare) = if is_discard {
            (DISCARDS, false)
        } else {
            (SLOW_REQUESTS, slow <= FEW)
        };
        if !self.within_budget(kind, is_rare) {
            return;
        }
        let row = EndedRequest {
            actor,
            tid: if sums.is_older { 0 } else { request.thread },
            disk,
            op,
            bytes: request.bytes,
            sector: sector(request),
            queued_ns: self.at(request.queued),
            issued_ns: request
                .issued
                .filter(|_| !sums.is_older)
                .map(|issued| self.at(issued)),
            completed_ns: self.at(request.completed),
            overlap_ns: if is_discard { 0 } else { request.overlap },
            service_ns: sums.service,
            requeues: 0,
            older: sums.is_older,
            stack: if is_discard {
                self.discard_stack(request)
            } else {
                None
            },
            stands_for: 1.0,
        };
        if is_discard {
            self.discard_requests.add(row);
        } else {
            self.slow_requests.add(row);
        }
    }

    fn count_stat(&mut self, request: &Ended, total: Ns) {
        let stat = &mut self.stats[request.disk];
        let (sectors, ms) = (request.bytes / 512, total / MS);
        let add = |to: &mut Option<u64>, more| *to = Some(to.unwrap_or(0) + more);
        match request.op {
            Abi::Read => {
                stat.reads += 1;
                stat.read_sectors += sectors;
                stat.read_ms += ms;
            }
            Abi::Discard => {
                add(&mut stat.discards, 1);
                add(&mut stat.discard_sectors, sectors);
                add(&mut stat.discard_ms, ms);
            }
            Abi::Flush => {
                add(&mut stat.flushes, 1);
                add(&mut stat.flush_ms, ms);
            }
            _ => {
                stat.writes += 1;
                stat.write_sectors += sectors;
                stat.write_ms += ms;
            }
        }
        stat.queue_ms += ms;
    }

    fn task(&mut self, process: u32, thread: u32) -> u32 {
        let next = self.tasks.len() as u32;
        *self.tasks.entry((process, thread)).or_insert(next)
    }

    fn sleep_stack(&mut self, sleep: &Sleep) -> usize {
        let party = self.log.processes[sleep.process as usize].party;
        let does = party.and_then(|party| self.does(party));
        let frames = people::sleep_frames(sleep.why, does);
        self.stack(frames, party.is_none())
    }

    fn slept(&mut self, sleep: &Sleep) {
        let task = self.task(sleep.process, sleep.thread);
        let stack = Some(self.sleep_stack(sleep));
        let killable = sleep.why == Why::Dirty;
        let before = self.world.before.saturating_sub(sleep.from);
        let length = sleep.to - sleep.from;
        let row = self.blocked.entry((task, stack)).or_insert(Blocked {
            task,
            stack,
            killable,
            io_wait: Some(is_io(sleep.why)),
            sleeps: 0,
            blocked_ns: 0,
            before_ns: 0,
            longest_ns: 0,
        });
        row.sleeps += 1;
        row.blocked_ns += length - before;
        row.before_ns += before;
        row.longest_ns = row.longest_ns.max(length);
        if before > 0 || (length >= SLOW && self.within_budget(SLEEPS, true)) {
            let row = EndedSleep {
                task,
                stack,
                killable,
                io_wait: Some(is_io(sleep.why)),
                start_ns: self.at(sleep.from),
                end_ns: self.at(sleep.to),
                waker: sleep
                    .waker
                    .map(|waker| waker_of(&self.log.processes[waker as usize])),
            };
            self.long_sleeps.push(row);
            let length = |row: &EndedSleep| row.end_ns - row.start_ns;
            self.not_kept += keep(&mut self.long_sleeps, 2 * KEPT, length);
        }
    }

    /// Closes an interval.
    fn look(&mut self, opened: Ns, number: usize) {
        let tick = &self.log.ticks[number];
        let before = number
            .checked_sub(1)
            .map(|before| &self.log.ticks[before].discards);
        let mut discards = Vec::new();
        for (disk, (clock, in_flight)) in tick.discards.iter().enumerate() {
            let Some(&index) = self.disks.get(&disk) else {
                continue;
            };
            let busy_ns = clock - before.map_or(0, |before| before[disk].0);
            if busy_ns > 0 || *in_flight > 0 {
                discards.push(IntervalDiscards {
                    disk: index,
                    busy_ns: busy_ns.min(tick.at - opened),
                    in_flight: *in_flight,
                });
            }
        }
        discards.sort_by_key(|row| row.disk);
        let mut series: Vec<_> = std::mem::take(&mut self.interval_series)
            .into_values()
            .collect();
        for row in &mut series {
            if let Some((_, counts)) = self.series.get_mut(&(row.disk, row.op)) {
                let recent = std::mem::take(&mut counts.recent);
                row.p50_ns = recent.quantile_ns(0.5);
                row.p99_ns = recent.quantile_ns(0.99);
                row.total_counts = Some(wide_counts(&recent));
            }
        }
        self.draw();
        self.intervals.push(Interval {
            start_ns: self.at(opened),
            end_ns: self.at(tick.at),
            series,
            discards,
            disks: self.interval_disks(number),
            uses: std::mem::take(&mut self.interval_uses)
                .into_values()
                .collect(),
            blocked_tasks: tick.blocked,
        });
    }

    /// What was sent in an interval stands for what there was, and tells what may be sent in the next.
    fn draw(&mut self) {
        let uses = &self.interval_uses;
        let slow = |key: &Key| {
            let waited = uses.get(key).and_then(|row| row.waited);
            waited.map_or(0, |waited| waited.slow_ops)
        };
        self.slow_requests.weigh(slow);
        self.discard_requests
            .weigh(|key| uses.get(key).map_or(0, |row| row.ops));
        let is_discard = |key: &&Key| key.2 == Op::Discard;
        let discards: u64 = uses
            .keys()
            .filter(is_discard)
            .map(|key| uses[key].ops)
            .sum();
        let others = uses.keys().filter(|key| key.2 != Op::Discard);
        let wanted = [others.map(slow).sum(), discards, 0];
        for ((one_of, wanted), most) in self.one_of.iter_mut().zip(wanted).zip(BUDGETS) {
            let aim = u64::from(most) * 3 / 4;
            *one_of = wanted.div_ceil(aim).max(1) as u32;
        }
        self.sent = [0; 3];
    }

    fn interval_disks(&self, number: usize) -> Vec<IntervalDisk> {
        let (now, before) = (&self.log.ticks[number], number.checked_sub(1));
        let before = before.map(|before| &self.log.ticks[before]);
        let mut rows: Vec<_> = self
            .disks
            .iter()
            .map(|(place, index)| {
                let disk = now.disks[*place];
                let then = before.map_or_else(Default::default, |tick| tick.disks[*place]);
                IntervalDisk {
                    disk: *index,
                    in_flight: in_flight_at(&disk),
                    ended: disk.ended - then.ended,
                    busy_ms: (disk.busy_ns - then.busy_ns) / MS,
                }
            })
            .collect();
        rows.sort_by_key(|row| row.disk);
        rows
    }

    fn into_capture(mut self) -> Capture {
        let unfinished_requests = self.unfinished_requests();
        let unfinished_sleeps = self.unfinished_sleeps();
        let (slow_requests, discard_requests) = self.sampled();
        self.cut_sleeps();
        let tasks = self.task_rows();
        let disks = self.disk_rows();
        let loss = self.loss();
        let inventory = self.inventory();
        let host_waits = self.host_waits();
        let mut discards: Vec<_> = self.discards.into_values().collect();
        discards.sort_by_key(|row| (row.disk, row.first_queued_ns));
        let mut sides = self.sides;
        let uses = self.uses.into_iter().map(|(key, row)| {
            let [unexposed, exposed] = sides.remove(&key).unwrap_or_default();
            Use {
                exposed_latency: exposed.histogram(),
                unexposed_latency: unexposed.histogram(),
                ..row
            }
        });
        let series = self.series.into_values().map(|(row, counts)| Series {
            queue: counts.queue.histogram(),
            device: counts.device.histogram(),
            total: counts.total.histogram(),
            exposed: counts.exposed.histogram(),
            ..row
        });
        Capture {
            format: capture::FORMAT.to_owned(),
            version: capture::VERSION,
            agent_version: "worlds".to_owned(),
            host: host(),
            settings: settings(self.world),
            window: window(self.world),
            hooks: Vec::new(),
            gaps: Vec::new(),
            disks,
            actors: self.actor_rows,
            uses: uses.collect(),
            owners: self.owners.into_values().collect(),
            series: series.collect(),
            discards,
            slow_requests,
            discard_requests,
            unfinished_requests,
            tasks,
            blocked: self.blocked.into_values().collect(),
            long_sleeps: self.long_sleeps,
            unfinished_sleeps,
            stacks: self.stacks,
            intervals: self.intervals,
            loss,
            overhead: Overhead::default(),
            confinement: None,
            inventory,
            host_waits,
        }
    }

    /// Those that are drawn, in order of their ends.
    fn sampled(&mut self) -> (Vec<EndedRequest>, Vec<EndedRequest>) {
        let uses = &self.uses;
        let of = |key: &Key| uses.get(key);
        let slow = std::mem::take(&mut self.slow_requests);
        let (slow, dropped) = slow.into_rows(|key| of(key).map_or(0, |row| row.slow_ops));
        self.not_kept += dropped;
        let discards = std::mem::take(&mut self.discard_requests);
        let (discards, dropped) = discards.into_rows(|key| of(key).map_or(0, |row| row.ops));
        self.not_kept += dropped;
        (slow, discards)
    }

    /// The longest sleeps stay, in order of their ends.
    fn cut_sleeps(&mut self) {
        let sleeps = &mut self.long_sleeps;
        self.not_kept += keep(sleeps, KEPT, |row: &EndedSleep| row.end_ns - row.start_ns);
        sleeps.sort_by_key(|row| row.end_ns);
    }

    fn unfinished_requests(&mut self) -> Vec<UnfinishedRequest> {
        let log = self.log;
        let mut rows = Vec::new();
        for request in &log.unfinished {
            let actor = self.who(request);
            let is_older = actor == 0;
            let stack = match request.op {
                Abi::Discard => self.discard_stack(request),
                _ => None,
            };
            rows.push(UnfinishedRequest {
                actor,
                tid: if is_older { 0 } else { request.thread },
                disk: self.disk(request.disk),
                op: op(request),
                bytes: request.bytes,
                sector: sector(request),
                queued_ns: self.at(request.queued),
                issued_ns: request
                    .issued
                    .filter(|_| !is_older)
                    .map(|issued| self.at(issued)),
                requeues: 0,
                older: is_older,
                stack,
            });
        }
        rows.sort_by_key(|row| row.queued_ns);
        rows
    }

    fn unfinished_sleeps(&mut self) -> Vec<UnfinishedSleep> {
        let log = self.log;
        let mut rows = Vec::new();
        for sleep in &log.unfinished_sleeps {
            let stack = Some(self.sleep_stack(sleep));
            rows.push(UnfinishedSleep {
                task: self.task(sleep.process, sleep.thread),
                stack,
                killable: sleep.why == Why::Dirty,
                io_wait: Some(is_io(sleep.why)),
                start_ns: self.at(sleep.from),
                holder: None,
            });
        }
        rows.sort_by_key(|row| row.start_ns);
        rows
    }

    fn task_rows(&self) -> Vec<Task> {
        let mut shared = HashMap::new();
        let mut rows: Vec<Task> = Vec::new();
        for (&(process, thread), &id) in &self.tasks {
            let of = shared
                .entry(process)
                .or_insert_with(|| Arc::new(self.process(process)));
            let (short_sleeps, short_ns) = self
                .log
                .short
                .get(&(process, thread))
                .copied()
                .unwrap_or_default();
            rows.push(Task {
                id,
                tid: thread,
                comm: of.comm.clone(),
                start_boottime_ns: of.start_boottime_ns,
                process: Arc::clone(of),
                short_sleeps,
                short_ns,
                waits_on: Vec::new(),
            });
        }
        rows.sort_by_key(|row| row.id);
        rows
    }

    fn disk_rows(&self) -> Vec<capture::Disk> {
        let disks = self.world.disks.iter().enumerate();
        disks
            .map(|(place, disk)| self.disk_row(place, disk))
            .collect()
    }

    fn disk_row(&self, place: usize, disk: &crate::world::Disk) -> capture::Disk {
        let last = self
            .log
            .ticks
            .last()
            .and_then(|tick| tick.discards.get(place))
            .copied();
        let (busy, in_flight) = last.unwrap_or_default();
        let counters = self.counters(place);
        let at_start = DiskStat {
            reads: 1_000_000,
            writes: 500_000,
            discards: Some(1_000),
            discard_sectors: Some(1_000_000),
            discard_merges: Some(0),
            discard_ms: Some(1_000),
            flushes: Some(10_000),
            flush_ms: Some(10_000),
            io_ms: 1_000_000,
            queue_ms: 2_000_000,
            ..DiskStat::default()
        };
        capture::Disk {
            index: self.disks.get(&place).copied(),
            name: disk.name.clone(),
            major: 259,
            minor: place as u32 * 16,
            facts: Some(facts(place, disk)),
            in_flight_at_start: Some(in_flight_at(&self.log.opened.disks[place])),
            in_flight_at_end: Some(in_flight_at(&counters)),
            discard_busy_ns: busy.min(self.world.window),
            discards_in_flight_at_end: in_flight,
            stat_at_end: Some(self.stat_at_end(place, at_start)),
            stat_at_start: Some(at_start),
            state: DeviceState::default(),
        }
    }

    fn stat_at_end(&self, place: usize, start: DiskStat) -> DiskStat {
        let (more, counters) = (self.stats[place], self.counters(place));
        let sum = |a: Option<u64>, b: Option<u64>| Some(a.unwrap_or(0) + b.unwrap_or(0));
        DiskStat {
            reads: start.reads + more.reads,
            read_sectors: start.read_sectors + more.read_sectors,
            read_ms: start.read_ms + more.read_ms,
            writes: start.writes + more.writes,
            write_sectors: start.write_sectors + more.write_sectors,
            write_ms: start.write_ms + more.write_ms,
            in_flight: counters.reads_in_flight + counters.others_in_flight,
            io_ms: start.io_ms + counters.busy_ns / MS,
            queue_ms: start.queue_ms + more.queue_ms,
            discards: sum(start.discards, more.discards),
            discard_sectors: sum(start.discard_sectors, more.discard_sectors),
            discard_ms: sum(start.discard_ms, more.discard_ms),
            flushes: sum(start.flushes, more.flushes),
            flush_ms: sum(start.flush_ms, more.flush_ms),
            ..start
        }
    }

    /// At the end of the window.
    fn counters(&self, place: usize) -> Counters {
        let last = self.log.ticks.last();
        last.map_or_else(Default::default, |tick| tick.disks[place])
    }

    fn loss(&self) -> Vec<Loss> {
        let count = |loss: &KernelLoss| match loss {
            KernelLoss::RecordBudget => self.over_budget,
            _ => 0,
        };
        let kernels = KernelLoss::ALL
            .iter()
            .map(|loss| (loss.name(), count(loss)));
        let own = [
            ("program_recursion_misses", 0),
            ("undecodable_records", 0),
            ("records_not_kept", self.not_kept),
            ("names_given_up", 0),
            ("stacks_without_symbols", 0),
            ("task_iterations_failed", 0),
        ];
        let row = |(cause, count): (&str, u64)| Loss {
            cause: cause.to_owned(),
            count,
        };
        kernels.chain(own).map(row).collect()
    }

    /// What the agent reads of processes, control groups and memory.
    fn host_waits(&self) -> HostWaits {
        let mut dirtied: Vec<_> = self.log.written.iter().collect();
        dirtied.sort_by_key(|(process, bytes)| (Reverse(**bytes), **process));
        let dirtied = dirtied
            .into_iter()
            .take(64)
            .map(|(process, bytes)| Dirtied {
                process: self.process(*process),
                bytes: *bytes,
                ..Dirtied::default()
            });
        let limited = self.world.parties.iter().enumerate();
        let limits = limited.filter_map(|(index, party)| {
            let limit = party.limit?;
            let number = |rate: f64| match rate.is_finite() {
                true => (rate as u64).to_string(),
                false => "max".to_owned(),
            };
            let (bytes, iops) = (number(limit.bytes_per_second), number(limit.iops));
            Some(CgroupLimit {
                cgroup: people::cgroup(index, party),
                file: "io.max".to_owned(),
                major: 259,
                minor: 0,
                value: format!("rbps={bytes} wbps={bytes} riops={iops} wiops={iops}"),
            })
        });
        HostWaits {
            dirtied: dirtied.collect(),
            limits: limits.collect(),
            frozen: self.frozen(),
            memory_pressure: Some(MemoryPressure::default()),
            ..HostWaits::default()
        }
    }

    /// At the looks, which are those of the intervals.
    fn frozen(&self) -> Vec<FrozenFilesystem> {
        let row = |freeze: &Freeze| {
            let is_frozen = |tick: &&Tick| freeze.from <= tick.at && tick.at < freeze.to;
            let mut looks = std::iter::once(&self.log.opened).chain(&self.log.ticks);
            let seen = looks.find(is_frozen)?;
            Some(FrozenFilesystem {
                major: 259,
                minor: freeze.disk as u32 * 16 + 2,
                mount_points: vec![format!("/var/lib/data{}", freeze.disk)],
                seen_ns: self.at(seen.at),
                at_end: freeze.to > self.world.end(),
                ..FrozenFilesystem::default()
            })
        };
        self.world.freezes.iter().filter_map(row).collect()
    }

    /// Virtual machines and trims are looked for, whether they do anything or not.
    fn inventory(&self) -> Inventory {
        let is_wanted = |process: &&Process| {
            let party = process.party.map(|party| &self.world.parties[party]);
            party.is_some_and(|party| {
                party.who.kind == crate::world::WhoKind::Vm || party.who.comm == "fstrim"
            })
        };
        let wanted = self.log.processes.iter().filter(is_wanted);
        let row = |process| people::process(&self.world.parties, self.world.before, process);
        Inventory {
            processes: wanted.map(row).collect(),
            processes_seen: 180 + self.log.processes.len() as u64,
            view: View {
                host_root: "/".to_owned(),
                pid_namespace_is_hosts: Some(true),
                mount_namespace_is_hosts: Some(true),
                proc_is_hosts: Some(true),
            },
            ..Inventory::default()
        }
    }
}

/// What an end amounts to.
struct Sums {
    total: Ns,
    queue: Ns,
    device: Ns,
    issued: bool,
    service: Ns,
    overlap: Ns,
    is_slow: bool,
    is_older: bool,
}

impl Sums {
    /// The sums hold either its two parts or the whole.
    const fn counted_total(&self) -> Ns {
        if self.issued {
            self.queue + self.device
        } else {
            self.total
        }
    }
}

enum Next<'a> {
    Request(&'a Ended),
    Sleep(&'a Sleep),
}

/// What ended next, not after `until`.
fn next<'a>(
    ended: &mut std::iter::Peekable<std::slice::Iter<'a, Ended>>,
    sleeps: &mut std::iter::Peekable<std::slice::Iter<'a, Sleep>>,
    until: Ns,
) -> Option<Next<'a>> {
    let request = ended.peek().map_or(Ns::MAX, |request| request.completed);
    let sleep = sleeps.peek().map_or(Ns::MAX, |sleep| sleep.to);
    if request.min(sleep) > until {
        return None;
    }
    if request <= sleep {
        ended.next().map(Next::Request)
    } else {
        sleeps.next().map(Next::Sleep)
    }
}

/// Keeps the longest when there are `most`. Returns how many went.
fn keep<T>(rows: &mut Vec<T>, most: usize, length: impl Fn(&T) -> u64) -> u64 {
    if rows.len() < most.max(KEPT + 1) {
        return 0;
    }
    rows.sort_by_key(|row| Reverse(length(row)));
    let gone = rows.len() - KEPT;
    rows.truncate(KEPT);
    gone as u64
}

/// Whether the kernel counts a sleep as one for I/O (`io_schedule`).
const fn is_io(why: Why) -> bool {
    !matches!(why, Why::Commit | Why::Frozen)
}

const fn in_flight_at(counters: &Counters) -> InFlight {
    InFlight {
        reads: counters.reads_in_flight,
        writes: counters.others_in_flight,
    }
}

fn wide_counts(counts: &Counts) -> Vec<(u8, u32)> {
    let mut all = BTreeMap::<u8, u32>::new();
    for (bucket, count) in &counts.0 {
        *all.entry(wide(usize::from(*bucket)) as u8).or_default() += *count as u32;
    }
    all.into_iter().collect()
}

fn op(request: &Ended) -> Op {
    match request.op {
        Abi::Write if request.asynchronous => Op::AsyncWrite,
        Abi::Read if request.asynchronous => Op::ReadAhead,
        other => other.into(),
    }
}

/// Flushes have none.
const fn sector(request: &Ended) -> Option<u64> {
    match request.op {
        Abi::Flush | Abi::Preflush => None,
        _ => Some(request.sector),
    }
}

fn waker_of(process: &Process) -> Waker {
    Waker {
        tid: process.pid,
        pid: process.pid,
        comm: process.comm.clone(),
        start_boottime_ns: 2 * S,
        kernel_thread: process.party.is_none(),
    }
}

const fn no_use(actor: u32, disk: u16, op: Op) -> Use {
    Use {
        actor,
        disk,
        op,
        ops: 0,
        bytes: 0,
        queue_ns: 0,
        device_ns: 0,
        total_ns: 0,
        slowest_ns: 0,
        slow_ops: 0,
        slow_total_ns: 0,
        service_ns: 0,
        exposed_ops: 0,
        exposed_slow_ops: 0,
        exposed_total_ns: 0,
        overlap_ns: 0,
        exposed_latency: Histogram(Vec::new()),
        unexposed_latency: Histogram(Vec::new()),
    }
}

const fn no_series(disk: u16, op: Op) -> Series {
    Series {
        disk,
        op,
        ops: 0,
        bytes: 0,
        queue_ns: 0,
        device_ns: 0,
        total_ns: 0,
        slowest_ns: 0,
        queue: Histogram(Vec::new()),
        device: Histogram(Vec::new()),
        total: Histogram(Vec::new()),
        exposed: Histogram(Vec::new()),
        requeues: 0,
        merges: 0,
        errors: 0,
        partial_completions: 0,
        sequenced_completions: 0,
        older_requests: 0,
    }
}

const fn settings(world: &World) -> Settings {
    Settings {
        duration_ns: Some(world.window),
        interval_ns: INTERVAL,
        slow_ns: SLOW,
        stack_min_ns: STACK_MIN,
        devices: Vec::new(),
    }
}

const fn window(world: &World) -> Window {
    Window {
        start_ns: OPENS,
        end_ns: OPENS + world.window,
        start_unix_ns: 1_796_050_800 * S as i64,
        suspended_ns: 0,
        interrupted: false,
    }
}

fn host() -> Host {
    Host {
        hostname: Some("node-1".to_owned()),
        kernel_release: "6.18.15-1-default".to_owned(),
        kernel_version: "#1 SMP PREEMPT_DYNAMIC".to_owned(),
        machine: "x86_64".to_owned(),
        os: Some("SUSE Linux Enterprise Server 16.0".to_owned()),
        boot_id: None,
        cpus: 32,
        memory_bytes: Some(128 << 30),
        load: Some([3.0, 2.5, 2.0]),
    }
}

fn partition(place: usize, disk: &crate::world::Disk) -> Partition {
    let mount = Mount {
        mount_point: format!("/var/lib/data{place}"),
        root: "/".to_owned(),
        filesystem: "ext4".to_owned(),
        source: format!("/dev/{}p2", disk.name),
        options: "rw,relatime".to_owned(),
        super_options: "rw".to_owned(),
    };
    Partition {
        name: format!("{}p2", disk.name),
        major: 259,
        minor: place as u32 * 16 + 2,
        number: Some(2),
        start_sector: Some(2048),
        size_bytes: Some(SIZE),
        mounts: vec![mount],
        used_by: Vec::new(),
        contents: Contents {
            filesystem: Some("ext4".to_owned()),
            label: None,
        },
    }
}

/// Bytes of any disk.
const SIZE: u64 = 2_000_000_000_000;

fn facts(place: usize, disk: &crate::world::Disk) -> DiskFacts {
    let text = |word: &str| Some(word.to_owned());
    let (driver, transport) = match disk.class {
        Class::Flash => ("nvme", "nvme"),
        Class::Rotational => ("sd", "sata"),
        Class::Network => ("sd", "iscsi"),
    };
    DiskFacts {
        model: Some(format!("{:?} disk", disk.class)),
        size_bytes: Some(SIZE),
        rotational: Some(disk.class == Class::Rotational),
        scheduler: text(if disk.nearest_first {
            "mq-deadline"
        } else {
            "none"
        }),
        queue_depth: Some(disk.tags.into()),
        write_cache: text(if disk.cache.is_some() {
            "write back"
        } else {
            "write through"
        }),
        logical_block_bytes: Some(512),
        discard_granularity_bytes: Some(4096),
        discard_max_bytes: Some(2 << 30),
        discard_max_hw_bytes: Some(2 << 30),
        writeback_throttling_us: Some(0),
        iostats: Some(true),
        driver: text(driver),
        partitions: vec![partition(place, disk)],
        transport: text(transport),
        ..DiskFacts::default()
    }
}
