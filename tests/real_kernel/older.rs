//! Kernels that tell less than this one: what the agent then does without, and says that it does.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::{HookState, Op as Seen};
use stall_agent::failure::code;
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::kept_back::{OPTIONAL, SINCE_5_10, SINCE_5_14};
use crate::harness::load::Load;
use crate::harness::seen::Trace;
use crate::harness::test::Test;
use crate::harness::{between, same};
use crate::submitter;

pub(crate) const TESTS: &[Test] = &[
    Test::new("reads_as_on_5_14", || reads(&SINCE_5_14)),
    Test::new("fstrim_as_on_5_14", || {
        trim(|disk| Agent::on(disk).without(&SINCE_5_14))
    }),
    Test::new("reads_as_on_5_10", || reads(&SINCE_5_10)),
    Test::new("fstrim_as_on_5_10", || {
        trim(|disk| Agent::on(disk).without(&SINCE_5_10))
    }),
    Test::new("what_is_optional_is_null_and_named", all_at_once),
    Test::new("each_optional_thing_can_be_missing_alone", one_by_one),
    Test::new("what_is_required_ends_it_with_a_sentence", required),
];

const READS: u64 = 60;
const READ_US: u64 = 3_000;

fn slow_to_read() -> Result<StagedDisk> {
    StagedDisk::builder()
        .size(1 << 30)
        .delay(Op::Read, Delay::constant(READ_US))
        .start()
}

/// What is not covered, by name.
fn gaps(trace: &Trace) -> BTreeSet<&str> {
    let gaps = trace.report.coverage_gaps.iter();
    gaps.map(|gap| gap.of.as_str()).collect()
}

fn runs(trace: &Trace, program: &str) -> bool {
    let mut hooks = trace.capture.hooks.iter();
    hooks.any(|hook| hook.program == program && hook.state == HookState::Attached)
}

/// Check that the stand-ins see every request, what it asks for, who submits it, and that he waits in D.
fn reads(kept_back: &[&'static str]) -> Result<()> {
    let disk = slow_to_read()?;
    let steps = ["read:0:4096:60:8192", "write:0:8192:4", "sync:3"];
    let act = || Load::run("old-reader", &disk.device(), &steps);
    let agent = Agent::on(&disk).without(kept_back);
    let (trace, counted, done) = traced(&disk, &agent, act)?;
    for program in ["block_getrq", "block_rq_insert", "sched_switch_three"] {
        ensure!(runs(&trace, program), "{program} does not run");
    }
    for program in ["block_io_start", "sched_switch"] {
        ensure!(!runs(&trace, program), "{program} runs");
    }
    equals_kernel(&trace, &disk, &counted)?;
    let used = trace.use_of(&disk, done.pid, Seen::Read)?;
    same("reads of who reads", used.ops, READS)?;
    for (op, ops) in [(Seen::Write, 4), (Seen::Preflush, 3)] {
        let used = trace.use_of(&disk, done.pid, op)?;
        same(&format!("{op:?} of who reads"), used.ops, ops)?;
    }
    let asleep = trace
        .blocked(done.pid)
        .iter()
        .map(|row| row.blocked_ns)
        .sum();
    let waited = READS * READ_US * 1000;
    between("time in D", asleep, &(waited / 2..waited * 3))?;
    let gaps = gaps(&trace);
    ensure!(gaps.iter().eq(&["lock_holder"]), "not covered: {gaps:?}");
    Ok(())
}

/// Check that discards are fstrim's, and a trim.
fn trim(agent: fn(&StagedDisk) -> Agent) -> Result<()> {
    submitter::trimmed(FileSystem::Ext4, agent).map(drop)
}

/// Check that without anything that is optional requests are counted as the kernel counts them, that what is not known is
/// `null`, and that there is a line for each.
fn all_at_once() -> Result<()> {
    let disk = slow_to_read()?;
    let act = || Load::run("reader", &disk.device(), &["read:0:4096:60:8192"]);
    let agent = Agent::on(&disk).without(&OPTIONAL);
    let (trace, counted, done) = traced(&disk, &agent, act)?;
    equals_kernel(&trace, &disk, &counted)?;
    let read = trace.operation(&disk, Seen::Read)?;
    let events = &read.events;
    ensure!(
        (events.requeues, events.merges, events.older_requests) == (None, None, None),
        "what nobody counted is {events:?}"
    );
    ensure!(
        events.errors == 0 && read.ops == READS,
        "{} reads",
        read.ops
    );
    let mut intervals = trace.report.intervals.iter();
    ensure!(
        intervals.all(|interval| interval.blocked_tasks.is_none()),
        "nobody looked at tasks in D"
    );
    let slowest = trace.report.requests.slowest.iter();
    ensure!(
        slowest.clone().all(|request| request.requeues.is_none()),
        "requeues of single requests"
    );
    let pid = done.pid.as_raw().cast_unsigned();
    let is_it = |process: &&stall_agent::report::model::Process| process.pid == pid;
    let actors = trace.report.actors.iter();
    let actor = actors
        .clone()
        .find(|actor| actor.process.as_ref().filter(is_it).is_some());
    let actor = actor.context("the reader is no actor")?;
    ensure!(
        actor.uses.iter().all(|used| used.owners.is_none()),
        "control groups"
    );
    let ended = actor
        .process
        .as_ref()
        .and_then(|process| process.exited.as_ref());
    ensure!(ended.is_none(), "nobody saw it end");
    same("failed looks", trace.lost("task_iterations_failed")?, 0)?;
    let expected = BTreeSet::from(OPTIONAL);
    let gaps = gaps(&trace);
    ensure!(gaps == expected, "not covered: {gaps:?}");
    Ok(())
}

/// Check that the kernel takes the programs without each of these, and that it alone is named.
fn one_by_one() -> Result<()> {
    let disk = slow_to_read()?;
    for thing in OPTIONAL {
        let trace = Agent::on(&disk).without(&[thing]).start()?.stop()?;
        let expected = match thing {
            "request_start" => BTreeSet::from([thing, "requests_before"]),
            _ => BTreeSet::from([thing]),
        };
        let gaps = gaps(&trace);
        ensure!(gaps == expected, "without {thing}, not covered: {gaps:?}");
    }
    Ok(())
}

/// Check that nothing is loaded without what is required.
fn required() -> Result<()> {
    for hook in ["block_rq_issue", "block_rq_complete", "sched_waking"] {
        let (status, said) = Agent::everywhere().without(&[hook]).spawn()?.give_up()?;
        ensure!(
            status == Some(code::HOOK_MISSING.into()),
            "{hook}: {status:?}"
        );
        ensure!(
            said.contains(hook) && said.lines().count() == 1,
            "it says {said}"
        );
    }
    Ok(())
}
