//! Tests on the real kernel: the real agent, real processes, a disk that is as slow as it is told.
//!
//! Contract: one test at a time, as each measures the machine; each compares what the agent saw
//! with a witness that does not know the agent (the kernel's counters, the disk's log, fio, /proc);
//! each looks only at its own disk and processes. What this machine cannot show is ignored, with
//! the reason. `--nocapture` shows what was measured. The agent is `$STALL_AGENT_BIN`.

mod before;
mod blocked;
mod cost;
mod counts;
mod discard_clock;
mod documents;
mod flush;
mod full;
mod harness;
mod incident;
mod leftovers;
mod lock;
mod names;
mod ops;
mod owner;
mod queue;
mod scenario;
mod service;
mod stacking;
mod submitter;
mod unfinished;

use std::process::ExitCode;

use harness::test::Test;
use libtest_mimic::{Arguments, Trial};

const TOPICS: &[(&str, &[Test])] = &[
    ("counts", counts::TESTS),
    ("ops", ops::TESTS),
    ("flush", flush::TESTS),
    ("queue", queue::TESTS),
    ("service", service::TESTS),
    ("submitter", submitter::TESTS),
    ("discard_clock", discard_clock::TESTS),
    ("blocked", blocked::TESTS),
    ("lock", lock::TESTS),
    ("before", before::TESTS),
    ("unfinished", unfinished::TESTS),
    ("names", names::TESTS),
    ("stacking", stacking::TESTS),
    ("owner", owner::TESTS),
    ("full", full::TESTS),
    ("cost", cost::TESTS),
    ("documents", documents::TESTS),
    ("leftovers", leftovers::TESTS),
    ("incident", incident::TESTS),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    if arguments.nocapture {
        harness::test::want_notes();
    }
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let tests = |(topic, tests): &(&str, &[Test])| {
        let trials = tests.iter().map(|test| test.trial(topic));
        trials.collect::<Vec<_>>()
    };
    let mut trials: Vec<Trial> = TOPICS.iter().flat_map(tests).collect();
    let scenarios = scenario::TESTS.iter().copied().flatten();
    trials.extend(scenarios.map(|test| test.only_if(scenario::WANTED).trial("scenario")));
    trials
}
