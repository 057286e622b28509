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
mod disks;
mod documents;
mod fault;
mod flush;
mod full;
mod harness;
mod incident;
mod leftovers;
mod live;
mod lock;
mod machine;
mod mix;
mod names;
mod older;
mod ops;
mod owner;
mod privilege;
mod queue;
mod record;
mod scenario;
mod service;
mod stacking;
mod submitter;
mod survive;
mod unfinished;
mod waits;

use std::process::ExitCode;

use harness::test::Test;
use libtest_mimic::{Arguments, Trial};
use nix::sys::resource::{Resource, setrlimit};

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
    ("waits", waits::TESTS),
    ("older", older::TESTS),
    ("names", names::TESTS),
    ("stacking", stacking::TESTS),
    ("machine", machine::TESTS),
    ("owner", owner::TESTS),
    ("disks", disks::TESTS),
    ("full", full::TESTS),
    ("documents", documents::TESTS),
    ("leftovers", leftovers::TESTS),
    ("privilege", privilege::TESTS),
    ("survive", survive::TESTS),
    ("fault::maps", fault::maps::TESTS),
    ("fault::owners", fault::owners::TESTS),
    ("fault::messages", fault::messages::TESTS),
    ("fault::attach", fault::attach::TESTS),
    ("fault::clock", fault::clock::TESTS),
    ("fault::devices", fault::devices::TESTS),
    ("fault::output", fault::output::TESTS),
    ("fault::resources", fault::resources::TESTS),
    ("fault::signals", fault::signals::TESTS),
    ("fault::soak", fault::soak::TESTS),
    ("live", live::TESTS),
    ("record", record::TESTS),
    ("incident", incident::TESTS),
];

/// Names the variable by which those are run, too, that are for the full form of the tests only: the mixes, of which a scenario for
/// each verdict says most, and what the handed-out agent costs.
const FULL: &str = "STALL_FULL";

fn main() -> ExitCode {
    if let Some(code) = harness::kept_back::run() {
        return code;
    }
    without_cores();
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    if arguments.nocapture {
        harness::notes::want_notes();
    }
    libtest_mimic::run(&arguments, trials()).exit_code()
}

/// An agent that is ended as by an internal error is to be gone, not to be written to a disk.
fn without_cores() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        eprintln!("cores may be left: {error}");
    }
}

/// Each in every round.
fn scenarios() -> impl Iterator<Item = Test> {
    let rounds = 0..harness::round::wanted();
    rounds.flat_map(|round| {
        let tests = scenario::TESTS.iter().copied().flatten();
        tests.map(move |test| test.in_round(round))
    })
}

fn trials() -> Vec<Trial> {
    let tests = |(topic, tests): &(&str, &[Test])| {
        let trials = tests.iter().map(|test| test.trial(topic));
        trials.collect::<Vec<_>>()
    };
    let mut trials: Vec<Trial> = TOPICS.iter().flat_map(tests).collect();
    trials.extend(scenarios().map(|test| test.trial("scenario")));
    let long = [("cost", cost::TESTS), ("mix", mix::TESTS)];
    let long = long.iter().flat_map(|(topic, tests)| {
        let tests = tests.iter().map(|test| test.only_with(FULL));
        tests.map(|test| test.trial(topic))
    });
    trials.extend(long);
    trials
}
