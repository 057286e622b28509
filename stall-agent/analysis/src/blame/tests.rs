//! The table on disks whose truth is known: serial, parallel, paused, and with too many requests to record.

use proptest::prelude::*;

use super::super::analyze;
use super::super::test_capture::{Builder, MS, Part, START, disk, ended};
use stall_capture::{Capture, EndedRequest, Interval, IntervalUse, Op};
use stall_report::model::{Blame, BlameRow};

const VM: u32 = 2;
const BULK: u32 = 3;
const TRIM: u32 = 4;

/// A request in milliseconds since the start, with its service.
fn request(actor: u32, op: Op, (from, to): (u64, u64), service: u64) -> EndedRequest {
    EndedRequest {
        service_ns: service * MS,
        sector: Some(from),
        ..ended(actor, op, (START + from * MS, START + to * MS))
    }
}

/// A capture of these requests and their sums.
fn capture(requests: &[EndedRequest]) -> Capture {
    let mut builder = Builder::of_disks(vec![disk("sda")])
        .actor(VM, "qemu-kvm")
        .actor(BULK, "bulk")
        .actor(TRIM, "fstrim");
    let is_slow = |one: &EndedRequest| one.completed_ns - one.queued_ns >= 10 * MS;
    for (actor, op) in [(VM, Op::Read), (BULK, Op::Write)] {
        let of_it = requests
            .iter()
            .filter(|one| (one.actor, one.op) == (actor, op));
        for one in of_it {
            builder = builder.flow(
                actor,
                0,
                op,
                Part(0, 0, 0),
                Part(1, u64::from(is_slow(one)), one.completed_ns - one.queued_ns),
            );
        }
    }
    builder
        .with(|capture| {
            // One row for each actor and operation, as the kernel's map has.
            let rows = std::mem::take(&mut capture.uses);
            for row in rows {
                let same =
                    |one: &&mut stall_capture::Use| (one.actor, one.op) == (row.actor, row.op);
                match capture.uses.iter_mut().find(same) {
                    None => capture.uses.push(row),
                    Some(sum) => {
                        sum.ops += row.ops;
                        sum.bytes += row.bytes;
                        sum.total_ns += row.total_ns;
                        sum.slow_ops += row.slow_ops;
                    }
                }
            }
            let split = requests
                .iter()
                .cloned()
                .partition(|one| one.op != Op::Discard);
            (capture.slow_requests, capture.discard_requests) = split;
            capture.slow_requests.retain(is_slow);
        })
        .capture()
}

fn table(capture: &Capture) -> Blame {
    analyze(capture).blame.remove(0)
}

fn row(blame: &Blame, actor: u32) -> &BlameRow {
    blame.victims.iter().find(|row| row.actor == actor).unwrap()
}

fn by(row: &BlameRow, actor: u32) -> u64 {
    let cells = row.by.iter().filter(|cell| cell.actor == actor);
    cells.map(|cell| cell.waited_ns).sum()
}

fn sum(row: &BlameRow) -> u64 {
    let by: u64 = row.by.iter().map(|cell| cell.waited_ns).sum();
    row.fast_ns + row.device_ns + row.own_ns + row.unexplained_ns + by
}

/// A read of 1 ms by itself makes the device's usual time.
fn usual() -> EndedRequest {
    request(VM, Op::Read, (0, 1), 1)
}

#[test]
fn who_waits_behind_a_discard_waits_for_it() {
    let requests = [
        usual(),
        request(TRIM, Op::Discard, (100, 150), 50),
        request(VM, Op::Read, (110, 151), 1),
    ];
    let blame = table(&capture(&requests));
    let row = row(&blame, VM);
    assert_eq!((row.waited_ns, row.fast_ns), (42 * MS, MS));
    assert_eq!((by(row, TRIM), row.device_ns, row.own_ns), (40 * MS, MS, 0));
    assert_eq!(sum(row), row.waited_ns);
}

#[test]
fn a_part_that_lies_before_the_request_is_not_charged() {
    let requests = [
        usual(),
        request(BULK, Op::Write, (10, 11), 1),
        request(BULK, Op::Write, (100, 140), 40),
        request(BULK, Op::Write, (100, 160), 20),
        request(VM, Op::Read, (130, 161), 1),
    ];
    let blame = table(&capture(&requests));
    assert_eq!(by(row(&blame, VM), BULK), 30 * MS);
    // Its second write waited for the first.
    assert_eq!(row(&blame, BULK).own_ns, 40 * MS);
}

/// Each takes 20 ms whatever the others do, and they end one after the other.
#[test]
fn a_disk_that_is_slow_for_all_at_once_is_nobodys_fault() {
    let at = |n: u64| [(VM, Op::Read, 20 * n), (BULK, Op::Write, 20 * n + 10)];
    let requests: Vec<EndedRequest> = (1..50)
        .flat_map(at)
        .map(|(actor, op, from)| request(actor, op, (from, from + 20), 10))
        .collect();
    let blame = table(&capture(&requests));
    let row = row(&blame, VM);
    assert!(row.device_ns >= row.waited_ns * 9 / 10, "{row:?}");
}

#[test]
fn who_is_served_first_after_a_pause_did_not_cause_it() {
    let mut requests: Vec<EndedRequest> = (1..20)
        .map(|n| request(BULK, Op::Write, (100 * n, 100 * n + 10), 10))
        .collect();
    requests.push(usual());
    requests.push(request(BULK, Op::Write, (3_000, 8_000), 5_000));
    requests.push(request(VM, Op::Read, (3_000, 8_001), 1));
    let blame = table(&capture(&requests));
    let row = row(&blame, VM);
    assert!(by(row, BULK) <= 40 * MS, "{row:?}");
    assert!(row.device_ns >= 4_900 * MS, "{row:?}");
}

/// The pauses are few, and all that was recorded of the writer but for fast writes.
#[test]
fn whose_requests_are_fast_but_after_pauses_did_not_cause_them() {
    let mut requests: Vec<EndedRequest> = (1..100)
        .map(|n| request(BULK, Op::Write, (10 * n, 10 * n + 1), 1))
        .collect();
    requests.push(usual());
    for n in 2..7 {
        requests.push(request(BULK, Op::Write, (1_000 * n, 1_000 * n + 700), 700));
        requests.push(request(VM, Op::Read, (1_000 * n, 1_000 * n + 701), 1));
    }
    let mut capture = capture(&requests);
    capture.intervals = (0..10).map(|second| writes(second, 10)).collect();
    let blame = table(&capture);
    let row = row(&blame, VM);
    assert!(by(row, BULK) <= 5 * 4 * MS, "{row:?}");
    assert!(row.device_ns >= 5 * 690 * MS, "{row:?}");
}

/// A second with so many writes, each of 1 ms.
fn writes(second: u64, ops: u64) -> Interval {
    Interval {
        start_ns: START + second * 1_000 * MS,
        end_ns: START + (second + 1) * 1_000 * MS,
        uses: vec![IntervalUse {
            actor: BULK,
            disk: 0,
            op: Op::Write,
            ops,
            bytes: ops * 4_096,
            queue_ns: 0,
            device_ns: 0,
            service_ns: ops * MS,
            waited: None,
        }],
        ..Interval::default()
    }
}

/// A write a hundred times as large may take a hundred times as long.
#[test]
fn a_large_request_is_no_pause() {
    let mut requests: Vec<EndedRequest> = (1..100)
        .map(|n| request(BULK, Op::Write, (10 * n, 10 * n + 1), 1))
        .collect();
    requests.push(usual());
    for n in 2..7 {
        let mut large = request(BULK, Op::Write, (1_000 * n, 1_000 * n + 700), 700);
        large.bytes = 4 << 20;
        requests.push(large);
        requests.push(request(VM, Op::Read, (1_000 * n, 1_000 * n + 701), 1));
    }
    let mut capture = capture(&requests);
    capture.intervals = (0..10).map(|second| writes(second, 10)).collect();
    let blame = table(&capture);
    let row = row(&blame, VM);
    assert!(by(row, BULK) >= 5 * 690 * MS, "{row:?}");
}

/// The disk worked for requests that were too fast to be recorded one by one.
#[test]
fn what_was_not_recorded_is_laid_on_whom_the_interval_shows_while_it_can_be_ahead() {
    let requests = [usual(), request(VM, Op::Read, (100, 150), 1)];
    let mut capture = capture(&requests);
    capture.intervals = vec![Interval {
        start_ns: START,
        end_ns: START + 1_000 * MS,
        uses: vec![IntervalUse {
            actor: BULK,
            disk: 0,
            op: Op::Write,
            ops: 600,
            bytes: 0,
            queue_ns: 0,
            device_ns: 0,
            service_ns: 600 * MS,
            waited: None,
        }],
        ..Interval::default()
    }];
    let blame = table(&capture);
    let part = by(row(&blame, VM), BULK);
    // Whatever took less than the slow limit of 10 ms ended within it.
    assert!((5 * MS..7 * MS).contains(&part), "{part}");
}

#[test]
fn those_recorded_stand_for_all_that_were_slow() {
    let requests = [
        usual(),
        request(TRIM, Op::Discard, (100, 150), 50),
        request(VM, Op::Read, (110, 151), 1),
    ];
    let mut capture = capture(&requests);
    capture.uses[0].slow_total_ns = 410 * MS;
    capture.uses[0].total_ns = 411 * MS;
    let blame = table(&capture);
    let row = row(&blame, VM);
    assert_eq!((by(row, TRIM), row.device_ns), (400 * MS, 10 * MS));
    assert_eq!(sum(row), row.waited_ns);
}

proptest! {
    /// Whatever was recorded: a row sums to what was waited, and nobody is charged twice.
    #[test]
    fn a_row_sums_to_what_was_waited(
        requests in proptest::collection::vec((2u32..5, 0u64..2_000, 1u64..400, 0u64..500), 1..60),
    ) {
        let requests: Vec<EndedRequest> = requests
            .into_iter()
            .map(|(actor, from, length, service)| {
                let op = [Op::Read, Op::Write, Op::Discard][actor as usize - 2];
                request(actor, op, (from, from + length), service.min(length))
            })
            .collect();
        for blame in analyze(&capture(&requests)).blame {
            for row in &blame.victims {
                prop_assert_eq!(sum(row), row.waited_ns);
            }
        }
    }
}
