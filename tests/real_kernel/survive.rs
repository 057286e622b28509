//! What a run survives: its program's own disk hanging, another agent, and faults of its own.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::panic;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::signal::Signal;
use stall_agent::capture::{Capture, Op};
use stall_agent::cli::{Cli, Command};
use stall_agent::config;
use stall_agent::trace::{self, Embedding, Part};
use stall_agent::{analysis, report};
use stall_tests::mounted;
use stall_tests::scratch::Scratch;
use stall_tests::spawned::wait_until;
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::{self, Agent};
use crate::harness::load::Load;
use crate::harness::test::Test;
use crate::harness::{between, bpf, document, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("the_disk_of_its_own_program_hangs", own_disk),
    Test::new("the_disk_of_the_hosts_files_hangs", hosts_disk),
    Test::new("two_agents_at_once_are_both_right", two),
    Test::new("a_panic_costs_its_part_only", panics),
    Test::new("after_any_end_nothing_is_left", every_end),
];

const NS: u64 = 1_000_000_000;
const READS: u64 = 64;
/// Ends from outside: asked for, asked for twice, the terminal closed, as an internal error would end it, killed.
const ENDS: [&[Signal]; 7] = [
    &[Signal::SIGINT],
    &[Signal::SIGTERM],
    &[Signal::SIGHUP],
    &[Signal::SIGINT, Signal::SIGTERM],
    &[Signal::SIGQUIT],
    &[Signal::SIGABRT],
    &[Signal::SIGKILL],
];
/// After these there is a report.
const ASKED: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Check that the agent ends its window in time and writes its report while the disk that its program lies on does not
/// answer, and nothing of the program is in memory but what the agent itself holds there.
fn own_disk() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(256 << 20)
        .start()?;
    let program = disk.mount().join("stall-agent");
    let copied = std::process::Command::new("cp")
        .arg(agent::program()?)
        .arg(&program)
        .status()?;
    ensure!(copied.success(), "the program is not copied: {copied}");
    let file = File::open(&program)?;
    file.sync_all()?;
    let tracing = Agent::everywhere()
        .with("--duration", "2s")
        .program(&program)
        .start()?;
    let frozen = disk.control().freeze();
    // Pages that are mapped stay; the others are read from the disk when they are needed.
    posix_fadvise(file.as_fd(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    let begin = Instant::now();
    let ended = tracing.end_within(Duration::from_secs(10));
    let took = begin.elapsed();
    drop(frozen);
    let (status, said) = ended?;
    ensure!(status.success(), "{status}: {said}");
    between(
        "until its end, ns",
        took.as_nanos() as u64,
        &(NS / 10..8 * NS),
    )
}

/// Check that the agent says so, traces and ends in time when files of the host that it looks up are on a disk that does not answer:
/// a thread that waited for it would keep the agent from ending.
fn hosts_disk() -> Result<()> {
    let disk = StagedDisk::builder()
        .file_system(FileSystem::Ext4)
        .size(256 << 20)
        .start()?;
    let file = disk.mount().join("fstab");
    std::fs::write(&file, "/dev/sda1 / ext4 defaults 0 1\n")?;
    let opened = File::open(&file)?;
    opened.sync_all()?;
    // In a mount namespace of the agent's own.
    let mount = format!("mount --bind {} /etc/fstab && exec \"$@\"", file.display());
    let own = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
    let agent = Agent::everywhere()
        .with("--duration", "2s")
        .launched_by(own, &agent::program()?);
    let frozen = disk.control().freeze();
    posix_fadvise(
        opened.as_fd(),
        0,
        0,
        PosixFadviseAdvice::POSIX_FADV_DONTNEED,
    )?;
    let begin = Instant::now();
    let ended = agent
        .start()
        .and_then(|it| it.end_within(Duration::from_secs(10)));
    let took = begin.elapsed();
    drop(frozen);
    let (status, said) = ended?;
    ensure!(status.success(), "{status}: {said}");
    let trap = said.contains("took more than a second");
    ensure!(trap, "no trap was set: {said}");
    let most = 9 * NS;
    between("until its end, ns", took.as_nanos() as u64, &(NS..most))
}

/// Check that two agents on one disk count the same, and what the disk did; and that nothing of either is left.
fn two() -> Result<()> {
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    let both = [Agent::on(&disk).start()?, Agent::on(&disk).start()?];
    let objects: Vec<_> = both
        .iter()
        .flat_map(|it| bpf::objects_of(it.pid()))
        .collect();
    ensure!(
        objects.len() > 20,
        "no trap was set: they hold {} objects",
        objects.len()
    );
    Load::run("reader", &disk.device(), &[&format!("read:0:4096:{READS}")])?;
    for tracing in both {
        let trace = tracing.stop()?;
        same("reads", trace.ops(&disk, Op::Read), READS)?;
        same("missed runs", trace.lost("program_recursion_misses")?, 0)?;
    }
    let gone = wait_until(Duration::from_secs(5), || {
        !objects.iter().any(|object| object.exists())
    });
    ensure!(gone, "something is left");
    Ok(())
}

/// Check that after each end, while it attaches and while it watches, no program, map, link, mount or half a file is left;
/// and that there is a report when the end was asked for.
fn every_end() -> Result<()> {
    let mounts = mounted::mount_points()?;
    for signals in ENDS {
        for watching in [false, true] {
            end(signals, watching).with_context(|| format!("{signals:?}, watching: {watching}"))?;
        }
    }
    ensure!(
        mounted::mount_points()? == mounts,
        "something is mounted that was not"
    );
    Ok(())
}

fn end(signals: &[Signal], watching: bool) -> Result<()> {
    let folder = Scratch::new()?;
    let file = folder.path().join("stall.json");
    // What a shell runs in the background ignores SIGQUIT, and so do those it starts.
    let agent = Agent::everywhere()
        .launched_by(["env", "--default-signal"], &agent::program()?)
        .with("--output", file.to_str().context("it is UTF-8")?);
    let tracing = if watching {
        agent.start()?
    } else {
        agent.spawn()?
    };
    let objects = || bpf::objects_of(tracing.pid());
    let holds = wait_until(Duration::from_secs(20), || !objects().is_empty());
    ensure!(holds, "no trap was set: it holds no program and no map");
    let objects = objects();
    for signal in signals {
        tracing.signal(*signal)?;
    }
    let (status, said) = tracing.end()?;
    let gone = wait_until(Duration::from_secs(5), || {
        !objects.iter().any(|object| object.exists())
    });
    ensure!(gone, "the kernel still has something of it");
    let left = std::fs::read_dir(folder.path())?.flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    if signals.iter().any(|signal| ASKED.contains(signal)) {
        ensure!(
            status.success() && left == ["stall.json"],
            "{status}: {said}: {left:?}"
        );
        document::one(&std::fs::read_to_string(&file)?)?;
    } else {
        ensure!(!status.success() && left.is_empty(), "{status}: {left:?}");
    }
    Ok(())
}

/// Check that what panics is missing and counted, and all else is there, judged and written.
fn panics() -> Result<()> {
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = each(&disk);
    panic::set_hook(hook);
    result
}

fn each(disk: &StagedDisk) -> Result<()> {
    let all_but = |spared: &'static [Part]| move |part| !spared.contains(&part);
    let runs: [(&str, &dyn Fn(Part) -> bool); 3] = [
        ("nothing", &|_| false),
        ("the sums", &|part| part == Part::Sums),
        (
            "all but them",
            &all_but(&[Part::Sums, Part::Waiting, Part::Records, Part::Interval]),
        ),
    ];
    for (name, panics) in runs {
        let capture = run(disk, panics).with_context(|| format!("when {name} panics"))?;
        let sums = !capture.uses.is_empty() && !capture.series.is_empty();
        ensure!(
            sums == (name != "the sums"),
            "when {name} panics: {} uses",
            capture.uses.len()
        );
        let rest = !capture.disks.is_empty() && capture.actors.len() > 2;
        ensure!(
            rest == (name != "all but them"),
            "when {name} panics: {} actors",
            capture.actors.len()
        );
        let lost = capture
            .loss
            .iter()
            .find(|loss| loss.cause == "internal_errors");
        let lost = lost.context("they are not counted")?.count;
        let least = match name {
            "nothing" => 0,
            "the sums" => 2,
            // Four are spared, and there is no view.
            _ => Part::ALL.len() as u64 - 5,
        };
        ensure!(
            lost >= least && (lost == 0) == (least == 0),
            "when {name} panics: {lost} counted"
        );
        let report = analysis::analyze(&capture);
        ensure!(
            !report::summary(&report, None).is_empty(),
            "there is no summary"
        );
    }
    let begin = Instant::now();
    let ended = run(disk, &|part| part == Part::Waiting)?;
    ensure!(
        ended.window.interrupted && begin.elapsed() < Duration::from_secs(20),
        "it waits on"
    );
    Ok(())
}

/// A trace in this process, in which the parts that are told panic.
fn run(disk: &StagedDisk, panics: &dyn Fn(Part) -> bool) -> Result<Capture> {
    let words = [
        "stall-agent",
        "trace",
        "--quiet",
        "--duration",
        "400ms",
        "--device",
        disk.name(),
    ];
    let Some(Command::Trace(typed)) = Cli::try_parse_from(words)?.command else {
        anyhow::bail!("not a trace");
    };
    let mut config = config::Trace::new(typed, stall_agent::progress::Verbosity::Quiet)?;
    config.find_disks()?;
    let mut load = None;
    let mut before = |part| {
        // The hooks are attached when the run begins to wait.
        if part == Part::Waiting {
            load = Some(Load::start("reader", &disk.device(), &["read:0:4096:64"]));
        }
        assert!(!panics(part), "a panic of a test");
    };
    let within = Embedding {
        confine: false,
        before: &mut before,
        limits: &[],
    };
    let capture = trace::run(&config, Instant::now(), within)?;
    load.context("the run did not begin")??.wait()?;
    Ok(capture)
}
