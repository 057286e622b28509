//! Programs that the kernel refuses: a required one ends the run with a sentence, an optional one is told as a gap.

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::{HookState, Op as Seen};
use stall_agent::failure::code;
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::load::Load;
use crate::harness::same;
use crate::harness::test::Test;

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_required_program_that_is_refused_ends_it", required),
    Test::new("an_optional_one_that_is_refused_is_a_gap", optional),
];

/// Check that there is one sentence, which names the program and what the kernel objects to, and the exit code for it.
fn required() -> Result<()> {
    let agent = Agent::everywhere().without(&["true_request_start"]);
    let (status, said) = agent.spawn()?.give_up()?;
    ensure!(
        status == Some(code::LOAD_REFUSED.into()),
        "{status:?}: {said}"
    );
    same("lines", said.lines().count() as u64, 1)?;
    let sentence = "the kernel refused the program block_";
    ensure!(
        said.contains(sentence) && said.contains("Permission denied"),
        "it says {said}"
    );
    Ok(())
}

/// Check that the trace goes on, counts what it can, and says what it lacks and why.
fn optional() -> Result<()> {
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    let tracing = Agent::on(&disk).without(&["true_last_run"]).start()?;
    Load::run("reader", &disk.device(), &["read:0:4096:64"])?;
    let trace = tracing.stop()?;
    same("reads", trace.ops(&disk, Seen::Read), 64)?;
    let mut hooks = trace.capture.hooks.iter();
    let hook = hooks.find(|hook| hook.program == "d_tasks");
    let hook = hook.context("the iterator is not told")?;
    ensure!(hook.state == HookState::Failed, "{hook:?}");
    let mut gaps = trace.report.coverage_gaps.iter();
    let gap = gaps.find(|gap| gap.of == "task").context("it is no gap")?;
    ensure!(
        gap.reason.contains("refused") && gap.lack.contains("tasks in D"),
        "{gap:?}"
    );
    same(
        "looks that failed",
        trace.lost("task_iterations_failed")?,
        0,
    )
}
