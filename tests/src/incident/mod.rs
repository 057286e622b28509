//! The incident, staged: an fstrim on a disk whose discards exclude everything, a database and a
//! key-value store that suffer from it, and the agent that has to say so.
//!
//! Contract: everything is real but the disk's speed. fstrim is blocked since before the trace;
//! it discards for the larger part of the trace and is gone for the rest. Everything is taken
//! down at the end, also after a signal, which is passed on to the agent first.

pub mod options;
pub mod plan;
pub mod truth;

use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use self::options::Options;
use self::plan::Plan;
use self::truth::Truth;
use crate::clock::monotonic_ns;
use crate::fio::{Job, Pattern, Running};
use crate::interrupt::Hold;
use crate::slow_disk::{Delay, LockMode, Op};
use crate::spawned::Spawned;
use crate::staged::trim::{Trim, Trimming};
use crate::staged::{FileSystem, StagedDisk};

const MIB: u64 = 1 << 20;
const POLL: Duration = Duration::from_millis(20);
/// What the disk takes for the requests of those who suffer.
const DELAYS: [(Op, u64); 3] = [(Op::Read, 200), (Op::Write, 300), (Op::Fsync, 500)];
/// How long those who suffer run before fstrim starts.
const HEALTHY: Duration = Duration::from_secs(1);
/// Longer than any trace; they are stopped.
const EVER: Duration = Duration::from_secs(24 * 3600);

/// How it went.
#[derive(Debug)]
pub enum Outcome {
    /// The agent ended, with this status.
    Traced(ExitStatus),
    /// A signal came before the agent was started.
    Interrupted(Signal),
}

/// Stages the incident, runs the agent on it, says what was true, takes everything down.
pub fn run(options: &Options) -> Result<Outcome> {
    let hold = Hold::new()?;
    let plan = Plan::for_trace(options.duration()?);
    say("staging a disk (loop device on a FUSE file, ext4)");
    let disk = stage(&plan)?;
    let victims = Victims::start(&disk)?;
    pause(HEALTHY, &hold);
    disk.control().hang(Op::Discard, Some(1))?;
    let trim_start = monotonic_ns();
    let mut trim = Trim::new().start(&disk)?;
    announce(&disk, &victims, &trim);
    pause(plan.lead, &hold);
    if let Some(signal) = hold.signal() {
        return Ok(Outcome::Interrupted(signal));
    }
    let mut truth = Truth::begin(&disk, trim_start)?;
    let status = trace(options, &plan, &disk, &mut trim, &mut truth, &hold)?;
    truth.end(&disk)?;
    truth.add(victims.stop()?);
    println!("report: {}", options.output.display());
    println!("{truth}");
    Ok(Outcome::Traced(status))
}

fn say(text: &str) {
    eprintln!("incident: {text}");
}

fn announce(disk: &StagedDisk, victims: &Victims, trim: &Trimming) {
    let (major, minor) = disk.major_minor();
    say(&format!(
        "{} ({major}:{minor}) on {}: etcd is {}, postgres is {}, fstrim is {}",
        disk.name(),
        disk.mount().display(),
        victims.etcd.pid(),
        victims.postgres.pid(),
        trim.process().pid()
    ));
}

/// The disk, its speed not yet set: laying out files takes no time.
fn stage(plan: &Plan) -> Result<StagedDisk> {
    StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(plan.disk_bytes)
        .discard_max(plan::DISCARD_BYTES)
        .lock(LockMode::DiscardExclusive)
        .delay(Op::Discard, Delay::constant(plan::DISCARD_US))
        .start()
}

/// Those who suffer.
struct Victims {
    etcd: Running,
    postgres: Running,
}

impl Victims {
    fn start(disk: &StagedDisk) -> Result<Self> {
        // A write-ahead log: the load with which etcd's documentation measures a disk.
        let etcd = Job::new(Pattern::Write, &disk.mount().join("wal"))
            .called("etcd")
            .size(22 * MIB)
            .block_size(2300)
            .direct(false)
            .fdatasync(1)
            .rate_iops(100)
            .runtime(EVER);
        let postgres = Job::new(Pattern::RandRead, &disk.mount().join("table"))
            .called("postgres")
            .size(128 * MIB)
            .block_size(8192)
            .rate_iops(500)
            .runtime(EVER);
        postgres.create_only()?;
        for (op, us) in DELAYS {
            disk.control().set_delay(op, Delay::constant(us))?;
        }
        Ok(Self {
            etcd: etcd.start()?,
            postgres: postgres.start()?,
        })
    }

    fn stop(self) -> Result<truth::Suffered> {
        Ok(truth::Suffered {
            etcd: self.etcd.stop()?.sync,
            postgres: self.postgres.stop()?.read.latency,
        })
    }
}

/// Runs the agent to its end; meanwhile the first discard comes loose and fstrim ends.
fn trace(
    options: &Options,
    plan: &Plan,
    disk: &StagedDisk,
    trim: &mut Trimming,
    truth: &mut Truth,
    hold: &Hold,
) -> Result<ExitStatus> {
    let mut agent = Spawned::start(&mut command(options, disk))?;
    disk.control().at(
        plan.release_after,
        crate::slow_disk::command::Command::Release(Some(Op::Discard)),
    )?;
    let mut passed_on = 0;
    loop {
        if let Some(status) = agent.try_wait()? {
            return Ok(status);
        }
        if trim.try_wait()?.is_some() {
            truth.trim_ended(monotonic_ns());
        }
        passed_on = pass_on(&agent, hold, passed_on)?;
        thread::sleep(POLL);
    }
}

fn command(options: &Options, disk: &StagedDisk) -> Command {
    let mut command = Command::new(&options.agent);
    command
        .args(["trace", "--duration", &options.duration])
        .args(["--device", disk.name(), "--output"])
        .arg(&options.output)
        .args(&options.rest)
        .stdin(Stdio::null());
    command
}

/// The first signal ends the agent's window, the second one the agent.
fn pass_on(agent: &Spawned, hold: &Hold, passed_on: usize) -> Result<usize> {
    let count = hold.count();
    if count > passed_on {
        let signal = match count {
            1 => Signal::SIGINT,
            _ => Signal::SIGKILL,
        };
        agent.signal(signal).context("passing a signal on")?;
    }
    Ok(count)
}

/// Waits, unless a signal comes or has come.
fn pause(time: Duration, hold: &Hold) {
    let end = monotonic_ns() + time.as_nanos() as u64;
    while hold.signal().is_none() && monotonic_ns() < end {
        thread::sleep(POLL);
    }
}
