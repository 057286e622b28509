//! Plays a world, event by event: who asks for what when, what the disk serves in which order, and who waits.
//!
//! All that parties draw by chance comes from streams of their own, and in the same order however long they wait: so a world
//! can be played again without somebody, and the others ask for the same.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use stall_common::discard;
use stall_common::request::Op;

use crate::dice::Dice;
use crate::log::{Counters, Ended, Log, Process, Sleep, Tick, Why};
use crate::world::{
    Arrivals, Class, DiscardEffect, Does, Freeze, Job, KIB, Limit, MIB, MS, Ns, Party, Phase, S,
    Stream, US, Work, WorkKind, World,
};

/// Stands for the party of what the kernel does by itself.
pub const KERNEL: usize = usize::MAX;

/// What is changed in a world that is played again.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Parties that are not there.
    pub without: Vec<usize>,
    /// This one asks for one thing at a time.
    pub one_at_a_time: Option<usize>,
    /// Nothing is wrong with the disks.
    pub healthy: bool,
    /// Nothing is limited by contract.
    pub unlimited: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Played {
    /// Longer than nobody would notice, by [`bounds`]; within the window.
    pub waits: Vec<Wait>,
    /// By party and second of the window: waits that ended, noticed or not.
    pub ended: Vec<Vec<u32>>,
    /// How long the disks worked for each party, those that only it occupies.
    pub served_ns: Vec<Ns>,
    /// Time with discards of a party in flight.
    pub discarding_ns: Vec<Ns>,
    /// What an agent would have seen, when it was asked for.
    pub log: Log,
}

/// A wait that is longer than it would have been alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub party: usize,
    pub disk: usize,
    /// When it would have ended alone, and when it did.
    pub from: Ns,
    pub to: Ns,
    /// Long enough that everybody notices.
    pub plain: bool,
}

/// From which length on a wait is noticed at all, and by everybody; of the class of the disk.
#[must_use]
pub const fn bounds(class: Class) -> (Ns, Ns) {
    match class {
        Class::Flash => (1_500 * US, 5 * MS),
        Class::Network => (5 * MS, 15 * MS),
        Class::Rotational => (25 * MS, 60 * MS),
    }
}

/// Plays a world. `observed` is whether to keep what an agent would have seen.
#[must_use]
pub fn play(world: &World, change: &Change, observed: Option<Ns>) -> Played {
    let mut play = Play::new(world, change, observed);
    play.run();
    play.finish()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A slot begins its next job.
    Next(u32),
    /// A job of an open stream comes.
    Arrival(u32),
    /// A limit lets a request through.
    Admitted(u32),
    /// The filesystem takes writes again.
    Thawed(u32),
    /// The disk has done its part.
    Served(u32),
    /// It is back.
    Back(u32),
    Journal(u32),
    Worker(u32),
    /// The window opens.
    Opens,
    Tick,
}

/// Whoever is told when a request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Slot(u32),
    Journal(u32),
    Cache(u32),
    /// The block layer, for those who wait for a flush.
    Flush,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    owner: Owner,
    party: usize,
    process: u32,
    thread: u32,
    disk: usize,
    op: Op,
    /// Nobody waits for it.
    asynchronous: bool,
    work: Work,
    sector: u64,
    /// The disk's cache is flushed before it.
    flush_first: bool,
    asked: Ns,
    queued: Ns,
    issued: Option<Ns>,
    alone: Ns,
    clock: u64,
    waited_for_tag: bool,
    is_free: bool,
}

/// A job and what chance made of it.
#[derive(Clone, Copy, Debug)]
struct Plan {
    job: Job,
    sector: u64,
    noise: [f32; 2],
}

struct Slot {
    party: usize,
    stream: usize,
    process: u32,
    thread: u32,
    dice: Dice,
    jobs_left: u32,
    plan: Option<Plan>,
    step: u32,
    pending: u32,
    /// Since when it waits for this step.
    asked: Ns,
    alone: Ns,
    /// When the last tag it waited for came.
    tagged: Option<Ns>,
    waits: Option<Why>,
    position: u64,
}

struct Open {
    dice: Dice,
    slots: Vec<u32>,
    idle: Vec<u32>,
    position: u64,
}

#[derive(Default)]
struct Device {
    allocated: u32,
    tag_wait: VecDeque<u32>,
    scheduled: VecDeque<u32>,
    queue: VecDeque<u32>,
    /// Discards that occupy nothing.
    aside: VecDeque<u32>,
    is_aside_busy: bool,
    at_device: u32,
    serving: u32,
    is_exclusive: bool,
    has_hung: bool,
    discards_serving: u32,
    head: u64,
    gate: Gate,
    clock: u64,
    /// What it said when the window opened.
    opened_clock: u64,
    discards_in_flight: u32,
    last_ended: Ns,
    flushing: Option<Vec<u32>>,
    flush_next: Vec<u32>,
    cached_bytes: u64,
    phases: Vec<Phase>,
    /// In flight as the kernel counts, how many of them reads, and since when there is any.
    in_flight: u32,
    reads_in_flight: u32,
    ended: u64,
    busy_ns: Ns,
    busy_since: Ns,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Gate {
    next: Ns,
}

impl Gate {
    /// When a request may go.
    fn admit(&mut self, limit: Limit, bytes: u64, now: Ns) -> Ns {
        let burst = (limit.burst * S as f64) as Ns;
        let at = now.max(self.next.saturating_sub(burst));
        self.next = self.next.max(now) + limit.cost_ns(bytes);
        at
    }
}

#[derive(Default)]
struct JournalState {
    process: u32,
    is_committing: bool,
    /// 0 writes data, 1 the log, 2 the record.
    phase: u32,
    pending: u32,
    since: Ns,
    now: Vec<u32>,
    next: Vec<u32>,
    log_sector: u64,
}

#[derive(Default)]
struct CacheState {
    process: u32,
    dirty: u64,
    pages: VecDeque<(usize, u32, u64)>,
    in_flight: u32,
    throttled: VecDeque<(u32, u32)>,
    position: u64,
}

struct Play<'a> {
    world: &'a World,
    change: &'a Change,
    disks: Vec<crate::world::Disk>,
    now: Ns,
    end: Ns,
    order: u64,
    events: BinaryHeap<Reverse<(Ns, u64, Event)>>,
    requests: Vec<Request>,
    free: Vec<u32>,
    devices: Vec<Device>,
    slots: Vec<Slot>,
    /// First slot or open stream of each party's streams.
    opens: Vec<(usize, usize, Open)>,
    gates: Vec<Gate>,
    throttler: Option<u32>,
    held: VecDeque<u32>,
    is_holding: bool,
    journals: Vec<JournalState>,
    caches: Vec<CacheState>,
    processes: Vec<Process>,
    next_pid: u32,
    observed: Option<Ns>,
    played: Played,
    discarding: Vec<(u32, Ns)>,
}

impl<'a> Play<'a> {
    fn new(world: &'a World, change: &'a Change, observed: Option<Ns>) -> Self {
        let disk = |disk: &crate::world::Disk| {
            let mut disk = if change.healthy {
                disk.healthy()
            } else {
                disk.clone()
            };
            if change.unlimited {
                disk.limit = None;
            }
            disk
        };
        let disks: Vec<_> = world.disks.iter().map(disk).collect();
        let devices = disks.iter().map(|disk| Device {
            phases: in_order(&disk.phases),
            ..Device::default()
        });
        let parties = world.parties.len();
        let mut play = Self {
            world,
            change,
            now: 0,
            end: world.end(),
            order: 0,
            events: BinaryHeap::new(),
            requests: Vec::new(),
            free: Vec::new(),
            devices: devices.collect(),
            disks,
            slots: Vec::new(),
            opens: Vec::new(),
            gates: vec![Gate::default(); parties],
            throttler: None,
            held: VecDeque::new(),
            is_holding: false,
            journals: Vec::new(),
            caches: Vec::new(),
            processes: Vec::new(),
            next_pid: 1_200,
            observed,
            played: Played {
                ended: vec![vec![0; (world.window / S) as usize + 1]; parties],
                served_ns: vec![0; parties],
                discarding_ns: vec![0; parties],
                ..Played::default()
            },
            discarding: vec![(0, 0); parties],
        };
        play.people();
        play
    }

    /// Everybody who is there from the start.
    fn people(&mut self) {
        for index in 0..self.world.journals.len() {
            let process = self.kernel_thread(format!(
                "jbd2/{}p2-8",
                self.world.disks[self.world.journals[index].disk].name
            ));
            self.journals.push(JournalState {
                process,
                log_sector: 1 << 20,
                ..JournalState::default()
            });
            self.at(
                self.world.journals[index].every_ns,
                Event::Journal(index as u32),
            );
        }
        for index in 0..self.world.caches.len() {
            let disk = self.world.caches[index].disk;
            let process = self.kernel_thread(format!("kworker/u16:{}+flush-259:{disk}", index + 3));
            self.caches.push(CacheState {
                process,
                position: 1 << 28,
                ..CacheState::default()
            });
            self.at(
                self.world.caches[index].every_ns,
                Event::Worker(index as u32),
            );
        }
        if self.world.parties.iter().any(|party| party.limit.is_some()) {
            self.throttler = Some(self.kernel_thread("kworker/3:1+kthrotld".to_owned()));
        }
        for party in 0..self.world.parties.len() {
            if !self.change.without.contains(&party) {
                self.party(party);
            } else {
                // Pids of the others stay what they are.
                self.next_pid += 1_000;
            }
        }
        if let Some(interval) = self.observed {
            self.at(self.world.before, Event::Opens);
            self.at(self.world.before + interval, Event::Tick);
        }
    }

    fn party(&mut self, party: usize) {
        let first_pid = self.next_pid;
        let streams = &self.world.parties[party].streams;
        let many = streams.iter().map(|stream| stream.process + 1).max();
        let shared: Vec<u32> = (0..many.unwrap_or(0))
            .map(|_| self.process(party))
            .collect();
        for (index, stream) in streams.iter().enumerate() {
            let process = shared[stream.process as usize];
            let slots = self.new_slots(party, index, process);
            if let Some(&(start, _)) = stream.active.first() {
                self.first_events(party, index, start, slots);
            }
        }
        self.next_pid = self.next_pid.max(first_pid + 1_000);
    }

    /// As many as a stream has at once.
    fn new_slots(&mut self, party: usize, index: usize, process: u32) -> Vec<u32> {
        let stream = &self.world.parties[party].streams[index];
        let count = match stream.arrivals {
            Arrivals::Closed { at_once, .. } | Arrivals::Open { at_once, .. } => at_once,
            Arrivals::Every { .. } => 1,
        };
        let first = self.slots.len() as u32;
        for number in 0..count {
            let own = stream.jobs_of_a_process.is_some() && number > 0;
            let process = if own { self.process(party) } else { process };
            let thread = self.thread(process, stream.sleeps);
            let part = [party as u64, index as u64, u64::from(number)];
            let mut dice = Dice::of(self.world.seed, &part);
            let random = stream.sectors.0 + dice.below(stream.sectors.1 - stream.sectors.0);
            let in_order = stream.sequential && count == 1;
            self.slots.push(Slot {
                party,
                stream: index,
                process,
                thread,
                dice,
                jobs_left: stream.jobs_of_a_process.unwrap_or(u32::MAX),
                plan: None,
                step: 0,
                pending: 0,
                asked: 0,
                alone: 0,
                tagged: None,
                waits: None,
                position: if in_order { stream.sectors.0 } else { random },
            });
        }
        (first..first + count).collect()
    }

    fn first_events(&mut self, party: usize, index: usize, start: Ns, slots: Vec<u32>) {
        let stream = &self.world.parties[party].streams[index];
        let spread = match stream.arrivals {
            Arrivals::Closed { think_ns, .. } => think_ns.clamp(100 * US, S),
            Arrivals::Every { ns } => ns,
            Arrivals::Open { .. } => {
                let open = Open {
                    dice: Dice::of(self.world.seed, &[party as u64, index as u64]),
                    idle: slots.clone(),
                    slots,
                    position: stream.sectors.0,
                };
                self.opens.push((party, index, open));
                return self.at(start, Event::Arrival(self.opens.len() as u32 - 1));
            }
        };
        for slot in slots {
            let jitter = self.slots[slot as usize].dice.below(spread);
            self.at(start + jitter, Event::Next(slot));
        }
    }

    fn process(&mut self, party: usize) -> u32 {
        self.processes.push(Process {
            party: Some(party),
            pid: self.next_pid,
            comm: self.world.parties[party].who.comm.clone(),
            started: self.now,
            exited: None,
            threads: 0,
        });
        self.next_pid += 1;
        self.processes.len() as u32 - 1
    }

    fn kernel_thread(&mut self, comm: String) -> u32 {
        self.processes.push(Process {
            party: None,
            pid: self.next_pid - 1_000,
            comm,
            started: 0,
            exited: None,
            threads: 1,
        });
        self.next_pid += 1;
        self.processes.len() as u32 - 1
    }

    /// The next thread of a process; the first is the process itself.
    fn thread(&mut self, process: u32, sleeps: bool) -> u32 {
        let process = &mut self.processes[process as usize];
        let number = process.threads;
        if sleeps || number == 0 {
            process.threads += 1;
        }
        if number == 0 || !sleeps {
            return process.pid;
        }
        self.next_pid += 1;
        self.next_pid - 1
    }

    fn at(&mut self, time: Ns, event: Event) {
        if time < self.end {
            self.order += 1;
            self.events.push(Reverse((time, self.order, event)));
        }
    }

    fn run(&mut self) {
        while let Some(Reverse((time, _, event))) = self.events.pop() {
            self.now = time;
            match event {
                Event::Next(slot) => self.begin(slot),
                Event::Arrival(open) => self.arrival(open),
                Event::Admitted(request) => self.allocate(request),
                Event::Thawed(slot) => self.thawed(slot),
                Event::Served(request) => self.served(request),
                Event::Back(request) => self.ended(request),
                Event::Journal(journal) => self.journal_due(journal),
                Event::Worker(cache) => self.worker_due(cache),
                Event::Opens => self.opens(),
                Event::Tick => self.tick(),
            }
        }
        self.now = self.end;
    }

    fn stream(&self, slot: u32) -> &'a Stream {
        let slot = &self.slots[slot as usize];
        &self.world.parties[slot.party].streams[slot.stream]
    }

    /// A job of a closed stream.
    fn begin(&mut self, slot: u32) {
        let stream = self.stream(slot);
        let now = self.now;
        let Some(&(from, _)) = stream.active.iter().find(|(_, to)| now < *to) else {
            return;
        };
        if now < from {
            let jitter = self.slots[slot as usize].dice.below(2 * MS);
            self.at(from + jitter, Event::Next(slot));
            return;
        }
        if self.slots[slot as usize].jobs_left == 0 {
            self.another_process(slot, stream);
        }
        let own = &mut self.slots[slot as usize];
        own.jobs_left -= u32::from(stream.jobs_of_a_process.is_some());
        let plan = plan(stream, &mut own.dice, &mut own.position);
        self.start(slot, plan);
    }

    fn another_process(&mut self, slot: u32, stream: &Stream) {
        let (old, party) = (
            self.slots[slot as usize].process,
            self.slots[slot as usize].party,
        );
        self.processes[old as usize].exited = Some(self.now);
        let new = self.process(party);
        let own = &mut self.slots[slot as usize];
        own.process = new;
        own.jobs_left = stream.jobs_of_a_process.unwrap_or(u32::MAX);
        let thread = self.thread(new, true);
        self.slots[slot as usize].thread = thread;
    }

    fn arrival(&mut self, number: u32) {
        let (party, index, open) = &mut self.opens[number as usize];
        let stream = &self.world.parties[*party].streams[*index];
        let Arrivals::Open { per_second, .. } = stream.arrivals else {
            return;
        };
        let now = self.now;
        let Some(&(from, _)) = stream.active.iter().find(|(_, to)| now < *to) else {
            return;
        };
        let gap = open.dice.exponential(S as f64 / per_second) as Ns;
        if now < from {
            self.at(from + gap, Event::Arrival(number));
            return;
        }
        let plan = plan(stream, &mut open.dice, &mut open.position);
        let idle = open.idle.pop();
        self.at(now + gap.max(1), Event::Arrival(number));
        if let Some(slot) = idle {
            self.start(slot, plan);
        }
    }

    fn start(&mut self, slot: u32, plan: Plan) {
        self.slots[slot as usize].plan = Some(plan);
        self.slots[slot as usize].step = 0;
        self.step(slot);
    }

    /// Asks for what the step of a slot's job needs.
    fn step(&mut self, slot: u32) {
        let own = &mut self.slots[slot as usize];
        let Some(plan) = own.plan else { return };
        own.asked = self.now;
        own.tagged = None;
        own.alone = 0;
        let step = own.step;
        if step == 0
            && let Some(until) = self.frozen_until(slot, plan.job)
        {
            self.slots[slot as usize].waits = Some(Why::Frozen);
            return self.at(until, Event::Thawed(slot));
        }
        match (plan.job, step) {
            (Job::Read { bytes }, 0) => self.ask_one(slot, Op::Read, bytes, plan, 0),
            (Job::Write { bytes } | Job::SyncedWrite { bytes } | Job::Fsync { bytes }, 0) => {
                self.ask_one(slot, Op::Write, bytes, plan, 0);
            }
            (Job::Flush, 0) | (Job::SyncedWrite { .. }, 1) => {
                self.ask_one(slot, Op::Preflush, 0, plan, 1);
            }
            (Job::Fsync { .. }, 1) => self.wait_for_commit(slot),
            (Job::Discard { bytes, pieces }, 0) => {
                self.slots[slot as usize].pending = pieces;
                self.slots[slot as usize].waits = self.why(slot, Op::Discard);
                for piece in 0..pieces {
                    let at = u64::from(piece) * u64::from(bytes) / 512;
                    let plan = Plan {
                        sector: plan.sector + at,
                        ..plan
                    };
                    let request = self.request(slot, Op::Discard, bytes, plan, 0);
                    self.ask(request);
                }
            }
            (Job::Buffered { bytes }, 0) => self.buffered(slot, bytes),
            _ => self.done(slot),
        }
    }

    fn frozen_until(&self, slot: u32, job: Job) -> Option<Ns> {
        let writes = !matches!(job, Job::Read { .. } | Job::Flush | Job::Discard { .. });
        let disk = self.stream(slot).disk;
        let is_now = |freeze: &&Freeze| {
            freeze.disk == disk && freeze.from <= self.now && self.now < freeze.to
        };
        let freeze = self.world.freezes.iter().find(is_now);
        freeze
            .filter(|_| writes && !self.change.unlimited)
            .map(|freeze| freeze.to)
    }

    fn thawed(&mut self, slot: u32) {
        let own = &mut self.slots[slot as usize];
        own.waits = None;
        let (party, asked) = (own.party, own.asked);
        let disk = self.stream(slot).disk;
        self.slept(slot, asked, self.now, Why::Frozen, None);
        self.wait(party, disk, asked, self.now, 0);
        self.step(slot);
    }

    fn ask_one(&mut self, slot: u32, op: Op, bytes: u32, plan: Plan, noise: usize) {
        self.slots[slot as usize].pending = 1;
        self.slots[slot as usize].waits = self.why(slot, op);
        let request = self.request(slot, op, bytes, plan, noise);
        self.ask(request);
    }

    /// What the thread of a slot sleeps for; nothing when it does not.
    fn why(&self, slot: u32, op: Op) -> Option<Why> {
        let stream = self.stream(slot);
        let own = &self.slots[slot as usize];
        let is_fsync = matches!(
            own.plan,
            Some(Plan {
                job: Job::Fsync { .. },
                ..
            })
        );
        stream.sleeps.then_some(match op {
            Op::Read if stream.ahead => Why::Page,
            Op::Read => Why::Read,
            Op::Write if is_fsync => Why::DataOfFsync,
            Op::Write => Why::Write,
            Op::Preflush => Why::Flush,
            _ => Why::Discard,
        })
    }

    fn request(&mut self, slot: u32, op: Op, bytes: u32, plan: Plan, noise: usize) -> u32 {
        let own = &self.slots[slot as usize];
        let disk = self.stream(slot).disk;
        let kind = match op {
            Op::Read => WorkKind::Read,
            Op::Write => WorkKind::Write,
            Op::Preflush => WorkKind::Flush,
            _ => WorkKind::Discard,
        };
        let work = Work {
            kind,
            bytes: bytes.into(),
            noise: plan.noise[noise],
        };
        let away = own.position.abs_diff(plan.sector);
        let healthy = &self.disks[disk];
        let alone = healthy.alone_ns(&work, away) + healthy.network_ns;
        let new = Request {
            owner: Owner::Slot(slot),
            party: own.party,
            process: own.process,
            thread: own.thread,
            disk,
            op,
            asynchronous: self.stream(slot).ahead && op == Op::Read,
            work,
            sector: plan.sector,
            flush_first: false,
            asked: self.now,
            queued: 0,
            issued: None,
            alone,
            clock: 0,
            waited_for_tag: false,
            is_free: false,
        };
        let own = &mut self.slots[slot as usize];
        own.alone = own.alone.max(alone);
        self.place(new)
    }

    fn place(&mut self, request: Request) -> u32 {
        if let Some(index) = self.free.pop() {
            self.requests[index as usize] = request;
            return index;
        }
        self.requests.push(request);
        self.requests.len() as u32 - 1
    }

    /// Somebody wants a request.
    fn ask(&mut self, index: u32) {
        let request = &mut self.requests[index as usize];
        let party = request.party;
        if self.change.one_at_a_time == Some(party) && matches!(request.owner, Owner::Slot(_)) {
            if self.is_holding {
                self.held.push_back(index);
                return;
            }
            self.is_holding = true;
        }
        self.let_in(index);
    }

    fn let_in(&mut self, index: u32) {
        let now = self.now;
        let request = &mut self.requests[index as usize];
        request.asked = now;
        if let Owner::Slot(slot) = request.owner {
            let own = &mut self.slots[slot as usize];
            own.asked = if own.pending > 1 { own.asked } else { now };
        }
        let party = request.party;
        let limit = self.world.parties.get(party).and_then(|party| party.limit);
        if let Some(limit) = limit.filter(|_| !self.change.unlimited) {
            let bytes = request.work.bytes;
            let at = self.gates[party].admit(limit, bytes, now);
            if at > now {
                // Then a worker submits it, and not who asked for it (block/blk-throttle.c).
                if let Some(throttler) = self.throttler {
                    self.requests[index as usize].process = throttler;
                    self.requests[index as usize].thread = self.processes[throttler as usize].pid;
                }
                self.at(at, Event::Admitted(index));
                return;
            }
        }
        self.allocate(index);
    }

    /// It gets a tag, or waits for one.
    fn allocate(&mut self, index: u32) {
        let disk = self.requests[index as usize].disk;
        if self.devices[disk].allocated >= self.disks[disk].tags {
            self.requests[index as usize].waited_for_tag = true;
            self.devices[disk].tag_wait.push_back(index);
        } else {
            self.queue(index);
        }
    }

    fn queue(&mut self, index: u32) {
        let now = self.now;
        let request = &mut self.requests[index as usize];
        let disk = request.disk;
        let device = &mut self.devices[disk];
        device.allocated += 1;
        request.queued = now;
        request.clock = discard::read(device.clock, now).unwrap_or(0);
        if request.waited_for_tag
            && let Owner::Slot(slot) = request.owner
        {
            self.slots[slot as usize].tagged = Some(now);
        }
        self.counted(index, 1);
        let process = request_process(&self.requests[index as usize]);
        if let Some(log) = self.log() {
            log.submitted(process);
        }
        let request = &self.requests[index as usize];
        if request.op == Op::Preflush || request.flush_first {
            if self.disks[disk].cache.is_none() {
                self.flushed(index);
            } else {
                self.devices[disk].flush_next.push(index);
                self.flush(disk);
            }
            return;
        }
        self.devices[disk].scheduled.push_back(index);
        self.pump(disk);
    }

    /// A flush that somebody waited for is over.
    fn flushed(&mut self, index: u32) {
        let request = &mut self.requests[index as usize];
        if request.op == Op::Preflush {
            self.ended(index);
            return;
        }
        request.flush_first = false;
        let disk = request.disk;
        self.devices[disk].scheduled.push_back(index);
        self.pump(disk);
    }

    /// The block layer keeps one flush in flight, and all who come meanwhile wait for the next.
    fn flush(&mut self, disk: usize) {
        let device = &mut self.devices[disk];
        if device.flushing.is_some() || device.flush_next.is_empty() {
            return;
        }
        device.flushing = Some(std::mem::take(&mut device.flush_next));
        let clock = discard::read(device.clock, self.now).unwrap_or(0);
        let first = self.devices[disk]
            .flushing
            .as_ref()
            .and_then(|all| all.first().copied());
        let noise = first.map_or(1.0, |index| self.requests[index as usize].work.noise);
        let request = Request {
            owner: Owner::Flush,
            party: KERNEL,
            process: u32::MAX,
            thread: 0,
            disk,
            op: Op::Flush,
            asynchronous: false,
            work: Work {
                kind: WorkKind::Flush,
                bytes: 0,
                noise,
            },
            sector: u64::MAX,
            flush_first: false,
            asked: self.now,
            queued: self.now,
            issued: None,
            alone: 0,
            clock,
            waited_for_tag: false,
            is_free: false,
        };
        let index = self.place(request);
        self.devices[disk].scheduled.push_back(index);
        self.pump(disk);
    }

    /// Gives the disk what it takes, and lets it begin what it can.
    fn pump(&mut self, disk: usize) {
        let now = self.now;
        loop {
            let device = &mut self.devices[disk];
            if device.at_device >= self.disks[disk].depth {
                break;
            }
            let Some(index) = device.scheduled.pop_front() else {
                break;
            };
            device.at_device += 1;
            let request = &mut self.requests[index as usize];
            request.issued = Some(now.max(request.queued + 2 * US).min(self.end - 1));
            if request.op == Op::Discard {
                if device.discards_in_flight == 0 {
                    device.clock = device.clock.wrapping_add(discard::start(now));
                }
                device.discards_in_flight += 1;
                self.discarding(index, 1);
                let is_aside = self.disks[disk].discards.effect != DiscardEffect::Exclusive;
                if is_aside {
                    self.devices[disk].aside.push_back(index);
                    continue;
                }
            }
            self.devices[disk].queue.push_back(index);
        }
        self.serve_aside(disk);
        self.serve(disk);
    }

    fn serve_aside(&mut self, disk: usize) {
        let device = &mut self.devices[disk];
        if device.is_aside_busy {
            return;
        }
        if let Some(index) = device.aside.pop_front() {
            device.is_aside_busy = true;
            device.discards_serving += 1;
            let work = self.work_ns(index);
            self.serve_for(index, work, self.now);
        }
    }

    fn serve(&mut self, disk: usize) {
        loop {
            let model = &self.disks[disk];
            let device = &self.devices[disk];
            if device.is_exclusive || device.has_hung {
                return;
            }
            let Some(&front) = device.queue.front() else {
                return;
            };
            if self.is_exclusive(front) {
                if device.serving > 0 {
                    return;
                }
                self.devices[disk].queue.pop_front();
                self.devices[disk].is_exclusive = true;
                self.devices[disk].discards_serving +=
                    u32::from(self.requests[front as usize].op == Op::Discard);
                self.begin_service(front);
                continue;
            }
            if device.serving >= model.served_at_once {
                return;
            }
            let place = if model.nearest_first {
                self.nearest(disk)
            } else {
                0
            };
            let Some(index) = self.devices[disk].queue.remove(place) else {
                return;
            };
            self.devices[disk].serving += 1;
            self.begin_service(index);
        }
    }

    fn is_exclusive(&self, index: u32) -> bool {
        let request = &self.requests[index as usize];
        let model = &self.disks[request.disk];
        match request.op {
            Op::Discard => model.discards.effect == DiscardEffect::Exclusive,
            Op::Flush => model.cache.is_some_and(|cache| cache.exclusive),
            _ => false,
        }
    }

    /// The nearest of those that are before the next exclusive one; the oldest when it has waited too long.
    fn nearest(&self, disk: usize) -> usize {
        const PATIENCE: Ns = 300 * MS;
        let device = &self.devices[disk];
        let oldest = device
            .queue
            .front()
            .map(|index| &self.requests[*index as usize]);
        if oldest.is_some_and(|oldest| self.now > oldest.queued + PATIENCE) {
            return 0;
        }
        let free = device
            .queue
            .iter()
            .take_while(|index| !self.is_exclusive(**index));
        let away = |index: &u32| self.requests[*index as usize].sector.abs_diff(device.head);
        let nearest = free.enumerate().min_by_key(|(_, index)| away(index));
        nearest.map_or(0, |(place, _)| place)
    }

    /// Time the disk needs for a request as it is now.
    fn work_ns(&mut self, index: u32) -> Ns {
        let request = &self.requests[index as usize];
        let disk = request.disk;
        let (model, device) = (&self.disks[disk], &mut self.devices[disk]);
        let away = device.head.abs_diff(request.sector);
        let mut ns = model.alone_ns(&request.work, away) as f64;
        match request.op {
            Op::Flush => {
                let per_mib = model.cache.map_or(0, |cache| cache.flush_ns_per_mib);
                ns += (device.cached_bytes * per_mib) as f64 / MIB as f64;
                ns *= model.flush_slowness;
                device.cached_bytes = 0;
            }
            Op::Write => device.cached_bytes += request.work.bytes,
            _ => {}
        }
        if matches!(request.op, Op::Read | Op::Write) {
            device.head = request.sector + request.work.bytes / 512;
        }
        ns *= model.slowness;
        if request.op != Op::Discard
            && let DiscardEffect::Slows(factor) = model.discards.effect
            && device.discards_serving > 0
        {
            ns *= factor;
        }
        if let Some(bad) = model.bad
            && request.op == Op::Read
            && (bad.from..bad.to).contains(&request.sector)
        {
            ns += bad.retries_ns as f64;
        }
        (ns as Ns).max(US)
    }

    fn begin_service(&mut self, index: u32) {
        let work = self.work_ns(index);
        let request = &self.requests[index as usize];
        let (disk, party) = (request.disk, request.party);
        let mut from = self.now;
        if let Some(limit) = self.disks[disk].limit
            && matches!(request.op, Op::Read | Op::Write)
        {
            let bytes = request.work.bytes;
            from = self.devices[disk].gate.admit(limit, bytes, self.now);
            // Of what the limit admits, it takes as much from the others.
            if let Some(served) = self.played.served_ns.get_mut(party) {
                *served += limit.cost_ns(bytes);
            }
        }
        self.serve_for(index, work, from);
    }

    fn serve_for(&mut self, index: u32, work: Ns, from: Ns) {
        let request = &self.requests[index as usize];
        let (disk, party) = (request.disk, request.party);
        let end = through(&self.devices[disk].phases, from, work);
        let hang = self.disks[disk].hangs_in_discard_at;
        if request.op == Op::Discard && hang.is_some_and(|at| at < end) {
            self.devices[disk].has_hung = true;
            self.played.served_ns[party] += self.end - self.now;
            return;
        }
        let parties: Vec<usize> = match request.owner {
            Owner::Flush => self.devices[disk]
                .flushing
                .iter()
                .flatten()
                .map(|index| self.requests[*index as usize].party)
                .collect(),
            _ => vec![party],
        };
        let model = &self.disks[disk];
        let is_aside = request.op == Op::Discard && model.discards.effect == DiscardEffect::Free;
        if !is_aside {
            let share = work
                / (parties.len().max(1) as u64
                    * u64::from(if self.is_exclusive(index) {
                        1
                    } else {
                        model.served_at_once
                    }));
            for party in parties {
                if let Some(served) = self.played.served_ns.get_mut(party) {
                    *served += share;
                }
            }
        }
        self.at(end, Event::Served(index));
    }

    fn served(&mut self, index: u32) {
        let request = &self.requests[index as usize];
        let (disk, op) = (request.disk, request.op);
        let exclusive = self.is_exclusive(index);
        let model = &self.disks[disk];
        let is_aside = op == Op::Discard && model.discards.effect != DiscardEffect::Exclusive;
        let network = model.network_ns;
        let device = &mut self.devices[disk];
        device.discards_serving -= u32::from(op == Op::Discard);
        if is_aside {
            device.is_aside_busy = false;
        } else if exclusive {
            device.is_exclusive = false;
        } else {
            device.serving -= 1;
        }
        if network > 0 {
            self.at(self.now + network, Event::Back(index));
        } else {
            self.ended(index);
        }
        self.pump(disk);
    }

    /// A request has ended, as the host sees it.
    fn ended(&mut self, index: u32) {
        let now = self.now;
        let request = self.requests[index as usize];
        let disk = request.disk;
        if request.issued.is_some() {
            self.devices[disk].at_device -= 1;
        }
        if request.op == Op::Discard {
            let device = &mut self.devices[disk];
            device.discards_in_flight -= 1;
            if device.discards_in_flight == 0 {
                device.clock = device.clock.wrapping_add(discard::stop(now));
            }
            self.discarding(index, -1);
        }
        self.note_end(&request);
        if request.owner == Owner::Flush {
            self.devices[disk].ended += u64::from(now >= self.world.before);
        } else {
            self.counted(index, -1);
        }
        self.requests[index as usize].is_free = true;
        self.free.push(index);
        if request.owner == Owner::Flush {
            let waiters = self.devices[disk].flushing.take().unwrap_or_default();
            for waiter in waiters {
                self.flushed(waiter);
            }
            self.flush(disk);
        } else {
            self.devices[disk].allocated -= 1;
            if let Some(next) = self.devices[disk].tag_wait.pop_front() {
                self.queue(next);
            }
            self.pump(disk);
        }
        if self.change.one_at_a_time == Some(request.party)
            && matches!(request.owner, Owner::Slot(_))
        {
            self.is_holding = false;
            if let Some(next) = self.held.pop_front() {
                self.is_holding = true;
                self.let_in(next);
            }
        }
        match request.owner {
            Owner::Slot(slot) => self.piece_ended(slot, &request),
            Owner::Journal(journal) => self.journal_went_on(journal),
            Owner::Cache(cache) => self.written(cache, request.work.bytes),
            Owner::Flush => {}
        }
    }

    /// What an agent sees of an end.
    fn note_end(&mut self, request: &Request) {
        let now = self.now;
        let device = &mut self.devices[request.disk];
        let last = device.last_ended;
        device.last_ended = now;
        if now < self.world.before {
            return;
        }
        let overlap = match request.op {
            Op::Discard => 0,
            _ => {
                let clock = discard::read(device.clock, now).unwrap_or(0);
                // Of those that were there before, the clock is read when they are found.
                let since = request.clock.max(device.opened_clock);
                clock.saturating_sub(since)
            }
        };
        let ended = Ended {
            process: request_process(request),
            party: request.party,
            thread: request.thread,
            disk: request.disk,
            op: request.op,
            asynchronous: request.asynchronous,
            bytes: request.work.bytes,
            sector: request.sector,
            queued: request.queued,
            issued: request.issued.filter(|_| request.op != Op::Preflush),
            completed: now,
            overlap,
            service: now - request.queued.max(last).min(now),
        };
        if let Some(log) = self.log() {
            log.ended.push(ended);
        }
    }

    /// Part of what a slot waits for.
    fn piece_ended(&mut self, slot: u32, request: &Request) {
        if request.op != Op::Discard {
            self.wait(
                request.party,
                request.disk,
                request.asked,
                self.now,
                request.alone,
            );
        }
        let own = &mut self.slots[slot as usize];
        own.pending -= 1;
        if own.pending > 0 {
            return;
        }
        let (asked, tagged, waits) = (own.asked, own.tagged, own.waits.take());
        if let Some(why) = waits {
            if let Some(tagged) = tagged {
                self.slept(slot, asked, tagged, Why::Tag, None);
            }
            self.slept(slot, tagged.unwrap_or(asked), self.now, why, None);
        }
        self.slots[slot as usize].step += 1;
        self.step(slot);
    }

    /// A job has ended.
    fn done(&mut self, slot: u32) {
        let stream = self.stream(slot);
        self.slots[slot as usize].plan = None;
        match stream.arrivals {
            Arrivals::Closed { think_ns, .. } => {
                let think = self.slots[slot as usize].dice.exponential(think_ns as f64) as Ns;
                self.at(self.now + think.max(US), Event::Next(slot));
            }
            Arrivals::Every { ns } => {
                let next = (self.now / ns + 1) * ns;
                self.at(next, Event::Next(slot));
            }
            Arrivals::Open { .. } => {
                let open = self
                    .opens
                    .iter_mut()
                    .find(|(_, _, open)| open.slots.contains(&slot));
                if let Some((_, _, open)) = open {
                    open.idle.push(slot);
                }
            }
        }
    }

    /// A wait that has ended, or that the window's end cuts.
    fn wait(&mut self, party: usize, disk: usize, asked: Ns, to: Ns, alone: Ns) {
        if to <= self.world.before || party >= self.world.parties.len() {
            return;
        }
        let second = ((to - self.world.before) / S) as usize;
        if let Some(count) = self.played.ended[party].get_mut(second) {
            *count += 1;
        }
        let length = to - asked;
        let (noticed, plain) = bounds(self.disks[disk].class);
        if length < noticed.max(3 * alone) {
            return;
        }
        self.played.waits.push(Wait {
            party,
            disk,
            from: (asked + alone).max(self.world.before),
            to,
            plain: length >= plain.max(5 * alone),
        });
    }

    fn slept(&mut self, slot: u32, from: Ns, to: Ns, why: Why, waker: Option<u32>) {
        let own = &self.slots[slot as usize];
        let sleep = Sleep {
            process: own.process,
            thread: own.thread,
            from,
            to,
            why,
            waker,
        };
        let before = self.world.before;
        if let Some(log) = self.log() {
            log.slept(sleep, before);
        }
    }

    fn log(&mut self) -> Option<&mut Log> {
        let is_open = self.observed.is_some() && self.now >= self.world.before;
        is_open.then_some(&mut self.played.log)
    }

    // --- buffered writes ---

    fn buffered(&mut self, slot: u32, bytes: u32) {
        let disk = self.stream(slot).disk;
        let place = self
            .world
            .caches
            .iter()
            .position(|cache| cache.disk == disk);
        let Some(index) = place else {
            return self.done(slot);
        };
        if self.caches[index].dirty >= self.world.caches[index].limit_bytes {
            self.slots[slot as usize].waits = Some(Why::Dirty);
            self.caches[index].throttled.push_back((slot, bytes));
            return;
        }
        self.dirty(index, slot, bytes);
        self.slots[slot as usize].step += 1;
        self.step(slot);
    }

    fn dirty(&mut self, index: usize, slot: u32, bytes: u32) {
        let (party, process) = (
            self.slots[slot as usize].party,
            self.slots[slot as usize].process,
        );
        if let Some(log) = self.log() {
            log.wrote(process, bytes.into());
        }
        let cache = &mut self.caches[index];
        cache.dirty += u64::from(bytes);
        match cache.pages.back_mut() {
            Some((of, _, sum)) if *of == party => *sum += u64::from(bytes),
            _ => cache.pages.push_back((party, process, bytes.into())),
        }
        if cache.dirty > self.world.caches[index].background_bytes {
            self.write_back(index);
        }
    }

    fn worker_due(&mut self, index: u32) {
        self.write_back(index as usize);
        let every = self.world.caches[index as usize].every_ns;
        self.at(self.now + every, Event::Worker(index));
    }

    /// The worker submits as much as it keeps in flight.
    fn write_back(&mut self, index: usize) {
        let of = &self.world.caches[index];
        while self.caches[index].in_flight < of.in_flight {
            let Some((party, bytes)) = self.take_dirty(index, of.request_bytes.into()) else {
                return;
            };
            self.caches[index].in_flight += 1;
            let (process, sector) = (self.caches[index].process, self.caches[index].position);
            self.caches[index].position += bytes / 512;
            let write = (Op::Write, bytes, sector, true);
            let request =
                self.kernels_request(Owner::Cache(index as u32), process, party, of.disk, write);
            self.ask(request);
        }
    }

    fn take_dirty(&mut self, index: usize, most: u64) -> Option<(usize, u64)> {
        let pages = &mut self.caches[index].pages;
        let (party, _, left) = pages.front_mut()?;
        let (party, bytes) = (*party, (*left).min(most));
        *left -= bytes;
        if *left == 0 {
            pages.pop_front();
        }
        Some((party, bytes))
    }

    /// A request of a thread of the kernel's, for a party.
    fn kernels_request(
        &mut self,
        owner: Owner,
        process: u32,
        party: usize,
        disk: usize,
        (op, bytes, sector, asynchronous): (Op, u64, u64, bool),
    ) -> u32 {
        let thread = self.processes[process as usize].pid;
        self.place(Request {
            owner,
            party,
            process,
            thread,
            disk,
            op,
            asynchronous,
            work: Work {
                kind: WorkKind::Write,
                bytes,
                noise: 1.0,
            },
            sector,
            flush_first: false,
            asked: self.now,
            queued: 0,
            issued: None,
            alone: 0,
            clock: 0,
            waited_for_tag: false,
            is_free: false,
        })
    }

    fn written(&mut self, index: u32, bytes: u64) {
        let index = index as usize;
        self.caches[index].in_flight -= 1;
        self.clean(index, bytes);
        self.write_back(index);
    }

    fn clean(&mut self, index: usize, bytes: u64) {
        self.caches[index].dirty -= bytes;
        let limit = self.world.caches[index].limit_bytes;
        while self.caches[index].dirty < limit
            && let Some((slot, bytes)) = self.caches[index].throttled.pop_front()
        {
            let (party, asked) = (
                self.slots[slot as usize].party,
                self.slots[slot as usize].asked,
            );
            self.slots[slot as usize].waits = None;
            self.slept(slot, asked, self.now, Why::Dirty, None);
            self.wait(party, self.world.caches[index].disk, asked, self.now, 0);
            self.dirty(index, slot, bytes);
            self.slots[slot as usize].step += 1;
            self.step(slot);
        }
    }

    // --- the journal ---

    fn wait_for_commit(&mut self, slot: u32) {
        let disk = self.stream(slot).disk;
        let place = self
            .world
            .journals
            .iter()
            .position(|journal| journal.disk == disk);
        let Some(index) = place else {
            self.slots[slot as usize].step += 1;
            return self.step(slot);
        };
        let journal = &self.world.journals[index];
        let model = &self.disks[disk];
        let flush = model.cache.map_or(0, |cache| cache.flush_ns);
        let write = |bytes: u64| model.write_ns + bytes / KIB * model.ns_per_kib;
        // Of an arm that has to go to the journal and back.
        let seeks = model.seek.map_or(0, |seek| 2 * seek.turn_ns);
        let alone =
            write(journal.log_bytes.into()) + write(4096) + flush + 3 * model.network_ns + seeks;
        let own = &mut self.slots[slot as usize];
        own.waits = Some(Why::Commit);
        own.pending = 1;
        own.alone = alone;
        if self.journals[index].is_committing {
            self.journals[index].next.push(slot);
        } else {
            self.journals[index].now.push(slot);
            self.commit(index);
        }
    }

    fn journal_due(&mut self, index: u32) {
        if !self.journals[index as usize].is_committing {
            self.commit(index as usize);
        }
        let every = self.world.journals[index as usize].every_ns;
        self.at(self.now + every, Event::Journal(index));
    }

    fn commit(&mut self, index: usize) {
        let disk = self.world.journals[index].disk;
        let state = &mut self.journals[index];
        state.is_committing = true;
        state.phase = 0;
        state.since = self.now;
        state.pending = 1;
        let cache = self
            .world
            .caches
            .iter()
            .position(|cache| cache.disk == disk && cache.ordered);
        if let Some(cache) = cache {
            self.write_ordered(index, cache);
        }
        self.journal_went_on(index as u32);
    }

    /// What is dirty belongs on the disk before the log says so.
    fn write_ordered(&mut self, index: usize, cache: usize) {
        let of = &self.world.caches[cache];
        let process = self.journals[index].process;
        let mut taken = 0;
        while let Some((party, bytes)) = self.take_dirty(cache, of.request_bytes.into()) {
            self.journals[index].pending += 1;
            taken += bytes;
            let sector = self.caches[cache].position;
            self.caches[cache].position += bytes / 512;
            let write = (Op::Write, bytes, sector, false);
            let request =
                self.kernels_request(Owner::Journal(index as u32), process, party, of.disk, write);
            self.ask(request);
        }
        // They are clean once written; that their writers may go on a little sooner changes nothing here.
        self.clean(cache, taken);
    }

    fn journal_went_on(&mut self, index: u32) {
        let number = index as usize;
        let state = &mut self.journals[number];
        state.pending -= 1;
        if state.pending > 0 {
            return;
        }
        let (phase, since, process) = (state.phase, state.since, state.process);
        let sleep = Sleep {
            process,
            thread: self.processes[process as usize].pid,
            from: since,
            to: self.now,
            why: Why::Committing,
            waker: None,
        };
        let before = self.world.before;
        if self.now > since
            && let Some(log) = self.log()
        {
            log.slept(sleep, before);
        }
        let (disk, log_bytes) = (
            self.world.journals[number].disk,
            self.world.journals[number].log_bytes,
        );
        let state = &mut self.journals[number];
        state.since = self.now;
        state.phase += 1;
        let bytes = match phase {
            0 => u64::from(log_bytes),
            1 => 4096,
            _ => return self.committed(number),
        };
        state.pending = 1;
        state.log_sector = (1 << 20) + (state.log_sector + bytes / 512) % (1 << 17);
        let (sector, party) = (state.log_sector, KERNEL);
        let write = (Op::Write, bytes, sector, false);
        let request = self.kernels_request(Owner::Journal(index), process, party, disk, write);
        self.requests[request as usize].flush_first = phase == 1;
        self.ask(request);
    }

    fn committed(&mut self, index: usize) {
        let state = &mut self.journals[index];
        state.is_committing = false;
        let (process, waiters) = (state.process, std::mem::take(&mut state.now));
        state.now = std::mem::take(&mut state.next);
        let goes_on = !state.now.is_empty();
        for slot in waiters {
            let own = &mut self.slots[slot as usize];
            let (party, asked, alone) = (own.party, own.asked, own.alone);
            own.waits = None;
            own.pending = 0;
            own.step += 1;
            let disk = self.world.journals[index].disk;
            self.wait(party, disk, asked, self.now, alone);
            self.slept(slot, asked, self.now, Why::Commit, Some(process));
            self.step(slot);
        }
        if goes_on && !self.journals[index].is_committing {
            self.commit(index);
        }
    }

    // --- what is counted ---

    /// A request begins or ends, as the kernel counts them.
    fn counted(&mut self, index: u32, more: i32) {
        let (now, before) = (self.now, self.world.before);
        let request = &self.requests[index as usize];
        let device = &mut self.devices[request.disk];
        if device.in_flight > 0 {
            device.busy_ns += now - device.busy_since.max(before).min(now);
        }
        device.busy_since = now;
        device.in_flight = device.in_flight.wrapping_add_signed(more);
        if request.op == Op::Read {
            device.reads_in_flight = device.reads_in_flight.wrapping_add_signed(more);
        }
        device.ended += u64::from(more < 0 && now >= before);
    }

    /// The kernel's counters of a disk, now.
    fn counters(&self, device: &Device) -> Counters {
        let since = device.busy_since.max(self.world.before).min(self.now);
        let more = if device.in_flight > 0 {
            self.now - since
        } else {
            0
        };
        Counters {
            reads_in_flight: device.reads_in_flight.into(),
            others_in_flight: (device.in_flight - device.reads_in_flight).into(),
            ended: device.ended,
            busy_ns: device.busy_ns + more,
        }
    }

    fn discarding(&mut self, index: u32, more: i32) {
        let party = self.requests[index as usize].party;
        let Some((count, since)) = self.discarding.get_mut(party) else {
            return;
        };
        if *count == 0 {
            *since = self.now;
        }
        *count = count.wrapping_add_signed(more);
        if *count == 0 {
            let from = (*since).max(self.world.before);
            self.played.discarding_ns[party] += self.now.saturating_sub(from);
        }
    }

    fn tick(&mut self) {
        let Some(interval) = self.observed else {
            return;
        };
        let now = self.now;
        self.note_tick(now);
        self.at(now + interval, Event::Tick);
    }

    fn opens(&mut self) {
        let now = self.now;
        for device in &mut self.devices {
            device.opened_clock = discard::read(device.clock, now).unwrap_or(0);
        }
        self.played.log.opened = self.look(now);
    }

    fn note_tick(&mut self, now: Ns) {
        let tick = self.look(now);
        self.played.log.ticks.push(tick);
    }

    fn look(&self, now: Ns) -> Tick {
        let clock = |device: &Device| {
            let clock = discard::read(device.clock, now).unwrap_or(0);
            (
                clock.saturating_sub(device.opened_clock),
                device.discards_in_flight,
            )
        };
        Tick {
            at: now,
            discards: self.devices.iter().map(clock).collect(),
            blocked: self.sleeping(MS).count() as u32,
            disks: self
                .devices
                .iter()
                .map(|device| self.counters(device))
                .collect(),
        }
    }

    /// Slots whose thread sleeps, for at least so long.
    fn sleeping(&self, least: Ns) -> impl Iterator<Item = &Slot> {
        let long = move |slot: &&Slot| slot.waits.is_some() && self.now - slot.asked >= least;
        self.slots.iter().filter(long)
    }

    fn finish(mut self) -> Played {
        for (party, (count, since)) in self.discarding.clone().into_iter().enumerate() {
            if count > 0 {
                self.played.discarding_ns[party] += self.end - since.max(self.world.before);
            }
        }
        self.unfinished_waits();
        if self.observed.is_some() {
            self.note_tick(self.end);
            self.unfinished_requests();
            self.unfinished_sleeps();
            self.played.log.processes = std::mem::take(&mut self.processes);
        }
        self.played
    }

    fn unfinished_waits(&mut self) {
        let in_flight: Vec<Request> = self.alive().map(|index| self.requests[index]).collect();
        for request in in_flight {
            let waits = matches!(request.owner, Owner::Slot(_)) && request.op != Op::Discard;
            if waits
                && !self
                    .held
                    .iter()
                    .any(|held| self.requests[*held as usize].asked == request.asked)
            {
                self.wait(
                    request.party,
                    request.disk,
                    request.asked,
                    self.end,
                    request.alone,
                );
            }
        }
        for slot in 0..self.slots.len() {
            let own = &self.slots[slot];
            let disk = self.world.parties[own.party].streams[own.stream].disk;
            let (party, asked, alone) = (own.party, own.asked, own.alone);
            match own.waits {
                Some(Why::Commit) => self.wait(party, disk, asked, self.end, alone),
                Some(Why::Dirty | Why::Frozen) => self.wait(party, disk, asked, self.end, 0),
                _ => {}
            }
        }
    }

    /// Places of requests that have not ended.
    fn alive(&self) -> impl Iterator<Item = usize> {
        (0..self.requests.len()).filter(|index| !self.requests[*index].is_free)
    }

    fn unfinished_requests(&mut self) {
        let alive: Vec<usize> = self.alive().collect();
        for index in alive {
            let request = self.requests[index];
            // Not yet a request for the block layer.
            if request.queued == 0 {
                continue;
            }
            let log = &mut self.played.log;
            log.unfinished.push(Ended {
                process: request_process(&request),
                party: request.party,
                thread: request.thread,
                disk: request.disk,
                op: request.op,
                asynchronous: request.asynchronous,
                bytes: request.work.bytes,
                sector: request.sector,
                queued: request.queued,
                issued: request.issued.filter(|_| request.op != Op::Preflush),
                completed: self.end,
                overlap: 0,
                service: 0,
            });
        }
    }

    fn unfinished_sleeps(&mut self) {
        let end = self.end;
        let sleeps = self.sleeping(0).map(|slot| Sleep {
            process: slot.process,
            thread: slot.thread,
            from: slot.tagged.unwrap_or(slot.asked),
            to: end,
            why: slot.waits.unwrap_or(Why::Read),
            waker: None,
        });
        let sleeps: Vec<Sleep> = sleeps.collect();
        let committing = self.journals.iter().filter(|journal| journal.is_committing);
        let committing = committing.map(|journal| Sleep {
            process: journal.process,
            thread: self.processes[journal.process as usize].pid,
            from: journal.since,
            to: end,
            why: Why::Committing,
            waker: None,
        });
        let all: Vec<Sleep> = sleeps.into_iter().chain(committing).collect();
        self.played.log.unfinished_sleeps = all;
    }
}

fn request_process(request: &Request) -> Option<u32> {
    (request.process != u32::MAX).then_some(request.process)
}

/// Chance makes a job. The same numbers are drawn whatever the job is.
fn plan(stream: &Stream, dice: &mut Dice, position: &mut u64) -> Plan {
    let sum: f64 = stream.jobs.iter().map(|(weight, _)| weight).sum();
    let mut at = dice.part() * sum;
    let mut job = stream.jobs[0].1;
    for (weight, one) in &stream.jobs {
        job = *one;
        if at < *weight {
            break;
        }
        at -= weight;
    }
    let (from, to) = stream.sectors;
    let random = from + dice.below(to - from) / 8 * 8;
    let sector = if stream.sequential { *position } else { random };
    let bytes = match job {
        Job::Read { bytes }
        | Job::Write { bytes }
        | Job::SyncedWrite { bytes }
        | Job::Fsync { bytes }
        | Job::Buffered { bytes } => u64::from(bytes),
        Job::Discard { bytes, pieces } => u64::from(bytes) * u64::from(pieces),
        Job::Flush => 0,
    };
    *position = sector + bytes / 512;
    if stream.sequential && *position >= to {
        *position = from;
    }
    // From a third less to a third more, and now and then a multiple: what a healthy device does.
    let mut noise = || {
        let plain = dice.between(0.7, 1.3);
        let tail = dice.part();
        (plain
            * if tail < 0.005 {
                1.0 + 600.0 * (0.005 - tail)
            } else {
                1.0
            }) as f32
    };
    Plan {
        job,
        sector,
        noise: [noise(), noise()],
    }
}

/// Phases in order, each moment in one: the slowest of those that cover it.
fn in_order(phases: &[Phase]) -> Vec<Phase> {
    let mut edges: Vec<Ns> = phases
        .iter()
        .flat_map(|phase| [phase.from, phase.to])
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let pairs = edges.windows(2).filter_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        let over = phases
            .iter()
            .filter(|phase| phase.from <= from && to <= phase.to);
        let slower = over.map(|phase| phase.slower).fold(0.0, f64::max);
        (slower > 0.0).then_some(Phase { from, to, slower })
    });
    pairs.collect()
}

/// When `work` that begins at `from` has been done.
fn through(phases: &[Phase], from: Ns, work: Ns) -> Ns {
    let mut now = from;
    let mut left = work as f64;
    let first = phases.partition_point(|phase| phase.to <= from);
    for phase in &phases[first..] {
        if now < phase.from {
            let free = (phase.from - now) as f64;
            if left <= free {
                break;
            }
            left -= free;
            now = phase.from;
        }
        let done = (phase.to - now) as f64 / phase.slower;
        if left <= done {
            return now + (left * phase.slower) as Ns;
        }
        left -= done;
        now = phase.to;
    }
    now.saturating_add(left as Ns)
}

/// Whether a party's work is of a kind that waits for others by itself; a helper of the truth.
#[must_use]
pub fn is_background(party: &Party) -> bool {
    matches!(party.does, Does::HostTrim | Does::OtherDiscards)
}
