//! What holds in every world.

use std::collections::BTreeMap;

use stall_capture::{Capture, EndedRequest, Op};
use stall_common::request::Op as Abi;

use crate::collect::{self, INTERVAL};
use crate::dice::Dice;
use crate::families::{self, Family};
use crate::log::Log;
use crate::parts;
use crate::play::{Change, Played, play};
use crate::truth::{Role, State, truth};
use crate::world::{Arrivals, Disk, Does, MS, S, US, WhoKind, World};

fn observed(world: &World) -> Played {
    play(world, &Change::default(), Some(INTERVAL))
}

fn family(name: &str) -> Family {
    let all = families::all();
    *all.iter()
        .find(|family| family.name == name)
        .expect("one of the list")
}

/// What each thread asked for, in order.
fn asked(log: &Log) -> BTreeMap<(usize, u32), Vec<u64>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    let mut requests: Vec<_> = log.ended.iter().chain(&log.unfinished).collect();
    requests.sort_by_key(|request| request.queued);
    for request in requests {
        let of_party = request
            .process
            .and_then(|process| log.processes[process as usize].party);
        if of_party.is_some() && request.op != Abi::Discard {
            all.entry((request.party, request.thread))
                .or_default()
                .push(request.sector);
        }
    }
    all
}

#[test]
fn a_number_gives_the_same_capture_each_time() {
    for family in families::all() {
        let text = |_| {
            let world = family.world(3);
            serde_json::to_string(&collect::capture(&world, &observed(&world).log)).unwrap()
        };
        assert!(text(()) == text(()), "{}", family.name);
    }
}

/// One that arrives by the clock asks for the same whoever else is there.
#[test]
fn nobody_s_chance_depends_on_who_else_is_there() {
    let world = family("healthy_hard_disk").world(1);
    let with = asked(&observed(&world).log);
    let last = world.parties.len() - 1;
    let change = Change {
        without: vec![last],
        ..Change::default()
    };
    let without = asked(&play(&world, &change, Some(INTERVAL)).log);
    let of = |all: &BTreeMap<(usize, u32), Vec<u64>>| {
        let machines = all
            .iter()
            .filter(|((party, _), _)| world.parties[*party].who.kind == WhoKind::Vm);
        let sectors = machines.map(|((party, _), sectors)| (*party, sectors.clone()));
        sectors.collect::<BTreeMap<_, _>>()
    };
    assert!(of(&with).values().any(|sectors| sectors.len() > 50));
    assert_eq!(of(&with), of(&without));
    assert!(with.keys().any(|(party, _)| *party == last));
    assert!(!without.keys().any(|(party, _)| *party == last));
}

/// One server, requests that come by chance: what Pollaczek and Khinchine say of the mean wait.
#[test]
fn a_serial_disk_makes_requests_wait_as_queueing_theory_says() {
    for load in [0.3, 0.7] {
        let mut dice = Dice::new(7);
        let disk = Disk {
            served_at_once: 1,
            read_ns: MS,
            ns_per_kib: 0,
            ..parts::flash(&mut dice, (MS, MS + 1))
        };
        let mut world = parts::world(&mut dice, disk, (60.0, 60.1));
        let open = Arrivals::Open {
            per_second: load * 1_000.0,
            at_once: 500,
        };
        let active = parts::always(&world);
        let stream = parts::stream(&mut dice, open, vec![parts::read(4)], active);
        world
            .parties
            .push(parts::machine(&mut dice, "vm", Does::Load, vec![stream]));
        let log = observed(&world).log;
        let totals = log
            .ended
            .iter()
            .map(|request| (request.completed - request.queued) as f64);
        let mean = totals.sum::<f64>() / log.ended.len() as f64;
        // Services are 0.7 to 1.3 ms, and one of 200 up to four times that.
        let (first, second) = (1.007, 1.007 * 1.007 * 1.06);
        let expected =
            first + load * first * second / (first * first) / (2.0 * (1.0 - load * first));
        let off = mean / MS as f64 / expected - 1.0;
        assert!(
            off.abs() < 0.1,
            "load {load}: {mean} instead of {expected} ms"
        );
    }
}

fn sums<'a>(
    rows: impl Iterator<Item = (u16, Op, u64, u64)> + 'a,
) -> BTreeMap<(u16, Op), (u64, u64)> {
    let mut all = BTreeMap::<_, (u64, u64)>::new();
    for (disk, op, ops, ns) in rows {
        let sum = all.entry((disk, op)).or_default();
        sum.0 += ops;
        sum.1 += ns;
    }
    all
}

fn check(capture: &Capture, log: &Log, name: &str) {
    let uses = sums(
        capture
            .uses
            .iter()
            .map(|row| (row.disk, row.op, row.ops, row.total_ns)),
    );
    let series = sums(
        capture
            .series
            .iter()
            .map(|row| (row.disk, row.op, row.ops, row.total_ns)),
    );
    assert_eq!(uses, series, "{name}");
    let parts = capture.intervals.iter().flat_map(|interval| &interval.uses);
    let parts = sums(parts.map(|row| (row.disk, row.op, row.ops, row.waited.unwrap().total_ns)));
    assert_eq!(uses, parts, "{name}");
    let counted: u64 = capture
        .series
        .iter()
        .flat_map(|row| &row.total.0)
        .map(|(_, count)| count)
        .sum();
    assert_eq!(counted, log.ended.len() as u64, "{name}");
    let window = (capture.window.start_ns, capture.window.end_ns);
    assert_eq!(
        capture.intervals.first().map(|row| row.start_ns),
        Some(window.0),
        "{name}"
    );
    assert_eq!(
        capture.intervals.last().map(|row| row.end_ns),
        Some(window.1),
        "{name}"
    );
    check_intervals(capture, name);
    check_sample(capture, name);
    for row in &capture.blocked {
        let long = capture.window.length_ns();
        assert!(
            row.blocked_ns <= long && row.longest_ns <= row.blocked_ns + row.before_ns,
            "{name}"
        );
    }
}

/// What was drawn stands for all there was.
fn check_sample(capture: &Capture, name: &str) {
    for row in &capture.uses {
        let key = (row.disk, row.actor, row.op);
        let is_its = |one: &&EndedRequest| (one.disk, one.actor, one.op) == key;
        let (drawn, all) = match row.op {
            Op::Discard => (&capture.discard_requests, row.ops),
            _ => (&capture.slow_requests, row.slow_ops),
        };
        let stands: Vec<f64> = drawn
            .iter()
            .filter(is_its)
            .map(|one| one.stands_for)
            .collect();
        let sum: f64 = stands.iter().sum();
        let is_all = (sum - all as f64).abs() < 1e-6 * all as f64 + 1e-6;
        assert!(is_all || stands.is_empty(), "{name}: {sum} for {all}");
    }
    let most = 2_050 + capture.uses.len();
    assert!(
        capture.slow_requests.len() <= most && capture.discard_requests.len() <= most,
        "{name}"
    );
}

fn check_intervals(capture: &Capture, name: &str) {
    for interval in &capture.intervals {
        for row in &interval.discards {
            assert!(row.busy_ns <= interval.end_ns - interval.start_ns, "{name}");
        }
        for row in &interval.disks {
            assert!(
                row.busy_ms <= (interval.end_ns - interval.start_ns).div_ceil(MS) + 1,
                "{name}"
            );
        }
    }
}

#[test]
fn what_an_agent_counts_adds_up() {
    for family in families::all() {
        let world = family.world(2);
        let log = observed(&world).log;
        check(&collect::capture(&world, &log), &log, family.name);
    }
}

#[test]
fn captures_are_read_back() {
    let world = family("two_in_turn").world(1);
    let text = serde_json::to_vec(&collect::capture(&world, &observed(&world).log)).unwrap();
    let again = Capture::read(text.as_slice()).unwrap();
    assert!(serde_json::to_vec(&again).unwrap() == text);
}

/// Of the first worlds of a family that have a hurt party: the names of those without whom half is gone, and the kinds.
fn found(name: &str) -> Vec<(Vec<String>, Vec<&'static str>)> {
    let mut all = Vec::new();
    for number in 1..6 {
        let world = family(name).world(number);
        let truth = truth(&world, &play(&world, &Change::default(), None));
        if truth.state == State::Hurt {
            let episode = &truth.episodes[0];
            let names = episode
                .culprits()
                .map(|party| world.parties[party].who.comm.clone());
            all.push((names.collect(), episode.kinds.iter().copied().collect()));
        }
    }
    assert!(all.len() > 2, "{name} has trouble in nearly all worlds");
    all
}

#[test]
fn what_is_true_is_what_was_made_to_happen() {
    for (name, culprit, kind) in [
        ("exclusive_trim", Some("fstrim"), "host_trim"),
        ("noisy_thirty", Some("clickhouse"), "noisy_neighbor"),
        ("noisy_short_lived", Some("dd"), "noisy_neighbor"),
        ("journal", Some("loki"), "lock_holder"),
        ("flusher", Some("mongod"), "flushes"),
        ("slow_disk", None, "slow_device"),
        ("bad_sectors", None, "slow_device"),
        ("innocent_trim", None, "slow_device"),
        ("crowd", None, "overload"),
        ("frozen", None, "frozen"),
    ] {
        for (culprits, kinds) in found(name) {
            // At the edge of what a disk can do, each of a crowd may be one too many.
            let first = culprits
                .first()
                .map(String::as_str)
                .filter(|_| name != "crowd");
            assert_eq!(first, culprit, "{name}: {culprits:?}");
            assert!(kinds.contains(&kind), "{name}: {kinds:?}");
        }
    }
}

#[test]
fn nothing_is_true_of_a_calm_world() {
    for number in 1..8 {
        let world = family("calm").world(number);
        let truth = truth(&world, &play(&world, &Change::default(), None));
        assert!(
            truth.state != State::Hurt && truth.episodes.is_empty(),
            "calm {number}"
        );
    }
}

/// A pause of a second holds up whoever asks for one thing at a time, and is no party's.
#[test]
fn a_pause_costs_one_who_waits_what_it_lasts() {
    let mut dice = Dice::new(1);
    let disk = Disk {
        served_at_once: 1,
        read_ns: 200 * US,
        ..parts::flash(&mut dice, (MS, 2 * MS))
    };
    let mut world = parts::world(&mut dice, disk, (20.0, 20.1));
    world.disks[0].phases = vec![crate::world::Phase {
        from: 5 * S,
        to: 6 * S,
        slower: f64::INFINITY,
    }];
    let active = parts::always(&world);
    let stream = parts::stream(
        &mut dice,
        parts::closed(MS, 1),
        vec![parts::read(4)],
        active,
    );
    world
        .parties
        .push(parts::unit("etcd", Does::Load, vec![stream]));
    let played = play(&world, &Change::default(), None);
    let waited: u64 = played.waits.iter().map(|wait| wait.to - wait.from).sum();
    assert!(waited.abs_diff(S) < 5 * MS, "{waited}");
    let truth = truth(&world, &played);
    assert!(truth.episodes[0].kinds.contains("slow_device"));
    assert_eq!(truth.episodes[0].role(0), Role::Innocent);
}
