//! The whole of it: the verdict of the demo's incident, and of what only looks like it.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::Capture;
use stall_agent::report::Report;
use stall_agent::report::model::{Confidence, Kind, Verdict};
use stall_tests::incident::options::Options;
use stall_tests::incident::{self, Outcome};
use stall_tests::scratch::Scratch;
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::staged::trim::trim;
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::{self, Agent};
use crate::harness::compare::traced;
use crate::harness::document;
use crate::harness::load::Load;
use crate::harness::seen::Trace;
use crate::harness::test::Test;
use crate::harness::{between, note};

pub(crate) const TESTS: &[Test] = &[
    Test::new("the_demo_names_fstrim_and_who_waited", demo),
    Test::new("a_harmless_trim_is_acquitted", harmless),
    Test::new("a_slow_disk_is_not_the_trims_fault", slow_disk),
    Test::new("an_idle_disk_has_no_stall", quiet),
];

const MS: u64 = 1_000_000;

/// Check that the verdict of the demo's incident names the fstrim process, its disk, the filesystem
/// and those who waited, with fstrim's time in D from before the trace.
fn demo() -> Result<()> {
    let folder = Scratch::new()?;
    let path = |name: &str| folder.path().join(name);
    let options = Options {
        agent: agent::program()?,
        output: path("report"),
        duration: "8s".to_owned(),
        rest: ["--quiet", "--capture"]
            .map(str::to_owned)
            .into_iter()
            .chain([path("capture").display().to_string()])
            .collect(),
    };
    match incident::run(&options)? {
        Outcome::Traced(status) => ensure!(status.success(), "the agent: {status}"),
        Outcome::Interrupted(signal) => anyhow::bail!("interrupted by {signal}"),
    }
    let json = document::one(&fs::read_to_string(path("report"))?)?;
    ensure!(
        document::analyzed(&path("capture"))? == json,
        "`analyze` gives another report"
    );
    Capture::read(File::open(path("capture"))?)?;
    let report: Report = serde_json::from_value(json)?;
    note!("{}", report.verdict.sentence);
    names_everything(&report)
}

fn names_everything(report: &Report) -> Result<()> {
    let verdict = &report.verdict;
    ensure!(
        verdict.kind == Kind::HostTrim,
        "{:?}: {}",
        verdict.kind,
        verdict.sentence
    );
    ensure!(verdict.stalled == Some(true), "nothing is said to be slow");
    ensure!(
        verdict.confidence >= Some(Confidence::Medium),
        "{:?}",
        verdict.confidence
    );
    let culprit = verdict.culprits.first().context("there is no culprit")?;
    let process = culprit
        .process
        .as_ref()
        .context("the culprit is no process")?;
    ensure!(process.comm == "fstrim", "the culprit is {}", culprit.label);
    let sleep = culprit.sleep.as_ref().context("the culprit was not in D")?;
    between(
        "fstrim's time in D before the trace",
        sleep.before_ns,
        &(3_500 * MS..9_000 * MS),
    )?;
    let device = report
        .devices
        .iter()
        .find(|device| Some(&device.id) == verdict.device.as_ref());
    let mounts = &device
        .context("the verdict's device is not in the report")?
        .mounts;
    let trimmed = mounts
        .iter()
        .find(|mount| verdict.mount_points.contains(&mount.mount_point));
    let trimmed = trimmed.context("no filesystem is named")?;
    ensure!(
        trimmed.filesystem == "ext4",
        "{} was trimmed",
        trimmed.filesystem
    );
    let argument = process.args.last().map(String::as_str);
    ensure!(
        argument == Some(trimmed.mount_point.as_str()),
        "fstrim trimmed {argument:?}"
    );
    for victim in ["etcd", "postgres"] {
        let mut waiters = verdict.waiters.iter();
        ensure!(
            waiters.any(|waiter| waiter.label.starts_with(victim)),
            "{victim} is not named"
        );
    }
    ensure!(!verdict.advice.is_empty(), "nothing is advised");
    Ok(())
}

/// A reader, and a trim in the middle of its time.
fn reader_and_trim(disk: &StagedDisk) -> Result<Trace> {
    let file = disk.mount().join("table");
    write_table(&file)?;
    nix::unistd::sync();
    let steps = ["read:0:4096:10:65536", "sleep:5"];
    let act = || {
        let reader = Load::start_for("reader", &file, &steps, Duration::from_secs(4))?;
        std::thread::sleep(Duration::from_millis(1500));
        trim(disk)?;
        reader.wait()
    };
    let (trace, counted, _) = traced(disk, &Agent::on(disk), act)?;
    note!(
        "the kernel counted {counted}; {}",
        trace.report.verdict.sentence
    );
    ensure!(
        counted.discards.ios > 10,
        "fstrim sent no discards: no trap was set"
    );
    Ok(trace)
}

fn write_table(file: &Path) -> Result<()> {
    fs::write(file, vec![3; 1 << 20]).context("writing what is to be read")
}

fn is_not_the_trim(verdict: &Verdict) -> Result<()> {
    ensure!(
        verdict.kind != Kind::HostTrim,
        "acquitted it should be: {}",
        verdict.sentence
    );
    ensure!(
        verdict.culprits.is_empty(),
        "a culprit is named: {:?}",
        verdict.culprits
    );
    Ok(())
}

/// Check that a trim whose discards take no time, beside a reader whose reads do not either, is no
/// stall.
fn harmless() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(4 << 30)
        .delay(Op::Read, Delay::constant(200))
        .delay(Op::Discard, Delay::constant(1_000))
        .start()?;
    let trace = reader_and_trim(&disk)?;
    is_not_the_trim(&trace.report.verdict)?;
    let kind = trace.report.verdict.kind;
    ensure!(
        kind == Kind::NoStall,
        "{kind:?}: {}",
        trace.report.verdict.sentence
    );
    Ok(())
}

/// Check that where every read is slow, a trim whose discards take no time is not blamed.
fn slow_disk() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(4 << 30)
        .delay(Op::Read, Delay::constant(30_000))
        .delay(Op::Discard, Delay::constant(1_000))
        .start()?;
    let trace = reader_and_trim(&disk)?;
    ensure!(
        trace.report.verdict.stalled == Some(true),
        "the disk is not said to be slow"
    );
    is_not_the_trim(&trace.report.verdict)
}

/// Check that nothing is made of a disk that nobody uses.
fn quiet() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let agent = Agent::on(&disk).with("--duration", "1s");
    let trace = agent.start()?.finish()?;
    let verdict = &trace.report.verdict;
    ensure!(
        verdict.kind == Kind::NoStall,
        "{:?}: {}",
        verdict.kind,
        verdict.sentence
    );
    is_not_the_trim(verdict)
}
