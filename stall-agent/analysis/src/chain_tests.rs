//! Chains of captures made by hand, and of sleeps drawn at random: nothing of a sleep is lost or counted twice.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::analyze;
use super::test_capture::{Builder, MS, SECOND, START, disk, ended, process, stack_of};
use super::test_report::judged;
use stall_capture::{Capture, EndedSleep, Holder, Op, Task, UnfinishedSleep, Waker};
use stall_report::model::{Chain, ChainEnd, Confidence, Kind, Origin, Reason};

const LOCK: &[&str] = &["ext4_file_read_iter", "vfs_read"];
const READ: &[&str] = &["__iomap_dio_rw", "iomap_dio_rw", "ext4_file_read_iter"];
const FUSE: &[&str] = &["request_wait_answer", "fuse_file_read_iter"];
const STACKS: [&[&str]; 3] = [LOCK, READ, FUSE];

/// Threads 0 to `count`, whose pids are 1,000 more, each with such a name.
fn host(count: u32) -> Builder {
    let tasks = (0..count).map(|id| Task {
        id,
        tid: 1_000 + id,
        comm: format!("task{id}"),
        start_boottime_ns: u64::from(id),
        process: process(1_000 + id, &format!("task{id}")).into(),
        ..Task::default()
    });
    let tasks: Vec<Task> = tasks.collect();
    Builder::of_disks(vec![disk("sda"), disk("sdb")]).with(|capture| {
        capture.tasks = tasks;
        capture.stacks = STACKS.iter().map(|frames| stack_of(frames)).collect();
    })
}

/// A sleep with the stack of that number, from and to after the start of the window; ended by that thread.
fn slept(
    capture: &mut Capture,
    task: u32,
    stack: usize,
    (from, to): (u64, u64),
    waker: Option<u32>,
) {
    capture.long_sleeps.push(EndedSleep {
        task,
        stack: Some(stack),
        killable: false,
        io_wait: None,
        start_ns: START + from,
        end_ns: START + to,
        waker: waker.map(|id| Waker {
            tid: 1_000 + id,
            pid: 1_000 + id,
            comm: format!("task{id}"),
            start_boottime_ns: u64::from(id),
            kernel_thread: false,
        }),
    });
    capture.blocked.push(stall_capture::Blocked {
        task,
        stack: Some(stack),
        killable: false,
        io_wait: None,
        sleeps: 1,
        blocked_ns: to - from,
        before_ns: 0,
        longest_ns: to - from,
    });
}

fn links(chain: &Chain) -> Vec<(u32, Option<Reason>)> {
    let links = chain.links.iter();
    links.map(|link| (link.pid, link.reason)).collect()
}

#[test]
fn a_chain_ends_at_what_the_holder_waits_for() {
    let builder = host(2).actor(1, "task1").with(|capture| {
        capture.actors[0].process = Some(process(1_001, "task1"));
        slept(capture, 0, 0, (SECOND, 3 * SECOND), Some(1));
        slept(capture, 1, 1, (MS, 2_500 * MS), None);
        capture
            .slow_requests
            .push(ended(1, Op::Read, (START + MS, START + 2_500 * MS)));
    });
    let chains = judged(&builder.capture()).chains;
    assert_eq!(chains.len(), 2, "{chains:#?}");
    let lock = (1_000, Some(Reason::Lock));
    assert_eq!(links(&chains[0]), [lock, (1_001, Some(Reason::Read))]);
    assert_eq!(
        (chains[0].end, chains[0].waited_ns),
        (ChainEnd::Waits, 1_500 * MS)
    );
    assert_eq!(chains[0].links[1].device.as_deref(), Some("sda"));
    assert_eq!(links(&chains[1]), [lock, (1_001, None)]);
    assert_eq!(
        (chains[1].end, chains[1].waited_ns),
        (ChainEnd::Runs, 500 * MS)
    );
}

/// One let go on by another that had waited for the same lock: the first to hold it is at the end.
#[test]
fn who_took_turns_passes_on() {
    let builder = host(3).with(|capture| {
        slept(capture, 0, 0, (0, 2_000 * MS), Some(1));
        slept(capture, 1, 0, (0, 1_990 * MS), Some(2));
        slept(capture, 2, 2, (0, 1_980 * MS), None);
    });
    let chains = judged(&builder.capture()).chains;
    let first = chains.iter().find(|chain| chain.links.len() == 3).unwrap();
    let pids: Vec<u32> = first.links.iter().map(|link| link.pid).collect();
    assert_eq!(pids, [1_000, 1_001, 1_002]);
    assert_eq!(first.links[2].reason, Some(Reason::UserSpaceServer));
    assert_eq!(first.waited_ns, 1_980 * MS);
}

#[test]
fn of_a_sleep_that_goes_on_the_kernel_tells_the_holder() {
    let builder = host(2).with(|capture| {
        let holder = Holder {
            tid: 1_001,
            pid: 1_001,
            comm: "task1".to_owned(),
            lock: "mutex".to_owned(),
            reader: false,
        };
        for (task, stack, holder) in [(0, 1, Some(holder)), (1, 1, None)] {
            capture.unfinished_sleeps.push(UnfinishedSleep {
                task,
                stack: Some(stack),
                killable: false,
                io_wait: None,
                start_ns: START - SECOND,
                holder,
            });
        }
    });
    let chains = judged(&builder.capture()).chains;
    assert_eq!(chains.len(), 1);
    assert_eq!(
        (chains[0].waited_ns, chains[0].unfinished),
        (60 * SECOND, true)
    );
    assert_eq!(chains[0].links[1].pid, 1_001);
}

/// Readers that wait for the one that makes the file longer, on a disk too slow for it.
fn lock_held(waits_for: usize) -> Builder {
    host(3).with(|capture| {
        for second in 0..6 {
            let span = (second * SECOND, second * SECOND + 990 * MS);
            slept(capture, 0, 0, span, Some(2));
            slept(capture, 1, 0, (span.0, span.1 + 200 * MS), Some(2));
            slept(capture, 2, waits_for, span, None);
        }
    })
}

#[test]
fn who_holds_a_lock_is_named() {
    let verdict = judged(&lock_held(1).capture()).verdict;
    assert_eq!(
        (verdict.kind, verdict.confidence),
        (Kind::LockHolder, Some(Confidence::High)),
        "{verdict:#?}"
    );
    assert_eq!(verdict.culprits[0].label, "task2 (pid 1002)");
    let waiters: Vec<u32> = verdict.waiters.iter().filter_map(|one| one.pid).collect();
    assert_eq!(waiters, [1_001, 1_000]);
    assert!(verdict.sentence.contains("meanwhile it waits for:"));
}

#[test]
fn a_lock_s_holder_that_waits_for_a_trimmed_disk_is_not_the_cause() {
    use super::test_capture::{Part, TRIM};
    let builder = lock_held(1)
        .actor(2, "task2")
        .actor(7, "fstrim")
        .actor(8, "qemu")
        .discards(7, 0, TRIM, 1_000, 30 * MS)
        .busy(0, 30 * SECOND)
        .flow(
            8,
            0,
            Op::Read,
            Part(500, 450, 58 * MS),
            Part(80_000, 40, 350_000),
        )
        .with(|capture| {
            capture
                .slow_requests
                .push(ended(2, Op::Read, (START, START + 6 * SECOND)));
        });
    let verdict = judged(&builder.capture()).verdict;
    assert_eq!(verdict.kind, Kind::HostTrim, "{verdict:#?}");
    assert_eq!(verdict.culprits[0].origin, Some(Origin::FilesystemTrim));
}

#[test]
fn a_server_in_user_space_is_upstream_storage() {
    let builder = host(2).with(|capture| {
        slept(capture, 0, 2, (SECOND, 9 * SECOND), None);
        slept(capture, 1, 1, (SECOND, 2 * SECOND), None);
    });
    let verdict = judged(&builder.capture()).verdict;
    assert_eq!(
        (verdict.kind, verdict.confidence),
        (Kind::UpstreamStorage, Some(Confidence::High)),
        "{verdict:#?}"
    );
}

fn any_sleeps() -> impl Strategy<Value = Vec<(u32, u64, usize, Option<u32>)>> {
    let one = (0..5u32, 1..900u64, 0..3usize, prop::option::of(0..7u32));
    prop::collection::vec(one, 1..60)
}

proptest! {
    #[test]
    fn chains_sum_to_the_time_slept_for_locks(sleeps in any_sleeps()) {
        let mut now = BTreeMap::<u32, u64>::new();
        let mut slept_for_locks = BTreeMap::<u32, u64>::new();
        let builder = host(5).with(|capture| {
            for (task, length, stack, waker) in sleeps {
                let from = *now.entry(task).or_insert(u64::from(task));
                let to = (from + length * MS).min(60 * SECOND);
                slept(capture, task, stack, (from, to), waker.filter(|id| *id != task));
                now.insert(task, to + u64::from(task) * MS);
                if stack == 0 {
                    *slept_for_locks.entry(1_000 + task).or_default() += to - from;
                }
            }
        });
        let mut sums = BTreeMap::<u32, u64>::new();
        for chain in analyze(&builder.capture()).chains {
            prop_assert!(chain.links.len() <= 9);
            prop_assert!(chain.longest_ns <= chain.waited_ns);
            *sums.entry(chain.links[0].pid).or_default() += chain.waited_ns;
        }
        prop_assert_eq!(sums, slept_for_locks);
    }
}
