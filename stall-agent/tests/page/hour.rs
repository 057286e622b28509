//! An hour at one second, with six disks, forty actors and as many blocked threads: made of a real capture.

use stall_agent::analysis::analyze;
use stall_agent::capture::{
    Actor, Blocked, Capture, EndedSleep, Interval, IntervalDiscards, IntervalSeries, IntervalUse,
    Op, Process, Task, Use,
};
use stall_agent::report::page;

use crate::browser::{Screen, ask};
use crate::pages::capture;

const SECOND: u64 = 1_000_000_000;
const LENGTH: u64 = 3_600;
const DISKS: u16 = 6;
const ACTORS: u32 = 40;

/// Something that goes up and down, not in step for different seeds.
fn wave(second: u64, seed: u64) -> u64 {
    (second * (7 + seed % 5) + seed * 131).wrapping_mul(2_654_435_761) >> 7 & 0xff
}

fn interval(start_ns: u64, second: u64) -> Interval {
    let start_ns = start_ns + second * SECOND;
    let disks = 0..DISKS;
    Interval {
        start_ns,
        end_ns: start_ns + SECOND,
        series: disks
            .clone()
            .flat_map(|disk| [Op::Read, Op::Write, Op::Preflush].map(|op| series(disk, op, second)))
            .collect(),
        discards: disks
            .clone()
            .filter(|disk| wave(second / 90, u64::from(*disk)) > 128)
            .map(|disk| IntervalDiscards {
                disk,
                busy_ns: wave(second, u64::from(disk)) * SECOND / 256,
                in_flight: 1,
            })
            .collect(),
        uses: disks
            .flat_map(|disk| (2..ACTORS).map(move |actor| used(disk, actor, second)))
            .collect(),
        disks: Vec::new(),
        blocked_tasks: 3,
    }
}

fn series(disk: u16, op: Op, second: u64) -> IntervalSeries {
    let seed = u64::from(disk) * 10 + op as u64;
    let middle = 16 + wave(second / 40, seed) / 16;
    let buckets = middle..middle + 14;
    let counts = buckets.filter_map(|bucket| {
        let count = wave(second, seed + bucket) * (middle + 14 - bucket);
        u8::try_from(bucket).ok().zip(u32::try_from(count).ok())
    });
    IntervalSeries {
        disk,
        op,
        ops: 1_000,
        bytes: 4_096_000,
        queue_ns: SECOND,
        device_ns: SECOND,
        p50_ns: 300_000,
        p99_ns: 80_000_000,
        total_counts: Some(counts.collect()),
    }
}

fn used(disk: u16, actor: u32, second: u64) -> IntervalUse {
    IntervalUse {
        actor,
        disk,
        op: Op::Write,
        ops: 10,
        bytes: 40_960,
        queue_ns: 1_000,
        device_ns: wave(second / 20, u64::from(actor) + u64::from(disk)) * 1_000_000,
        service_ns: 1_000,
        waited: None,
    }
}

fn hour() -> Capture {
    let mut capture = capture("trim_and_readers");
    let start_ns = capture.window.start_ns;
    capture.window.end_ns = start_ns + LENGTH * SECOND;
    more_disks(&mut capture);
    more_actors(&mut capture);
    more_sleeps(&mut capture, start_ns);
    let seconds = 0..LENGTH;
    capture.intervals = seconds.map(|second| interval(start_ns, second)).collect();
    capture
}

/// All like the first.
fn more_disks(capture: &mut Capture) {
    let first = capture.disks[0].clone();
    let disks = (0..DISKS).map(|number| {
        let mut disk = first.clone();
        (disk.index, disk.name) = (Some(number), format!("nvme{number}n1"));
        disk
    });
    capture.disks = disks.collect();
    capture.series.retain(|row| Some(row.disk) == first.index);
    let of_one = capture.series.clone();
    let rows = (0..DISKS).flat_map(|number| {
        of_one.iter().cloned().map(move |mut row| {
            row.disk = number;
            row
        })
    });
    capture.series = rows.collect();
}

/// Each uses each disk.
fn more_actors(capture: &mut Capture) {
    let first = capture
        .actors
        .iter()
        .find_map(|actor| actor.process.clone());
    let first = first.expect("somebody did something");
    let actors = (2..ACTORS).map(|id| Actor {
        id,
        process: Some(Process {
            pid: 1_000 + id,
            comm: format!("longhorn-{id}"),
            ..first.clone()
        }),
        ..Actor::default()
    });
    capture.actors = actors.collect();
    let some_use = capture.uses[0].clone();
    let pairs = (0..DISKS).flat_map(|disk| (2..ACTORS).map(move |actor| (disk, actor)));
    let uses = pairs.map(|(disk, actor)| Use {
        device_ns: u64::from(ACTORS - actor) * SECOND,
        actor,
        disk,
        ..some_use.clone()
    });
    capture.uses = uses.collect();
}

/// One thread of each, in D every ten seconds.
fn more_sleeps(capture: &mut Capture, start_ns: u64) {
    let stacks = capture.stacks.len().max(1);
    let tasks = capture.actors.iter().map(|actor| Task {
        id: actor.id,
        tid: 1_000 + actor.id,
        comm: "io".to_owned(),
        process: actor.process.clone().unwrap_or_default().into(),
        ..Task::default()
    });
    capture.tasks = tasks.collect();
    let blocked = capture.tasks.iter().map(|task| Blocked {
        task: task.id,
        stack: Some(task.id as usize % stacks),
        killable: false,
        io_wait: None,
        sleeps: LENGTH / 10,
        blocked_ns: LENGTH * SECOND / 3,
        before_ns: 0,
        longest_ns: SECOND,
    });
    capture.blocked = blocked.collect();
    let asleep = |second: u64, task: u32| EndedSleep {
        task,
        stack: Some((task as usize + second as usize / 300) % stacks),
        killable: false,
        io_wait: None,
        start_ns: start_ns + second * SECOND,
        end_ns: start_ns + second * SECOND + wave(second, u64::from(task)) * SECOND / 26,
        waker: None,
    };
    let times = (0..LENGTH).step_by(10);
    let sleeps = times.flat_map(|second| (2..ACTORS).map(move |task| asleep(second, task)));
    capture.long_sleeps = sleeps.collect();
    capture.unfinished_sleeps.clear();
}

pub(crate) fn is_below_two_megabytes() {
    let html = page(&analyze(&hour()));
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    assert!(
        html.contains("20 intervals of 1 s taken together"),
        "the page does not say that it is coarse"
    );
    println!("an hour is {} bytes", html.len());
}

/// A hundred moves of the pointer within four seconds: several times what a quiet machine takes, so that only an order of
/// magnitude fails.
pub(crate) fn is_fluent() -> Result<(), String> {
    let seen = ask(
        &page(&analyze(&hour())),
        Screen::Light,
        "document.querySelectorAll('details.device').forEach((one) => one.open = true);
        const plot = document.querySelector('.heat'), box = plot.getBoundingClientRect();
        const begin = performance.now();
        for (let step = 0; step < 100; step++) {
            plot.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + box.width * step / 100, clientY: box.top + 9 }));
            document.body.getBoundingClientRect();
        }
        return [performance.now() - begin, document.querySelectorAll('*').length, document.querySelectorAll('.heat').length];",
    )?;
    let fluent = seen[0].as_f64().is_some_and(|ms| ms < 4_000.0)
        && seen[1].as_u64().is_some_and(|elements| elements < 30_000)
        && seen[2] == 6;
    if fluent {
        Ok(())
    } else {
        Err(format!("an hour is slow: {seen}"))
    }
}
