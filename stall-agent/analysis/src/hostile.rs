//! Captures that nobody made in good faith, or whose counters ran over: never a panic, always a report that fits.

use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

use super::test_capture::{Builder, Part, TRIM, TRIM_SLEEP, disk};
use super::test_report::judged;
use crate::comparison;
use stall_capture::{
    Blocked, Capture, Discards, EndedRequest, EndedSleep, Histogram, Interval, IntervalDiscards,
    IntervalUse, IntervalWaited, Loss, Op, UnfinishedRequest, UnfinishedSleep, Use,
};

/// Any number, the ends of the range often.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX / 2 + 1),
        any::<u64>()
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        Just(Op::Read),
        Just(Op::Write),
        Just(Op::Preflush),
        Just(Op::Discard),
        Just(Op::Other)
    ]
}

prop_compose! {
    fn numbers()(values in prop::collection::vec(number(), 16)) -> Vec<u64> {
        values
    }
}

prop_compose! {
    fn any_use()(actor in 0u32..6, disk in 0u16..4, op in op(), n in numbers()) -> Use {
        Use {
            actor, disk, op, ops: n[0], bytes: n[1], queue_ns: n[2], device_ns: n[3], total_ns: n[4], slowest_ns: n[5],
            slow_ops: n[6], exposed_ops: n[7], exposed_slow_ops: n[8], exposed_total_ns: n[9], overlap_ns: n[10], slow_total_ns: n[4], service_ns: n[3],
            exposed_latency: Histogram(vec![(n[0] as u16, n[1])]), unexposed_latency: Histogram::default(),
        }
    }
}

prop_compose! {
    fn any_discards()(actor in 0u32..6, disk in 0u16..4, stack in prop::option::of(0usize..9), n in numbers()) -> Discards {
        Discards {
            actor, disk, op: Op::Discard, stack, ops: n[0], bytes: n[1], queue_ns: n[2], device_ns: n[3],
            slowest_ns: n[4], first_queued_ns: n[5], last_completed_ns: n[6],
        }
    }
}

prop_compose! {
    fn any_request()(actor in 0u32..6, disk in 0u16..4, op in op(), stack in prop::option::of(0usize..9), n in numbers(),
                     older in any::<bool>()) -> (UnfinishedRequest, EndedRequest) {
        let issued_ns = (n[4] % 2 == 0).then_some(n[3]);
        (
            UnfinishedRequest {
                actor, tid: 1, disk, op, bytes: n[0], sector: Some(n[1]), queued_ns: n[2], issued_ns, requeues: 0, older, stack,
            },
            EndedRequest {
                actor, tid: 1, disk, op, bytes: n[0], sector: Some(n[1]), queued_ns: n[2], issued_ns, completed_ns: n[5],
                overlap_ns: n[6], service_ns: n[7], requeues: 0, older, stack, stands_for: 1.0,
            },
        )
    }
}

prop_compose! {
    fn any_sleep()(task in 0u32..4, stack in prop::option::of(0usize..9), killable in any::<bool>(), n in numbers())
                   -> (Blocked, EndedSleep, UnfinishedSleep) {
        (
            Blocked { task, stack, killable, io_wait: None, sleeps: n[0], blocked_ns: n[1], before_ns: n[2], longest_ns: n[3] },
            EndedSleep { task, stack, killable, io_wait: None, start_ns: n[4], end_ns: n[5], waker: None },
            UnfinishedSleep { task, stack, killable, io_wait: None, start_ns: n[6], holder: None },
        )
    }
}

fn base(n: &[u64]) -> Capture {
    let builder = Builder::of_disks(vec![disk("sda"), disk("sda"), disk("")])
        .actor(2, "fstrim")
        .actor(3, "")
        .discards(2, 0, TRIM, 10, 1_000)
        .flow(3, 0, Op::Read, Part(1, 1, 1), Part(1, 1, 1))
        .slept(2, "fstrim", TRIM_SLEEP, (1, 1));
    builder
        .with(|capture| {
            (capture.window.start_ns, capture.window.end_ns) = (n[0], n[1]);
            capture.window.start_unix_ns = n[2] as i64;
            capture.window.suspended_ns = n[3];
            (capture.settings.slow_ns, capture.settings.interval_ns) = (n[4], n[5]);
            capture.disks[0].discard_busy_ns = n[6];
            capture.series[0].exposed = Histogram(vec![(n[7] as u16, n[8]), (n[9] as u16, n[10])]);
            capture.series[0].older_requests = n[11];
            capture.loss = vec![Loss {
                cause: "requests_map_full".to_owned(),
                count: n[12],
            }];
            capture.intervals = vec![interval(n); 6];
        })
        .capture()
}

fn interval(n: &[u64]) -> Interval {
    let used = |actor| IntervalUse {
        actor,
        disk: 9,
        op: Op::Read,
        ops: n[3],
        bytes: n[4],
        queue_ns: n[5],
        device_ns: n[6],
        service_ns: n[2],
        waited: Some(IntervalWaited {
            total_ns: n[5],
            slow_ops: n[3],
            slow_total_ns: n[6],
            overlap_ns: n[4],
        }),
    };
    Interval {
        start_ns: n[0],
        end_ns: n[1],
        discards: vec![IntervalDiscards {
            disk: 7,
            busy_ns: n[2],
            in_flight: 1,
        }],
        uses: vec![used(1), used(77)],
        ..Interval::default()
    }
}

proptest! {
    #[test]
    fn any_capture_makes_a_report_and_a_comparison(
        n in numbers(),
        uses in prop::collection::vec(any_use(), 0..8),
        discards in prop::collection::vec(any_discards(), 0..8),
        requests in prop::collection::vec(any_request(), 0..8),
        sleeps in prop::collection::vec(any_sleep(), 0..8),
        name in ".{0,40}",
    ) {
        let mut capture = base(&n);
        capture.uses.extend(uses);
        capture.discards.extend(discards);
        for (unfinished, ended) in requests {
            capture.unfinished_requests.push(unfinished);
            capture.slow_requests.push(ended);
        }
        for (blocked, ended, unfinished) in sleeps {
            capture.blocked.push(blocked);
            capture.long_sleeps.push(ended);
            capture.unfinished_sleeps.push(unfinished);
        }
        capture.actors[0].process.as_mut().unwrap().comm.clone_from(&name);
        capture.disks[0].name = name;
        let report = judged(&capture);
        prop_assert!(stall_report::page(&report).ends_with("</html>"));
        let found = comparison::compare(&capture, &capture);
        prop_assert_ne!(found.verdict.kind, comparison::OutcomeKind::Confirmed);
        prop_assert!(comparison::text(&found).lines().all(|line| line.width() <= 80));
    }
}
