//! Plays one mix, with the real agent, and judges what it said.
//!
//! Contract: one disk for the mix, another one for a trim elsewhere; nothing is left behind. The agent is told its
//! disks, so that mixes do not meet.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::plan::{Filler, Pattern, Plan, TrimPlan, User, WINDOW_MS};
use super::truth::{Label, Truth, with_discards};
use crate::block_io::program::Program;
use crate::cgroup::IoGroup;
use crate::clock::{monotonic_ns, sleep_until};
use crate::fio::{Engine, Job, Pattern as Requests, Running};
use crate::scratch::Scratch;
use crate::slow_disk::command::Command as Order;
use crate::slow_disk::{Delay, LockMode, Op, OpLog};
use crate::spawned::Spawned;
use crate::staged::trim::{Trim, Trimming};
use crate::staged::{FileSystem, StagedDisk};

const MIB: u64 = 1 << 20;
/// How long users run before the agent; a trim may begin meanwhile.
const LEAD_MS: u64 = 1_500;
const TAIL_MS: u64 = 1_500;
const ENDED_WITHIN: Duration = Duration::from_secs(30);
const FILE_BYTES: usize = 8 << 20;

/// What the agent said of one mix, and what was true.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub plan: Plan,
    pub truth: Truth,
    pub label: Label,
    /// Share of the window with a discard at the disk.
    pub busy: f64,
    pub kind: String,
    /// Empty when inconclusive.
    pub confidence: String,
    /// It is about the mix's own disk.
    pub here: bool,
    pub sentence: String,
}

impl Outcome {
    /// Whether a trim stands accused; of somebody's else, too.
    pub fn accuses(&self) -> bool {
        self.kind == "host_trim"
    }
}

/// Plays the mix; the capture goes to the file, if there is one.
pub fn play(plan: &Plan, agent: &Path, capture: Option<&Path>) -> Result<Outcome> {
    let disk = disk(&[])?;
    let other = match &plan.trim {
        Some(trim) if trim.elsewhere => Some(self::disk(&[(Op::Discard, trim.delay)])?),
        _ => None,
    };
    lay_out(plan, &disk)?;
    let group = group(plan)?;
    let folder = Scratch::new()?;
    disk.control().set(plan.settings.clone())?;
    let users = start_users(plan, &disk, &folder)?;
    let _filling = plan
        .filler
        .as_ref()
        .map(|filler| fill(filler, &disk))
        .transpose()?;
    let begin = monotonic_ns() + LEAD_MS * 1_000_000;
    order_changes(plan, &disk)?;
    let trim_disk = other.as_ref().unwrap_or(&disk);
    let (report, _trimming) = thread::scope(|scope| {
        let trimming = scope.spawn(|| trim(plan, trim_disk, group.as_ref(), begin));
        let pausing = scope.spawn(|| stand_still(plan, &disk, begin));
        sleep_until(begin);
        let report = trace(agent, &disk, other.as_ref(), &folder, capture);
        let died = |what: &str| anyhow::anyhow!("the thread of the {what} died");
        let trimming = trimming.join().unwrap_or_else(|_| Err(died("trim")))?;
        pausing.join().unwrap_or_else(|_| Err(died("pause")))?;
        Ok::<_, anyhow::Error>((report?, trimming))
    })?;
    let log = disk.control().log()?;
    disk.control().send(&Order::Hurry)?;
    let accounts = accounts(users)?;
    judge(plan, &disk, &report, &log, &accounts)
}

fn disk(delays: &[(Op, Delay)]) -> Result<StagedDisk> {
    let builder = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(4 << 30);
    let builder = builder.lock(LockMode::DiscardExclusive);
    let slow = delays
        .iter()
        .fold(builder, |builder, (op, delay)| builder.delay(*op, *delay));
    slow.start()
}

fn group(plan: &Plan) -> Result<Option<IoGroup>> {
    match &plan.trim {
        Some(trim) if trim.apart => IoGroup::new("stall-mix"),
        _ => Ok(None),
    }
}

fn file(disk: &StagedDisk, name: &str) -> PathBuf {
    disk.mount().join(name)
}

fn lay_out(plan: &Plan, disk: &StagedDisk) -> Result<()> {
    for user in &plan.users {
        fs::write(file(disk, &user.name), vec![1; FILE_BYTES]).context("laying out a file")?;
    }
    if let Some(filler) = &plan.filler {
        job(filler, disk).create_only()?;
    }
    let mount = fs::File::open(disk.mount())?;
    nix::unistd::syncfs(&mount).context("syncing")?;
    if let Some(trim) = &plan.trim {
        disk.set_queue("discard_max_bytes", &trim.most_bytes.to_string())?;
    }
    Ok(())
}

fn job(filler: &Filler, disk: &StagedDisk) -> Job {
    let pattern = if filler.writes {
        Requests::RandWrite
    } else {
        Requests::RandRead
    };
    Job::new(pattern, &file(disk, "bulk"))
        .called("bulk")
        .engine(Engine::Libaio)
        .depth(filler.depth)
        .block_size(filler.bytes)
        .rate_iops(filler.per_second)
        .size(64 * MIB)
        .runtime(Duration::from_secs(600))
}

fn fill(filler: &Filler, disk: &StagedDisk) -> Result<Running> {
    job(filler, disk).start()
}

/// A user at work.
struct Using<'a> {
    user: &'a User,
    process: Spawned,
    log: PathBuf,
}

fn steps(user: &User) -> Vec<String> {
    let User { bytes, burst, .. } = user;
    let requests = |what: &str| format!("{what}:0:{bytes}:{burst}:{}", 64 * 1024);
    let mut steps = match user.pattern {
        Pattern::Reader => vec![requests("read")],
        Pattern::Writer => vec![requests("write")],
        Pattern::Syncer => vec![format!("write:0:{bytes}"), "sync".to_owned()],
        Pattern::Both => vec![requests("read"), requests("write")],
    };
    steps.push(format!("sleep:{}", user.pause_ms));
    steps
}

fn start_users<'a>(plan: &'a Plan, disk: &StagedDisk, folder: &Scratch) -> Result<Vec<Using<'a>>> {
    let start = |user: &'a User| {
        let log = folder.path().join(format!("{}.log", user.name));
        let program = Program {
            name: Some(user.name.clone()),
            log: Some(log.clone()),
            repeat: Duration::from_millis(LEAD_MS + WINDOW_MS + TAIL_MS),
            path: file(disk, &user.name),
            steps: steps(user),
            ..Program::default()
        };
        let process = Spawned::start(program.command()?.stdin(Stdio::null()))?;
        Ok(Using { user, process, log })
    };
    plan.users.iter().map(start).collect()
}

fn accounts(users: Vec<Using<'_>>) -> Result<Vec<(&User, OpLog)>> {
    users.into_iter().map(account).collect()
}

fn account(mut using: Using<'_>) -> Result<(&User, OpLog)> {
    let status = using.process.wait_within(ENDED_WITHIN)?;
    ensure!(status.success(), "{}: {status}", using.user.name);
    Ok((using.user, OpLog::read(&using.log)?))
}

fn order_changes(plan: &Plan, disk: &StagedDisk) -> Result<()> {
    for (at, settings) in &plan.changes {
        let at = Duration::from_millis(LEAD_MS + at);
        disk.control().at(at, Order::Set(settings.clone()))?;
    }
    Ok(())
}

fn after(begin: u64, ms: i64) -> u64 {
    begin.saturating_add_signed(ms * 1_000_000)
}

fn trim(
    plan: &Plan,
    disk: &StagedDisk,
    group: Option<&IoGroup>,
    begin: u64,
) -> Result<Option<Trimming>> {
    let Some(TrimPlan { at_ms, renamed, .. }) = &plan.trim else {
        return Ok(None);
    };
    let mut trim = Trim::new();
    if *renamed {
        trim = trim.called("tidy-up");
    }
    if let Some(group) = group {
        trim = trim.group(group);
    }
    sleep_until(after(begin, *at_ms));
    trim.start(disk).map(Some)
}

fn stand_still(plan: &Plan, disk: &StagedDisk, begin: u64) -> Result<()> {
    if let Some((at, lasts)) = plan.pause {
        sleep_until(begin + at * 1_000_000);
        let frozen = disk.control().freeze();
        thread::sleep(Duration::from_millis(lasts));
        drop(frozen);
    }
    Ok(())
}

/// Runs the agent to its end; its report.
fn trace(
    agent: &Path,
    disk: &StagedDisk,
    other: Option<&StagedDisk>,
    folder: &Scratch,
    capture: Option<&Path>,
) -> Result<Value> {
    let report = folder.path().join("report");
    let mut command = Command::new(agent);
    command
        .args(["trace", "--quiet", "--duration", &format!("{WINDOW_MS}ms")])
        .args(["--device", disk.name(), "--output"])
        .arg(&report)
        .stdin(Stdio::null());
    if let Some(other) = other {
        command.args(["--device", other.name()]);
    }
    if let Some(capture) = capture {
        command.arg("--capture").arg(capture);
    }
    let status = Spawned::start(&mut command)?.wait_within(ENDED_WITHIN)?;
    ensure!(status.success(), "the agent: {status}");
    let text = fs::read_to_string(&report).context("reading the report")?;
    serde_json::from_str(&text).context("the report is no JSON")
}

fn judge(
    plan: &Plan,
    disk: &StagedDisk,
    report: &Value,
    log: &OpLog,
    accounts: &[(&User, OpLog)],
) -> Result<Outcome> {
    let window = window(report)?;
    let users: Vec<(&User, &OpLog)> = accounts.iter().map(|(user, log)| (*user, log)).collect();
    let truth = Truth::of(log, &window, &users);
    let text = |field: &str| {
        report["verdict"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let length = window.end - window.start;
    Ok(Outcome {
        plan: plan.clone(),
        label: truth.label(),
        truth,
        busy: with_discards(log, &window) as f64 / length.max(1) as f64,
        kind: text("kind"),
        confidence: text("confidence"),
        here: text("device") == disk.name(),
        sentence: text("sentence"),
    })
}

fn window(report: &Value) -> Result<Range<u64>> {
    let at = |field: &str| report["window"][field].as_u64();
    let (start, end) = (at("start_ns"), at("end_ns"));
    Ok(start.context("no start of the window")?..end.context("no end of the window")?)
}
