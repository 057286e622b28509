//! Disks simulated request by request, where it is known whether the discards delayed anybody.
//!
//! Not the judge of the real world (a staged disk is), but thousands of times faster: it shows which way
//! the rules err as loads, lengths and gaps vary.

use stall_common::histogram::bucket;

use super::*;
use crate::analyze;
use crate::test_capture::START;
use stall_capture::{Capture, EndedRequest};

/// Microseconds of a window.
const WINDOW: u64 = 60_000_000;
const SLOW: u64 = 10_000;
const RUNS: u64 = 100;

/// xorshift64*: the same on every machine.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn is(&mut self, chance: f64) -> bool {
        self.roll() < chance
    }

    /// Even on a logarithmic scale.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        let (low, high) = (low as f64, high as f64);
        (low * (high / low).powf(self.roll())) as u64
    }

    fn exponential(&mut self, mean: u64) -> u64 {
        (-(1.0 - self.roll()).ln() * mean as f64) as u64 + 1
    }
}

/// Times with a discard in flight.
struct Trim {
    discards: Vec<(u64, u64)>,
}

impl Trim {
    /// Discards of up to about that length, with pauses of up to about that, in such a part of the window.
    fn new(
        dice: &mut Dice,
        (longest, pause): (u64, u64),
        (shortest_run, longest_run): (f64, f64),
    ) -> Self {
        let run =
            (WINDOW as f64 * (shortest_run + (longest_run - shortest_run) * dice.roll())) as u64;
        let begin = (dice.roll() * (WINDOW - run) as f64) as u64;
        let (length, gap) = (dice.between(longest / 20, longest), dice.between(30, pause));
        let mut discards = Vec::new();
        let mut now = begin;
        while now < begin + run {
            let end = now + length / 2 + dice.exponential(length / 2);
            discards.push((now, end));
            now = end + dice.exponential(gap);
        }
        Self { discards }
    }

    fn busy(&self) -> u64 {
        self.overlap(0, WINDOW)
    }

    fn overlap(&self, from: u64, to: u64) -> u64 {
        let first = self.discards.partition_point(|(_, end)| *end <= from);
        let met = self.discards[first..]
            .iter()
            .take_while(|(start, _)| *start < to);
        met.map(|(start, end)| (*end).min(to) - (*start).max(from))
            .sum()
    }

    /// When a request that arrives now can be served, if discards exclude everything; some are overtaken by the
    /// next discard.
    fn free(&self, mut now: u64, dice: &mut Dice) -> u64 {
        let first = self.discards.partition_point(|(_, end)| *end <= now);
        for (start, end) in &self.discards[first..] {
            if *start > now {
                break;
            }
            now = *end + 20;
            if dice.is(0.6) {
                break;
            }
        }
        now
    }
}

/// What else makes requests slow.
#[derive(Clone, Debug)]
enum Trouble {
    None,
    /// Some, at any time.
    Some {
        chance: f64,
        mean: u64,
    },
    /// All, while something else is going on.
    Phases {
        phases: Vec<(u64, u64)>,
        mean: u64,
    },
}

impl Trouble {
    fn new(dice: &mut Dice) -> Self {
        let mean = dice.between(15_000, 1_000_000);
        if dice.is(0.6) {
            let chance = if dice.is(0.3) {
                1.0
            } else {
                dice.between(5_000, 500_000) as f64 / 1e6
            };
            return Self::Some { chance, mean };
        }
        let length = dice.between(200_000, 3_000_000);
        let mut phases = Vec::new();
        let mut now = dice.exponential(length);
        while now < WINDOW {
            let end = now + length / 2 + dice.exponential(length / 2);
            phases.push((now, end));
            now = end + length / 2 + dice.exponential(length);
        }
        Self::Phases {
            phases,
            mean: mean.min(200_000),
        }
    }

    fn delay(&self, now: u64, dice: &mut Dice) -> u64 {
        match self {
            Self::None => 0,
            Self::Some { chance, mean } => {
                if dice.is(*chance) {
                    dice.exponential(*mean)
                } else {
                    0
                }
            }
            Self::Phases { phases, mean } => {
                let next = phases.partition_point(|(_, end)| *end <= now);
                let inside = phases.get(next).is_some_and(|(start, _)| *start <= now);
                if inside { dice.exponential(*mean) } else { 0 }
            }
        }
    }
}

/// One flow: some requests at a time, each followed by a pause.
fn flow(builder: Builder, dice: &mut Dice, (actor, op): (u32, Op), disk: &Disk<'_>) -> Builder {
    let (depth, pause) = (dice.between(1, 9), dice.between(1_000, 100_000));
    let service = dice.between(100, 1_000);
    let mut requests = Vec::new();
    for _ in 0..depth {
        let mut now = dice.exponential(pause);
        while now < WINDOW {
            let end = disk.serve(now, service, dice);
            if end < WINDOW {
                requests.push((now, end, disk.trim.overlap(now, end)));
            }
            now = end + dice.exponential(pause);
        }
    }
    let nothing = Part(0, 0, 0);
    let builder = builder.flow(actor, 0, op, nothing, nothing);
    builder.with(|capture| {
        for request in requests {
            count(capture, op, request);
        }
    })
}

struct Disk<'a> {
    trim: &'a Trim,
    guilty: bool,
    trouble: &'a Trouble,
}

impl Disk<'_> {
    fn serve(&self, now: u64, service: u64, dice: &mut Dice) -> u64 {
        let ready = if self.guilty {
            self.trim.free(now, dice)
        } else {
            now
        };
        ready + dice.exponential(service) + self.trouble.delay(now, dice)
    }
}

fn count(capture: &mut Capture, op: Op, (now, end, overlap): (u64, u64, u64)) {
    let total = end - now;
    let (slow, exposed) = (u64::from(total >= SLOW), u64::from(overlap > 0));
    let flow = capture.uses.last_mut().unwrap();
    let times = (START + now * 1_000, START + end * 1_000);
    // The fast ones go when services are known.
    capture.slow_requests.push(ended(flow.actor, op, times));
    flow.slow_total_ns += slow * total * 1_000;
    flow.ops += 1;
    flow.slow_ops += slow;
    flow.total_ns += total * 1_000;
    flow.slowest_ns = flow.slowest_ns.max(total * 1_000);
    flow.exposed_ops += exposed;
    flow.exposed_slow_ops += exposed * slow;
    flow.exposed_total_ns += exposed * total * 1_000;
    flow.overlap_ns += overlap * 1_000;
    let mut series = capture.series.iter_mut();
    let series = series.find(|series| series.op == op).unwrap();
    series.ops += 1;
    series.total.0.push((bucket(total * 1_000) as u16, 1));
    series.device.0.push((bucket(total * 1_000) as u16, 1));
}

fn capture(dice: &mut Dice, disk: &Disk<'_>) -> Capture {
    let Trim { discards } = disk.trim;
    let sum: u64 = discards.iter().map(|(start, end)| end - start).sum();
    let (count, busy_ns) = (discards.len() as u64, disk.trim.busy() * 1_000);
    let mut builder = Builder::of_disks(vec![super::disk("sda")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .actor(ETCD, "etcd")
        .discards(FSTRIM, 0, TRIM, count, sum / count * 1_000)
        .slept(FSTRIM, "fstrim", TRIM_SLEEP, (busy_ns, 0))
        .busy(0, busy_ns);
    for (actor, op) in [(VM, Op::Read), (VM, Op::Write), (ETCD, Op::Preflush)] {
        if actor == VM || dice.is(0.5) {
            builder = flow(builder, dice, (actor, op), disk);
        }
    }
    let record = |&(start, end): &(u64, u64)| {
        let times = (START + start * 1_000, START + end * 1_000);
        ended(FSTRIM, Op::Discard, times)
    };
    builder
        .with(|capture| capture.discard_requests = discards.iter().map(record).collect())
        .with(serve)
        .capture()
}

/// Gives each request its service, and keeps the slow ones, as the kernel side does.
fn serve(capture: &mut Capture) {
    let slow = capture.slow_requests.iter_mut();
    let mut all: Vec<_> = slow.chain(&mut capture.discard_requests).collect();
    all.sort_by_key(|request| request.completed_ns);
    let mut last_ns = 0;
    for request in all {
        request.service_ns = request.completed_ns - last_ns.max(request.queued_ns);
        last_ns = request.completed_ns;
    }
    let is_slow = |one: &EndedRequest| one.completed_ns - one.queued_ns >= SLOW * 1_000;
    capture.slow_requests.retain(is_slow);
}

/// Of many disks: how many had a trim accused, by confidence.
fn accused(make: impl Fn(&mut Dice) -> Capture) -> [u64; 3] {
    let mut counts = [0; 3];
    for seed in 0..RUNS {
        let verdict = analyze(&make(&mut Dice::new(seed))).verdict;
        if verdict.kind == Kind::HostTrim {
            counts[verdict.confidence.unwrap() as usize] += 1;
        }
    }
    counts
}

#[test]
fn innocent_trims_are_not_accused() {
    let [low, medium, high] = accused(|dice| {
        let (longest, trouble) = (dice.between(1_000, 200_000), Trouble::new(dice));
        let trim = Trim::new(dice, (longest, 20_000), (0.05, 0.85));
        capture(
            dice,
            &Disk {
                trim: &trim,
                guilty: false,
                trouble: &trouble,
            },
        )
    });
    println!("of {RUNS} innocent trims: low {low}, medium {medium}, high {high}");
    assert!(
        high == 0 && medium <= RUNS / 50,
        "low {low}, medium {medium}, high {high}"
    );
}

#[test]
fn innocent_trims_without_pause_are_not_accused() {
    let [low, medium, high] = accused(|dice| {
        let (longest, trouble) = (dice.between(20_000, 400_000), Trouble::new(dice));
        let trim = Trim::new(dice, (longest, 200), (1.0, 1.0));
        capture(
            dice,
            &Disk {
                trim: &trim,
                guilty: false,
                trouble: &trouble,
            },
        )
    });
    println!("of {RUNS} innocent trims without pause: low {low}, medium {medium}, high {high}");
    assert!(
        high == 0 && medium <= RUNS / 50,
        "low {low}, medium {medium}, high {high}"
    );
}

#[test]
fn guilty_trims_without_pause_are_found() {
    let [low, medium, high] = accused(|dice| {
        let longest = dice.between(100_000, 800_000);
        let trim = Trim::new(dice, (longest, 200), (1.0, 1.0));
        capture(
            dice,
            &Disk {
                trim: &trim,
                guilty: true,
                trouble: &Trouble::None,
            },
        )
    });
    println!("of {RUNS} guilty trims without pause: low {low}, medium {medium}, high {high}");
    assert!(
        (medium + high) * 100 >= RUNS * 95,
        "low {low}, medium {medium}, high {high}"
    );
}

#[test]
fn guilty_trims_are_found() {
    let [low, medium, high] = accused(|dice| {
        let trouble = if dice.is(0.5) {
            Trouble::None
        } else {
            Trouble::Some {
                chance: 0.002,
                mean: 20_000,
            }
        };
        let longest = dice.between(100_000, 800_000);
        let trim = Trim::new(dice, (longest, 20_000), (0.1, 0.85));
        capture(
            dice,
            &Disk {
                trim: &trim,
                guilty: true,
                trouble: &trouble,
            },
        )
    });
    println!("of {RUNS} guilty trims: low {low}, medium {medium}, high {high}");
    assert!(
        (medium + high) * 100 >= RUNS * 95,
        "low {low}, medium {medium}, high {high}"
    );
}
