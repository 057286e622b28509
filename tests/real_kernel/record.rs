//! The recorder on the real kernel: a stall is cut out whole, with what was before and after it, and told in a line.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use stall_agent::capture::{Packed, Use, is_waited_for};
use stall_tests::scratch::Scratch;
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::spawned::{Spawned, wait_until};
use stall_tests::staged::StagedDisk;
use stall_tests::watching::wait_until_watching;

use crate::harness::agent::program;
use crate::harness::load::Load;
use crate::harness::test::Test;

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_stall_is_cut_with_what_was_before_and_after", stall),
    Test::new("a_request_that_hangs_is_told_before_it_ends", stuck),
    Test::new(
        "a_second_recorder_and_a_cut_without_one_are_refused",
        refused,
    ),
    Test::new("killed_it_leaves_nothing_half_written", killed),
];

/// Of `stall-agent --help`.
const RECORDER: i32 = 24;
const SOON: Duration = Duration::from_secs(20);
/// A minute of calm, and what it takes to judge.
const CALM: Duration = Duration::from_secs(120);

/// A recorder of one disk, in memory.
struct Recording {
    process: Spawned,
    folder: Scratch,
}

impl Recording {
    fn of(disk: &StagedDisk) -> Result<Self> {
        let folder = Scratch::below(Path::new("/dev/shm"))?;
        let mut command = Command::new(program()?);
        command
            // A disk of the tests is slower than that when the machine is busy.
            .args(["record", "--quiet", "--slow", "200ms"])
            .args(["--device", disk.name(), "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = Spawned::start(&mut command)?;
        ensure!(
            wait_until_watching(process.pid(), SOON),
            "it does not watch"
        );
        Ok(Self { process, folder })
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("incidents.jsonl"));
        let text = text.unwrap_or_default();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn line_with(&self, within: Duration, state: &str) -> Result<Value> {
        let found = || self.lines().into_iter().find(|line| line["state"] == state);
        ensure!(
            wait_until(within, || found().is_some()),
            "no incident is {state} after {within:?}: {:?}",
            self.lines()
        );
        found().context("it is gone again")
    }

    fn end(mut self) -> Result<()> {
        self.process.signal(Signal::SIGTERM)?;
        let status = self.process.wait_within(SOON)?;
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

fn disk() -> Result<StagedDisk> {
    StagedDisk::builder()
        .size(256 << 20)
        .delay(Op::Read, Delay::constant(1_000))
        .start()
}

/// Reads one after the other.
fn reader(disk: &StagedDisk) -> Result<Load> {
    let steps = ["read:0:4096:64:4096"];
    Load::start_for("database", &disk.device(), &steps, Duration::from_secs(150))
}

/// Check that a disk that stands still for 3 s, after 20 s of load, is one incident: with its time, who waited, the seconds before
/// and the minute after, a report that carries its capture, and requests that add up to what the reader did meanwhile.
fn stall() -> Result<()> {
    let disk = disk()?;
    let recording = Recording::of(&disk)?;
    let load = reader(&disk)?;
    thread::sleep(Duration::from_secs(20));
    let frozen = disk.control().freeze();
    thread::sleep(Duration::from_secs(3));
    drop(frozen);
    let line = recording.line_with(CALM, "ended")?;
    drop(load);
    ensure!(recording.lines().len() == 1, "{:?}", recording.lines());
    let (from, to) = (time(&line, "from")?, time(&line, "to")?);
    let (began, ended) = (time(&line, "began")?, time(&line, "ended")?);
    // On a busy machine another request may be slow within the seconds that are judged.
    ensure!((1.5..60.0).contains(&(ended - began)), "{line}");
    let lost_ns = line["lost_ns"].as_f64().unwrap_or(0.0);
    ensure!((1.5e9..30e9).contains(&lost_ns), "{line}");
    ensure!(began - from >= 15.0 && to - ended >= 59.0, "{line}");
    ensure!(line["victims"][0]["name"] == "database", "{line}");
    ensure!(
        line["kind"] != "no_stall" && line["device"] == disk.name(),
        "{line}"
    );
    let file = line["file"].as_str().context("it has a file")?;
    let text = fs::read_to_string(recording.folder.path().join(file))?;
    let report: Value = serde_json::from_str(&text)?;
    ensure!(report["verdict"]["sentence"] == line["sentence"], "{line}");
    let packed: Packed = serde_json::from_value(report["capture"].clone())?;
    let capture = packed.capture()?;
    let reads = |row: &&Use| is_waited_for(row.op);
    let ops: u64 = capture.uses.iter().filter(reads).map(|row| row.ops).sum();
    let by_interval: u64 = capture
        .intervals
        .iter()
        .flat_map(|interval| &interval.uses)
        .filter(|row| is_waited_for(row.op))
        .map(|row| row.ops)
        .sum();
    ensure!(ops == by_interval && ops > 1_000, "{ops} and {by_interval}");
    recording.end()
}

/// Check that a read that does not end is told of while it does not, within 15 s, and that the end of the recorder leaves the incident
/// as it was then.
fn stuck() -> Result<()> {
    let disk = disk()?;
    let recording = Recording::of(&disk)?;
    disk.control().hang(Op::Read, Some(1))?;
    let load = reader(&disk)?;
    let line = recording.line_with(Duration::from_secs(15), "open")?;
    let triggers = line["triggers"].as_array().cloned().unwrap_or_default();
    ensure!(triggers.contains(&"stuck_long".into()), "{line}");
    ensure!(line["file"].is_string(), "{line}");
    let folder = recording.folder.path().to_owned();
    let (mut process, kept) = (recording.process, recording.folder);
    process.signal(Signal::SIGTERM)?;
    process.wait_within(SOON)?;
    disk.control().release(None)?;
    drop(load);
    let text = fs::read_to_string(folder.join("incidents.jsonl"))?;
    ensure!(
        text.lines().count() == 1 && text.contains("\"cut_short\""),
        "{text}"
    );
    drop(kept);
    Ok(())
}

/// Check that there is one recorder for a directory, and that `cut` says so when there is none.
fn refused() -> Result<()> {
    let disk = disk()?;
    let recording = Recording::of(&disk)?;
    let run = |words: &[&str]| {
        let mut command = Command::new(program()?);
        command
            .args(words)
            .arg("--dir")
            .arg(recording.folder.path());
        anyhow::Ok(command.output()?)
    };
    let second = run(&["record", "--device", disk.name()])?;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(second.status.code() == Some(RECORDER), "{said}");
    ensure!(said.contains("another recorder"), "{said}");
    ensure!(run(&["cut"])?.status.success());
    recording.line_with(SOON, "open")?;
    let listed = run(&["incidents"])?;
    let said = String::from_utf8_lossy(&listed.stdout).into_owned();
    ensure!(said.contains("under way"), "{said}");
    let (mut process, kept) = (recording.process, recording.folder);
    process.signal(Signal::SIGTERM)?;
    process.wait_within(SOON)?;
    let mut command = Command::new(program()?);
    let without = command.arg("cut").arg("--dir").arg(kept.path()).output()?;
    ensure!(without.status.code() == Some(RECORDER));
    Ok(())
}

/// Check that a recorder that is killed again and again while it writes leaves whole files only, and that the next one begins with
/// what there was.
fn killed() -> Result<()> {
    let disk = disk()?;
    let folder = Scratch::below(Path::new("/dev/shm"))?;
    for round in 0..5u64 {
        let mut command = Command::new(program()?);
        command
            .args(["record", "--quiet", "--device", disk.name(), "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null());
        let mut process = Spawned::start(&mut command)?;
        ensure!(
            wait_until_watching(process.pid(), SOON),
            "it does not watch"
        );
        process.signal(Signal::SIGUSR1)?;
        // From before it is written to after.
        thread::sleep(Duration::from_millis(900 + 150 * round));
        process.signal(Signal::SIGKILL)?;
        process.wait_within(SOON)?;
    }
    thread::sleep(Duration::from_secs(1));
    for entry in folder.path().read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path())?;
        match name.as_str() {
            ".lock" => {}
            "incidents.jsonl" => {
                for line in text.lines() {
                    serde_json::from_str::<Value>(line).with_context(|| format!("`{line}`"))?;
                }
            }
            _ => {
                ensure!(name.ends_with(".json"), "{name} is left");
                serde_json::from_str::<Value>(&text).with_context(|| name.clone())?;
            }
        }
    }
    Ok(())
}

fn time(line: &Value, field: &str) -> Result<f64> {
    let text = line[field].as_str().context("it is a time")?;
    let time = humantime::parse_rfc3339(text)?;
    Ok(time.duration_since(std::time::UNIX_EPOCH)?.as_secs_f64())
}
