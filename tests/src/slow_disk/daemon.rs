//! The slow disk's process: mounts the file system, obeys commands, ends with its parent.
//!
//! Contract: prints `ready` once mounted, then one line per command, `ok ...` or `err ...`.
//! The end of stdin means that the parent is gone, whichever of its threads had started us
//! (PR_SET_PDEATHSIG would fire when that thread ends).

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use fuser::{BackgroundSession, Config, MountOption, Session};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use super::command::{Command, Setting};
use super::file_system::{Disk, SlowDisk};
use super::orphan;
use super::store::Store;
use crate::clock::{monotonic_ns, sleep_until};

/// How to start the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// An empty folder to mount on.
    pub mount: PathBuf,
    /// Size of the disk in bytes.
    pub size: u64,
    /// How many operations can be at the daemon at once.
    pub threads: u16,
}

/// What ended the control loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Quit,
    Orphaned,
}

/// Runs the daemon until `quit` or the end of stdin.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.threads >= 16, "the disk needs at least 16 threads");
    be_punctual()?;
    let disk = Arc::new(Disk::new(Store::new(options.size)?));
    let session = mount(options, &disk)?;
    // Commands, and writing the log, are not to take a CPU from those who are measured.
    warn("commands may disturb", schedule(libc::SCHED_OTHER, 0));
    say("ready")?;
    let mut attached = Vec::new();
    let end = obey(&disk, &mut attached);
    disk.behaviour.hurry();
    if !matches!(end, Ok(End::Quit)) {
        orphan::take_down(&attached);
    }
    unmount(session, &options.mount);
    if !matches!(end, Ok(End::Quit)) {
        orphan::remove_folders(&options.mount);
    }
    end.map(|_| ())
}

fn mount(options: &Options, disk: &Arc<Disk>) -> Result<BackgroundSession> {
    let mut config = Config::default();
    config.n_threads = Some(options.threads.into());
    config.mount_options = vec![
        MountOption::FSName("slow-disk".to_owned()),
        MountOption::Subtype("slow-disk".to_owned()),
    ];
    let face = SlowDisk::new(Arc::clone(disk), options.threads);
    Session::new(face, &options.mount, &config)
        .and_then(Session::spawn)
        .with_context(|| format!("mounting on {}", options.mount.display()))
}

fn unmount(session: BackgroundSession, mount: &Path) {
    if let Err(error) = session.umount_and_join() {
        eprintln!("slow-disk: {}: {error}, detaching", mount.display());
        // Nothing more can be done: the process's end aborts the connection.
        let _ = umount2(mount, MntFlags::MNT_DETACH);
    }
}

fn say(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").context("answering")?;
    stdout.flush().context("answering")
}

fn obey(disk: &Arc<Disk>, attached: &mut Vec<PathBuf>) -> Result<End> {
    for line in std::io::stdin().lock().lines() {
        let answer = match line.context("reading commands")?.parse() {
            Ok(Command::Quit) => return say("ok").map(|()| End::Quit),
            Ok(Command::Attach(path)) => {
                attached.push(path);
                Ok("ok".to_owned())
            }
            Ok(command) => apply(disk, &command),
            Err(error) => Err(error),
        };
        say(&answer.unwrap_or_else(|error| format!("err {error:#}")))?;
    }
    Ok(End::Orphaned)
}

/// Carries out a command that needs no more than the disk.
fn apply(disk: &Arc<Disk>, command: &Command) -> Result<String> {
    let behaviour = &disk.behaviour;
    match command {
        Command::Set(settings) => settings.iter().for_each(|setting| set(disk, *setting)),
        Command::Hang(op, count) => behaviour.hang(*op, *count),
        Command::Release(op) => behaviour.release(*op),
        Command::Fail(op, count) => behaviour.fail(*op, *count),
        Command::Pass(op) => behaviour.pass(*op),
        Command::Short(count) => behaviour.shorten(*count),
        Command::Hurry => behaviour.hurry(),
        Command::At(delay, command) => apply_at(disk, delay.as_nanos() as u64, command)?,
        Command::Status => return Ok(status(disk)),
        Command::Dump(path) => return dump(disk, path),
        Command::Attach(_) | Command::Quit => anyhow::bail!("not possible later"),
    }
    Ok("ok".to_owned())
}

fn set(disk: &Disk, setting: Setting) {
    match setting {
        Setting::Delay(op, delay) => disk.behaviour.set_delay(op, delay),
        Setting::Lock(mode) => disk.behaviour.gate.set_mode(mode),
        Setting::Width(width) => disk.behaviour.gate.set_width(width),
        Setting::Seed(seed) => disk.behaviour.set_seed(seed),
    }
}

fn apply_at(disk: &Arc<Disk>, delay_ns: u64, command: &Command) -> Result<()> {
    let moment = monotonic_ns() + delay_ns;
    let (disk, command) = (Arc::clone(disk), command.clone());
    let later = move || {
        warn("a command may be late", schedule(libc::SCHED_FIFO, 1));
        sleep_until(moment);
        if let Err(error) = apply(&disk, &command) {
            eprintln!("slow-disk: {command}: {error:#}");
        }
    };
    thread::Builder::new()
        .spawn(later)
        .context("starting a timer")?;
    Ok(())
}

fn status(disk: &Disk) -> String {
    let (operations, unfinished) = disk.recorder.counts();
    let hanging = disk.behaviour.hanging();
    format!("ok operations={operations} unfinished={unfinished} hanging={hanging}")
}

fn dump(disk: &Disk, path: &Path) -> Result<String> {
    let log = disk.recorder.take(monotonic_ns());
    std::fs::write(path, log.to_text()).with_context(|| format!("writing {}", path.display()))?;
    Ok(format!("ok operations={}", log.records.len()))
}

/// Exact sleeps, no page faults that wait for a disk, and a CPU as soon as it is due; for the
/// threads that are started from here on.
fn be_punctual() -> Result<()> {
    nix::sys::prctl::set_timerslack(1).context("setting the timer slack")?;
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: mlockall takes no pointer.
    let locked = unsafe { libc::mlockall(flags) };
    warn("its memory is not locked", Errno::result(locked).map(drop));
    warn("times are less exact", schedule(libc::SCHED_FIFO, 1));
    Ok(())
}

/// How this thread, and those it starts, get a CPU.
fn schedule(policy: i32, priority: i32) -> nix::Result<()> {
    // SAFETY: a struct of integers; some libraries have more of them than others.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = priority;
    // SAFETY: the pointer is to a live sched_param; 0 means this thread.
    let done = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    Errno::result(done).map(drop)
}

fn warn(consequence: &str, result: nix::Result<()>) {
    if let Err(errno) = result {
        eprintln!("slow-disk: {errno}: {consequence}");
    }
}
