//! A long run under full load: does what the agent takes stay the same, and does it lose anything?
//!
//! Contract: disks of its own, staged and taken down; the agent is a process like any other, judged by what `/proc` says of it and
//! by its own report.

mod load;
pub mod options;
mod outcome;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use self::load::Load;
pub use self::options::Options;
pub use self::outcome::{Outcome, Sample};
use crate::scratch::Scratch;
use crate::slow_disk::{Delay, Op};
use crate::spawned::Spawned;
use crate::staged::StagedDisk;
use crate::watching::wait_until_watching;

const WATCHING_WITHIN: Duration = Duration::from_secs(20);
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// Samples of a run, so that a short one has as many as a long one.
const SAMPLES: u32 = 60;

/// Loads the machine, has the agent trace it, and says what became of both.
pub fn run(options: &Options) -> Result<Outcome> {
    let disk = StagedDisk::builder()
        .size(1 << 30)
        .delay(Op::Read, Delay::uniform(200, 4_000))
        .delay(Op::Write, Delay::uniform(200, 4_000))
        .delay(Op::Discard, Delay::constant(20_000))
        .start()?;
    let folder = Scratch::new()?;
    let report = folder.path().join("report.json");
    let mut command = Command::new(&options.agent);
    command
        .args(["trace", "--quiet", "--output"])
        .arg(&report)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut agent = Spawned::start(&mut command)?;
    ensure!(
        wait_until_watching(agent.pid(), WATCHING_WITHIN),
        "the agent does not watch"
    );
    let load = Load::start(&disk, options.duration)?;
    let samples = sampled(&agent, options.duration)?;
    let done = load.stop()?;
    agent.signal(nix::sys::signal::Signal::SIGINT)?;
    let status = agent.wait_within(ENDED_WITHIN)?;
    ensure!(status.success(), "the agent: {status}");
    let text = fs::read_to_string(&report).context("reading the report")?;
    Outcome::new(samples, done, &text)
}

fn sampled(agent: &Spawned, duration: Duration) -> Result<Vec<Sample>> {
    let begin = Instant::now();
    let mut samples = Vec::new();
    for number in 1..=SAMPLES {
        let at = duration * number / SAMPLES;
        std::thread::sleep(at.saturating_sub(begin.elapsed()));
        let sample = Sample::take(agent.pid(), begin.elapsed())?;
        if number % 10 == 0 {
            eprintln!("{sample}");
        }
        samples.push(sample);
    }
    Ok(samples)
}
