//! Who is who, also of what ended long before the trace did, and what discards were for.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::unistd::Pid;
use stall_agent::capture::{Op as Seen, Process};
use stall_agent::report::model::{DiscardGroup, Origin};
use stall_tests::slow_disk::{Delay, Op};
use stall_tests::spawned::{Spawned, find_program, wait_until};
use stall_tests::staged::trim::Trim;
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, rest, traced};
use crate::harness::load::Load;
use crate::harness::seen::Trace;
use crate::harness::skip::Need;
use crate::harness::test::Test;
use crate::harness::{note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new(
        "a_process_that_ends_at_once_has_its_command_line",
        short_lived,
    ),
    Test::new(
        "a_process_that_became_another_program_has_its_name",
        becoming,
    ),
    Test::new("a_renamed_fstrim_is_still_a_trim", renamed),
    Test::new("who_is_called_fstrim_is_not_therefore_one", liar),
    Test::new("blkdiscard_is_itself", blkdiscard).needs(&[Need::Program("blkdiscard")]),
    Test::new("ext4_mounted_with_discard", || online(FileSystem::Ext4)),
    Test::new("xfs_mounted_with_discard", || online(FileSystem::Xfs))
        .needs(&[Need::FileSystem(FileSystem::Xfs)]),
    Test::new("btrfs_mounted_with_discard", || online(FileSystem::Btrfs))
        .needs(&[Need::FileSystem(FileSystem::Btrfs)]),
];

fn process_of(trace: &Trace, pid: Pid) -> Result<&Process> {
    let process = trace.actor(pid)?.process.as_ref();
    process.context("an actor that is no process")
}

/// Starts a program, waits for its end; its process and what it was called with.
fn run(program: &str, arguments: &[String]) -> Result<(Pid, Vec<String>)> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut process = Spawned::start(&mut command)?;
    let status = process.wait_within(Duration::from_secs(20))?;
    ensure!(status.success(), "{program}: {status}");
    let called = [program.to_owned()]
        .into_iter()
        .chain(arguments.iter().cloned());
    Ok((process.pid(), called.collect()))
}

/// Check that ten `dd`, each gone within milliseconds, are told by pid, name and whole command line,
/// with their exits.
fn short_lived() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let arguments = |turn: u64| {
        let device = format!("if={}", disk.device().display());
        let skip = format!("skip={turn}");
        [
            device,
            "of=/dev/null".into(),
            "bs=4096".into(),
            "count=2".into(),
            skip,
            "iflag=direct".into(),
        ]
    };
    let act = || {
        (0..10)
            .map(|turn| run("dd", &arguments(turn)))
            .collect::<Result<Vec<_>>>()
    };
    let (trace, counted, all) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    for (pid, called) in all {
        same("reads of dd", trace.use_of(&disk, pid, Seen::Read)?.ops, 2)?;
        let process = process_of(&trace, pid)?;
        ensure!(process.comm == "dd", "dd is called {}", process.comm);
        ensure!(
            process.args == called,
            "{called:?} is said to be {:?}",
            process.args
        );
        ensure!(
            process.exited_ns.is_some(),
            "the exit of {pid} is not known"
        );
        ensure!(!process.args_truncated, "nothing was cut");
    }
    Ok(())
}

/// A shell that becomes a program whose file is on the disk and not in memory.
fn becomes(disk: &StagedDisk, program: &str, arguments: &[&str]) -> Result<Spawned> {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec "$0" "$@""#]);
    shell.arg(disk.mount().join(program)).args(arguments);
    Spawned::start(shell.stdin(Stdio::null()).stderr(Stdio::null()))
}

/// Check that a process whose first requests were for the file of its next program is told by that program's name, whether
/// it has ended or lives on.
fn becoming() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(1 << 30)
        .delay(Op::Read, Delay::constant(60_000))
        .start()?;
    for name in ["dd", "sleep"] {
        fs::copy(find_program(name)?, disk.mount().join(name))?;
    }
    disk.remount()?;
    let file = format!("if={}", disk.mount().join("dd").display());
    let direct = ["of=/dev/null", "bs=4096", "count=2", "iflag=direct"];
    let act = || {
        let mut ended = becomes(&disk, "dd", &[&[file.as_str()], &direct[..]].concat())?;
        let lives = becomes(&disk, "sleep", &["600"])?;
        let status = ended.wait_within(Duration::from_secs(20))?;
        ensure!(status.success(), "dd: {status}");
        let comm = format!("/proc/{}/comm", lives.pid());
        let became = || fs::read_to_string(&comm).is_ok_and(|name| name.trim() == "sleep");
        ensure!(
            wait_until(Duration::from_secs(20), became),
            "sh did not become sleep"
        );
        Ok((ended.pid(), lives))
    };
    let (trace, _, (ended, lives)) = traced(&disk, &Agent::on(&disk), act)?;
    is_called(&trace, ended, "dd")?;
    is_called(&trace, lives.pid(), "sleep")?;
    let args = &process_of(&trace, lives.pid())?.args;
    let last = args.last().map(String::as_str);
    ensure!(
        args.len() == 2 && last == Some("600"),
        "sleep is called with {args:?}"
    );
    Ok(())
}

/// As a process, as a thread in D, and as what that is a thread of; by no other program's file.
fn is_called(trace: &Trace, pid: Pid, program: &str) -> Result<()> {
    let process = process_of(trace, pid)?;
    let task = trace.task(pid).context("it was never in D")?;
    note!("{} {:?} {:?}", process.comm, process.exe, process.args);
    for comm in [&process.comm, &task.comm, &task.process.comm] {
        ensure!(comm == program, "{program} is called {comm}");
    }
    let exe = process.exe.as_deref();
    ensure!(
        exe.is_none_or(|exe| exe.ends_with(program)),
        "{program} is said to be {exe:?}"
    );
    Ok(())
}

fn only_group<'a>(trace: &'a Trace, disk: &StagedDisk) -> Result<&'a DiscardGroup> {
    let groups: Vec<_> = trace.groups(disk).collect();
    note!(
        "{:?}",
        groups
            .iter()
            .map(|g| (g.origin, &g.decided_by, g.ops))
            .collect::<Vec<_>>()
    );
    same("groups of discards", groups.len() as u64, 1)?;
    Ok(groups[0])
}

fn is_from(trace: &Trace, disk: &StagedDisk, pid: Pid, origin: Origin) -> Result<()> {
    let group = only_group(trace, disk)?;
    ensure!(
        group.origin == origin,
        "{:?} is told, not {origin:?}",
        group.origin
    );
    same("its actor", group.actor.into(), trace.actor(pid)?.id.into())
}

/// Check that what calls FITRIM is a filesystem's trim, whatever its name.
fn renamed() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(1 << 30)
        .start()?;
    nix::unistd::sync();
    let act = || {
        let mut trimming = Trim::new().called("sweeper").start(&disk)?;
        ensure!(trimming.wait()?.success(), "the renamed fstrim failed");
        Ok(trimming.process().pid())
    };
    let (trace, counted, pid) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    is_from(&trace, &disk, pid, Origin::FilesystemTrim)?;
    let process = process_of(&trace, pid)?;
    ensure!(process.comm == "sweeper", "it is called {}", process.comm);
    Ok(())
}

/// Check that a process by the name of fstrim that asks the device itself trims no filesystem.
fn liar() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let act = || Load::run("fstrim", &disk.device(), &["discard:0:1048576:5"]);
    let (trace, counted, done) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    is_from(&trace, &disk, done.pid, Origin::OtherProgram)
}

/// Check that the real blkdiscard is told as such, and not as a trim.
fn blkdiscard() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let arguments = ["--force".to_owned(), disk.device().display().to_string()];
    let act = || run("blkdiscard", &arguments);
    let (trace, counted, (pid, called)) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    is_from(&trace, &disk, pid, Origin::Blkdiscard)?;
    let process = process_of(&trace, pid)?;
    ensure!(
        process.args == called,
        "{called:?} is said to be {:?}",
        process.args
    );
    Ok(())
}

/// Freed space is discarded some time after it is free for good.
fn wait_for_discards(disk: &StagedDisk, before: u64) -> Result<()> {
    for _ in 0..50 {
        nix::unistd::sync();
        thread::sleep(Duration::from_millis(300));
        if disk.counters()?.discards.ios > before {
            return Ok(());
        }
    }
    bail!("nothing was discarded")
}

/// Check that discards of a filesystem mounted with `discard`, which it sends when files are gone,
/// are told as such, sent by whichever thread.
fn online(file_system: FileSystem) -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(file_system)
        .size(1 << 30)
        .mount_options("discard")
        .start()?;
    let file = disk.mount().join("gone");
    fs::write(&file, vec![7; 32 << 20])?;
    nix::unistd::sync();
    let before = disk.counters()?.discards.ios;
    let act = || {
        fs::remove_file(&file)?;
        wait_for_discards(&disk, before)?;
        rest(&disk)
    };
    let (trace, counted, ()) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    let mut ops = 0;
    for group in trace.groups(&disk) {
        note!(
            "{:?} by {:?} x {}",
            group.origin,
            group.decided_by,
            group.ops
        );
        let origin = group.origin;
        ensure!(
            origin == Origin::OnlineDiscard,
            "{origin:?} is told, by {:?}",
            group.decided_by
        );
        ops += group.ops;
    }
    same("online discards", ops, counted.discards.ios)?;
    let mounts = &trace.device(disk.name())?.mounts;
    ensure!(
        mounts.iter().any(|mount| mount.online_discard),
        "the mount's option is not told"
    );
    Ok(())
}
