//! Signals at any point of a run, one and several: there is a report, and the exit code says so.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use stall_tests::spawned::{state, wait_until};
use stall_tests::watching::wait_until_watching;

use crate::harness::agent::{Agent, Tracing};
use crate::harness::note;
use crate::harness::test::Test;

pub(crate) const TESTS: &[Test] = &[
    Test::new("one_while_it_attaches_gives_a_report", attaching),
    Test::new("many_while_it_attaches_give_a_report", bombarded),
    Test::new("two_while_it_finishes_change_nothing", finishing),
    Test::new("a_pipe_signal_changes_nothing", pipe),
    Test::new("a_stop_while_it_attaches_is_no_failure", stopped),
];

const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
const WITHIN: Duration = Duration::from_secs(20);
/// From when it listens until it watches takes some 200 ms.
const POINTS: u64 = 30;
const STEP: Duration = Duration::from_millis(10);

/// Check that a signal, sent at many moments from when it listens to signals until it watches, ends a window that was
/// opened, with a report: none of them breaks the loading of the programs, and none is lost.
fn attaching() -> Result<()> {
    for point in 0..POINTS {
        let signal = ENDING[point as usize % ENDING.len()];
        let tracing = listening()?;
        thread::sleep(STEP * point as u32);
        tracing.signal(signal)?;
        report(tracing).with_context(|| format!("{signal}, {:?} later", STEP * point as u32))?;
    }
    Ok(())
}

/// Check the same of signals that do not stop coming.
fn bombarded() -> Result<()> {
    let tracing = listening()?;
    let mut sent = 0;
    let begin = Instant::now();
    let ended = wait_until(WITHIN, || {
        let signal = ENDING[sent % ENDING.len()];
        sent += 1;
        tracing.signal(signal).is_err() || ended(tracing.pid())
    });
    note!("{sent} signals in {:?}", begin.elapsed());
    ensure!(ended, "it does not end");
    ensure!(sent > 20, "no trap was set: only {sent} signals were sent");
    report(tracing)
}

/// Check that signals after the one that ends the window, while the report is made and written, do not cost it.
fn finishing() -> Result<()> {
    for milliseconds in [0, 1, 2, 5, 10, 20, 40, 60, 80, 100] {
        let tracing = Agent::everywhere().start()?;
        tracing.signal(Signal::SIGINT)?;
        for signal in ENDING {
            thread::sleep(Duration::from_millis(milliseconds));
            tracing.signal(signal)?;
        }
        report(tracing).with_context(|| format!("{milliseconds} ms later"))?;
    }
    Ok(())
}

/// Check that SIGPIPE, at any point, does not even end the window. Rust's runtime keeps it away before `main` begins; until then,
/// between exec and that, it ends any program.
fn pipe() -> Result<()> {
    let tracing = Agent::everywhere().with("--duration", "600ms").spawn()?;
    let pid = tracing.pid();
    let ignores = wait_until(WITHIN, || {
        signals(pid, "SigIgn").is_some_and(|set| set & bit(libc::SIGPIPE) != 0)
    });
    ensure!(ignores, "it does not ignore the signal");
    while !ended(tracing.pid()) {
        tracing.signal(Signal::SIGPIPE)?;
        thread::sleep(Duration::from_millis(5));
    }
    let trace = tracing.finish()?;
    ensure!(!trace.capture.window.interrupted, "it was interrupted");
    Ok(())
}

/// Check that being stopped again and again, which nothing can keep away, does not make the loading fail either.
fn stopped() -> Result<()> {
    let tracing = listening()?;
    let pid = tracing.pid();
    // With ever more time in between, so that it gets on.
    let mut stops = 0;
    while !ended(pid) && !wait_until_watching(pid, Duration::from_millis(1 << (stops / 2))) {
        tracing.signal(Signal::SIGSTOP)?;
        tracing.signal(Signal::SIGCONT)?;
        stops += 1;
    }
    note!("{stops} stops");
    ensure!(stops > 5, "no trap was set: {stops} stops");
    tracing.signal(Signal::SIGINT)?;
    report(tracing)
}

/// One that has said to the kernel that it wants to hear of signals, and attaches.
fn listening() -> Result<Tracing> {
    let tracing = Agent::everywhere().spawn()?;
    let pid = tracing.pid();
    let listens = wait_until(WITHIN, || {
        signals(pid, "SigCgt").is_some_and(|set| set & ALL == ALL)
    });
    ensure!(listens, "it does not listen to signals");
    Ok(tracing)
}

/// Bits of the three in a set of signals.
const ALL: u64 = bit(libc::SIGINT) | bit(libc::SIGTERM) | bit(libc::SIGHUP);

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// A set of signals of a process, by its name in `/proc/PID/status`.
fn signals(pid: Pid, set: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(set)?.strip_prefix(':'))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn ended(pid: Pid) -> bool {
    matches!(state(pid), None | Some('Z'))
}

/// What it saw is whole, and it says that it was interrupted.
fn report(tracing: Tracing) -> Result<()> {
    let trace = tracing.finish()?;
    ensure!(
        trace.report.window.interrupted,
        "the report does not say that it was interrupted"
    );
    Ok(())
}
