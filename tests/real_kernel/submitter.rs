//! Who did it: the task that submitted, whoever issues or completes, and also when it is gone.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;
use stall_agent::capture::Op as Seen;
use stall_agent::report::model::Origin;
use stall_tests::fio::{Job, Pattern};
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::staged::trim::Trim;
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::ftrace::EventLog;
use crate::harness::seen::Trace;
use crate::harness::skip::Need;
use crate::harness::test::Test;
use crate::harness::{between, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("fstrim_on_ext4", || trimmed_elsewhere(FileSystem::Ext4)),
    Test::new("fstrim_on_xfs", || {
        trimmed(FileSystem::Xfs, Agent::on).map(drop)
    })
    .needs(&[Need::FileSystem(FileSystem::Xfs)]),
    Test::new("fstrim_on_btrfs", || trimmed_elsewhere(FileSystem::Btrfs))
        .needs(&[Need::FileSystem(FileSystem::Btrfs)]),
    Test::new("blame_outlives_fstrim", outlived).needs(&[Need::FileSystem(FileSystem::Xfs)]),
    Test::new("journal_writes_are_the_journals", journal),
];

/// Check that every discard of fstrim is attributed to its process and named a trim. Returns how many
/// discards were issued by another task.
pub(crate) fn trimmed(file_system: FileSystem, agent: fn(&StagedDisk) -> Agent) -> Result<u64> {
    let disk = StagedDisk::builder()
        .file_system(file_system)
        .size(2 << 30)
        .delay(Op::Discard, Delay::constant(5_000))
        .start()?;
    nix::unistd::sync();
    let events = EventLog::start(&["block_rq_issue"], disk.major_minor())?;
    let act = || {
        let mut trimming = Trim::new().start(&disk)?;
        let pid = trimming.process().pid();
        ensure!(trimming.wait()?.success(), "fstrim failed");
        Ok(pid)
    };
    let (trace, counted, pid) = traced(&disk, &agent(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    ensure!(counted.discards.ios > 0, "fstrim sent no discard");
    is_all_of(&trace, &disk, pid, counted.discards.ios)?;
    let issued = events.events()?;
    let elsewhere = issued.iter().filter(|(_, task)| task != "fstrim").count();
    note!(
        "of {} issues, {elsewhere} were in another task",
        issued.len()
    );
    Ok(elsewhere as u64)
}

/// The same where the trap is known to be set: the plug is flushed by a worker.
fn trimmed_elsewhere(file_system: FileSystem) -> Result<()> {
    let elsewhere = trimmed(file_system, Agent::on)?;
    ensure!(
        elsewhere > 0,
        "fstrim issued all of its discards itself: no trap was set"
    );
    Ok(())
}

fn is_all_of(trace: &Trace, disk: &StagedDisk, pid: Pid, discards: u64) -> Result<()> {
    let used = trace.use_of(disk, pid, Seen::Discard)?;
    same("discards of fstrim", used.ops, discards)?;
    let actor = trace.actor(pid)?.id;
    ensure!(
        trace.discards(disk).all(|row| row.actor == actor),
        "a discard is someone else's"
    );
    for group in trace.groups(disk) {
        let origin = group.origin;
        ensure!(
            origin == Origin::FilesystemTrim,
            "{origin:?} by {:?}",
            group.decided_by
        );
    }
    Ok(())
}

/// Check that discards which complete after fstrim has exited are still fstrim's, and that its exit
/// is known.
fn outlived() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Xfs)
        .size(4 << 30)
        // Long enough for us to look at the disk after fstrim's exit and before the end of its last discard.
        .delay(Op::Discard, Delay::constant(250_000))
        .start()?;
    nix::unistd::sync();
    let act = || {
        let mut trimming = Trim::new().start(&disk)?;
        let pid = trimming.process().pid();
        ensure!(trimming.wait()?.success(), "fstrim failed");
        Ok((pid, disk.control().status()?.unfinished))
    };
    let (trace, counted, (pid, left)) = traced(&disk, &Agent::on(&disk), act)?;
    note!("{left} discards were unfinished when fstrim had exited");
    ensure!(
        left > 0,
        "fstrim waited for its last discard: no trap was set"
    );
    equals_kernel(&trace, &disk, &counted)?;
    is_all_of(&trace, &disk, pid, counted.discards.ios)?;
    let process = trace
        .actor(pid)?
        .process
        .as_ref()
        .context("it has a process")?;
    let exited = process.exited_ns.context("its exit is not known")?;
    let last = trace.discards(&disk).map(|row| row.last_completed_ns).max();
    between(
        "last completion",
        last.unwrap_or(0),
        &(exited + 1..u64::MAX),
    )
}

/// Check that the journal's writes are jbd2's, and not those of whoever waits for it.
fn journal() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(1 << 30)
        .start()?;
    let jbd2 = kernel_thread(&format!("jbd2/{}-8", disk.name()))?;
    let job = Job::new(Pattern::Write, &disk.mount().join("wal"))
        .called("database")
        .size(1 << 20)
        .direct(false)
        .fsync(1)
        .requests(50);
    nix::unistd::sync();
    let (trace, counted, _) = traced(&disk, &Agent::on(&disk), || job.run())?;
    equals_kernel(&trace, &disk, &counted)?;
    let journal = trace.use_of(&disk, jbd2, Seen::Write)?;
    // Each commit is at least a descriptor with its blocks, and the commit itself.
    between("writes of jbd2", journal.ops, &(50..counted.writes.ios))?;
    let process = trace
        .actor(jbd2)?
        .process
        .as_ref()
        .context("it has a process")?;
    ensure!(process.kernel_thread, "jbd2 is a thread of the kernel");
    Ok(())
}

fn kernel_thread(name: &str) -> Result<Pid> {
    let named = |entry: fs::DirEntry| {
        let comm = fs::read_to_string(entry.path().join("comm")).ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        (comm.trim() == name).then(|| Pid::from_raw(pid))
    };
    let mut entries = fs::read_dir("/proc")?.flatten();
    entries
        .find_map(named)
        .with_context(|| format!("there is no {name}"))
}
