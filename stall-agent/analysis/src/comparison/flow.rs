//! Flows of both runs (one party, one disk, one operation), with their batches.

use std::collections::HashMap;

use super::batches::{batch_of, number};
use super::side::{DiskPair, Party, Side};
use stall_capture::is_waited_for;
use stall_capture::{Capture, Interval, Op, Use};

/// What one party did on one disk with one operation.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) party: usize,
    pub(super) disk: usize,
    pub(super) op: Op,
    pub(super) sides: [Counts; 2],
}

/// On one side.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) ops: u64,
    pub(super) bytes: u64,
    pub(super) slow_ops: u64,
    /// Sum of completed - queued.
    pub(super) total_ns: u64,
    /// Unfinished, and as old as the slow limit: slow for sure.
    pub(super) stuck: u64,
    pub(super) batches: Vec<Part>,
}

/// In one batch. Times and slow requests are as rule K3 says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub(super) ops: f64,
    pub(super) bytes: f64,
    pub(super) total_ns: f64,
    pub(super) slow: f64,
}

impl Counts {
    /// Those of which it is known whether they are slow.
    pub(super) const fn known(&self) -> u64 {
        self.ops.saturating_add(self.stuck)
    }

    pub(super) const fn slow(&self) -> u64 {
        self.slow_ops.saturating_add(self.stuck)
    }
}

/// All flows, and how long the batches are.
pub(super) struct Flows {
    pub(super) all: Vec<Flow>,
    /// Seconds of each batch.
    pub(super) batches: [Vec<f64>; 2],
    /// Seconds of the windows.
    pub(super) seconds: [f64; 2],
}

/// Flows of what is waited for, of parties that are known, on disks that were traced.
pub(super) fn flows(sides: &[Side<'_>; 2], disks: &[DiskPair], parties: &[Party<'_>]) -> Flows {
    let mut rows = Rows::default();
    for (side, run) in sides.iter().enumerate() {
        let keys = Keys::new(side, run, disks, parties);
        rows.add(side, run.capture, &keys);
    }
    Flows {
        all: rows.flows,
        batches: sides
            .each_ref()
            .map(|run| batch_seconds(&run.capture.intervals)),
        seconds: sides.each_ref().map(Side::seconds),
    }
}

type Key = (usize, usize, Op);

/// Which party an actor is, and which disk an index.
struct Keys {
    parties: HashMap<u32, usize>,
    disks: HashMap<u16, usize>,
}

impl Keys {
    fn new(side: usize, run: &Side<'_>, disks: &[DiskPair], parties: &[Party<'_>]) -> Self {
        let actors = parties.iter().enumerate().flat_map(|(index, party)| {
            let actors = party.actors(side).into_iter();
            actors.map(move |actor| (actor, index))
        });
        let rows = run.capture.disks.iter().zip(&run.report.devices);
        let pair_of = |id: &String| {
            disks
                .iter()
                .position(|pair| pair.0[side].as_ref() == Some(id))
        };
        Self {
            parties: actors.collect(),
            disks: rows
                .filter_map(|(disk, device)| Some((disk.index?, pair_of(&device.id)?)))
                .collect(),
        }
    }

    fn key(&self, actor: u32, disk: u16, op: Op) -> Option<Key> {
        let key = (*self.parties.get(&actor)?, *self.disks.get(&disk)?, op);
        is_waited_for(op).then_some(key)
    }
}

#[derive(Default)]
struct Rows {
    flows: Vec<Flow>,
    index: HashMap<Key, usize>,
}

impl Rows {
    fn counts(&mut self, side: usize, key: Key, batches: usize) -> &mut Counts {
        let flows = &mut self.flows;
        let row = *self.index.entry(key).or_insert_with(|| {
            let (party, disk, op) = key;
            let sides = Default::default();
            flows.push(Flow {
                party,
                disk,
                op,
                sides,
            });
            flows.len() - 1
        });
        let counts = &mut flows[row].sides[side];
        counts.batches.resize(batches, Part::default());
        counts
    }

    fn add(&mut self, side: usize, capture: &Capture, keys: &Keys) {
        let batches = number(capture.intervals.len());
        let mut beyond: HashMap<Key, Beyond> = HashMap::new();
        for used in &capture.uses {
            if let Some(key) = keys.key(used.actor, used.disk, used.op) {
                self.counts(side, key, batches).add(used);
                beyond.entry(key).or_default().add(used);
            }
        }
        for request in &capture.unfinished_requests {
            let age_ns = capture.window.end_ns.saturating_sub(request.queued_ns);
            let key = keys.key(request.actor, request.disk, request.op);
            if let Some(key) = key.filter(|_| age_ns >= capture.settings.slow_ns) {
                self.counts(side, key, batches).stuck += 1;
            }
        }
        self.add_intervals(side, capture, keys, &beyond);
        self.add_slow(side, capture, keys);
    }

    fn add_intervals(
        &mut self,
        side: usize,
        capture: &Capture,
        keys: &Keys,
        beyond: &HashMap<Key, Beyond>,
    ) {
        let length = capture.intervals.len();
        for (index, interval) in capture.intervals.iter().enumerate() {
            for used in &interval.uses {
                let Some(key) = keys.key(used.actor, used.disk, used.op) else {
                    continue;
                };
                let each_ns = beyond.get(&key).map_or(0.0, Beyond::each_ns);
                let counts = self.counts(side, key, number(length));
                let part = &mut counts.batches[batch_of(index, length)];
                part.ops += used.ops as f64;
                part.bytes += used.bytes as f64;
                let seen_ns = used.queue_ns.saturating_add(used.device_ns) as f64;
                part.total_ns += seen_ns + used.ops as f64 * each_ns;
            }
        }
    }

    /// Those recorded one by one stand for all.
    fn add_slow(&mut self, side: usize, capture: &Capture, keys: &Keys) {
        let length = capture.intervals.len();
        if length == 0 {
            return;
        }
        for request in &capture.slow_requests {
            let Some(key) = keys.key(request.actor, request.disk, request.op) else {
                continue;
            };
            let ended = |interval: &Interval| interval.end_ns < request.completed_ns;
            let index = capture.intervals.partition_point(ended).min(length - 1);
            let counts = self.counts(side, key, number(length));
            counts.batches[batch_of(index, length)].slow += 1.0;
        }
        for flow in &mut self.flows {
            flow.sides[side].scale_slow();
        }
    }
}

impl Counts {
    fn add(&mut self, used: &Use) {
        self.ops = self.ops.saturating_add(used.ops);
        self.bytes = self.bytes.saturating_add(used.bytes);
        self.slow_ops = self.slow_ops.saturating_add(used.slow_ops.min(used.ops));
        self.total_ns = self.total_ns.saturating_add(used.total_ns);
    }

    fn scale_slow(&mut self) {
        let recorded: f64 = self.batches.iter().map(|part| part.slow).sum();
        if recorded > 0.0 {
            let factor = self.slow_ops as f64 / recorded;
            for part in &mut self.batches {
                part.slow *= factor;
            }
        }
    }
}

/// Time of requests that intervals do not have: those that were never seen being issued.
#[derive(Default)]
struct Beyond {
    ns: u64,
    ops: u64,
}

impl Beyond {
    fn add(&mut self, used: &Use) {
        let seen_ns = used.queue_ns.saturating_add(used.device_ns);
        self.ns = self
            .ns
            .saturating_add(used.total_ns.saturating_sub(seen_ns));
        self.ops = self.ops.saturating_add(used.ops);
    }

    fn each_ns(&self) -> f64 {
        if self.ops == 0 {
            return 0.0;
        }
        self.ns as f64 / self.ops as f64
    }
}

fn batch_seconds(intervals: &[Interval]) -> Vec<f64> {
    let mut seconds = vec![0.0; number(intervals.len())];
    for (index, interval) in intervals.iter().enumerate() {
        let length_ns = interval.end_ns.saturating_sub(interval.start_ns);
        seconds[batch_of(index, intervals.len())] += length_ns as f64 / 1e9;
    }
    seconds
}
