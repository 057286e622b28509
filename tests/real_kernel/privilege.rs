//! What the agent may do while it runs: no more than it needs, and what it needs is enough.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;
use stall_agent::capture::Confinement;
use stall_tests::scratch::Scratch;
use stall_tests::spawned::threads;
use stall_tests::staged::StagedDisk;

use crate::harness::agent::{self, Agent};
use crate::harness::ftrace::EventLog;
use crate::harness::load::Load;
use crate::harness::seen::Trace;
use crate::harness::skip::Need;
use crate::harness::test::Test;
use crate::harness::{between, note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("it_gives_up_what_it_does_not_need", gives_up),
    Test::new(
        "it_is_refused_nothing_and_executes_nothing",
        refused_nothing,
    ),
    Test::new("a_user_with_five_capabilities_gets_all", of_a_user)
        .needs(&[Need::Program("setpriv")]),
    Test::new("each_capability_that_is_missing_is_named", missing)
        .needs(&[Need::Program("setpriv")]),
    Test::new("an_output_that_takes_a_capability_keeps_it", output),
];

const MIB: u64 = 1 << 20;
/// Numbers of include/uapi/linux/capability.h.
const DAC_OVERRIDE: u64 = 1 << 1;
const DAC_READ_SEARCH: u64 = 1 << 2;
const IPC_LOCK: u64 = 1 << 14;
const SYS_PTRACE: u64 = 1 << 19;
const SYSLOG: u64 = 1 << 34;
const KEPT: u64 = DAC_READ_SEARCH | IPC_LOCK | SYS_PTRACE | SYSLOG;
const FOR_ALL: &str = "+bpf,+perfmon,+sys_ptrace,+dac_read_search,+syslog";
const NOBODY: &str = "65534";

/// Check by `/proc` that each thread of a running trace has the four capabilities, can get no more, and has its system
/// calls filtered; that its memory is locked; and that the report says the same.
fn gives_up() -> Result<()> {
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    let tracing = Agent::on(&disk).start()?;
    let all = threads(tracing.pid());
    ensure!(!all.is_empty(), "it has no threads");
    for thread in all {
        let status = Status::of(thread);
        // One that reads from the host ends when it has: it may have since they were listed. The first does not.
        if status.is_err() && thread != tracing.pid() {
            continue;
        }
        let status = status?;
        let name = status.word("Name")?;
        for set in ["CapEff", "CapPrm"] {
            ensure!(
                status.set(set)? == KEPT,
                "{name}: {set} is {:x}",
                status.set(set)?
            );
        }
        for set in ["CapInh", "CapAmb"] {
            same(set, status.set(set)?, 0)?;
        }
        ensure!(
            status.word("NoNewPrivs")? == "1" && status.word("Seccomp")? == "2",
            "{name}: {status:?}"
        );
    }
    let locked = kib(
        &fs::read_to_string(format!("/proc/{}/smaps_rollup", tracing.pid()))?,
        "Locked",
    )?;
    Load::run("reader", &disk.device(), &["read:0:4096:64"])?;
    let trace = tracing.stop()?;
    let confinement = confinement(&trace)?;
    let names = [
        "CAP_DAC_READ_SEARCH",
        "CAP_IPC_LOCK",
        "CAP_SYS_PTRACE",
        "CAP_SYSLOG",
    ];
    ensure!(confinement.capabilities == names, "{confinement:?}");
    ensure!(
        confinement.no_new_privileges && confinement.system_call_filter,
        "{confinement:?}"
    );
    ensure!(
        confinement.memory_locked && confinement.refused.is_empty(),
        "{confinement:?}"
    );
    let told = confinement
        .memory_locked_bytes
        .context("it does not tell")?;
    between(
        "locked, bytes",
        told,
        &(locked.saturating_sub(MIB)..locked + 16 * MIB),
    )?;
    Ok(())
}

/// Check with the kernel's own log that from its start to its end the agent executes one program, itself, and that no
/// call fails with `EPERM` once the filter stands: what a run needs is in it.
fn refused_nothing() -> Result<()> {
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    let log = EventLog::of(&[
        ("sched/sched_process_exec", ""),
        ("sched/sched_process_fork", ""),
        ("raw_syscalls/sys_exit", "ret == -1"),
    ])?;
    let tracing = Agent::on(&disk).with("--interval", "100ms").start()?;
    let pid = tracing.pid();
    Load::run("reader", &disk.device(), &["read:0:4096:64"])?;
    std::thread::sleep(Duration::from_millis(300));
    tracing.stop()?;
    let lines = log.lines()?;
    let own = descendants(&lines, pid);
    let of_own = |line: &&String| line_pid(line).is_some_and(|pid| own.contains(&pid));
    let executed = lines
        .iter()
        .filter(of_own)
        .filter(|line| line.contains("sched_process_exec:"));
    same("programs executed", executed.count() as u64, 1)?;
    ensure!(own.len() > 2, "no trap was set: its threads were not seen");
    let refused: Vec<_> = lines
        .iter()
        .filter(of_own)
        .filter(|line| line.contains("sys_exit:"))
        .collect();
    ensure!(refused.is_empty(), "calls were refused: {refused:?}");
    Ok(())
}

/// Check that a user who is not root gets a whole report with the five capabilities of the documentation.
fn of_a_user() -> Result<()> {
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    let (_folder, program) = public_copy()?;
    let inherited = format!("--inh-caps={FOR_ALL}");
    let ambient = format!("--ambient-caps={FOR_ALL}");
    let ids = [
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
        &inherited,
        &ambient,
    ];
    let launcher = ["setpriv"].iter().chain(&ids).copied();
    let tracing = Agent::on(&disk)
        .launched_by(launcher, &program)
        .of_user(65534)
        .start()?;
    let kernels = Load::run("reader", &disk.device(), &["read:0:4096:64"])?;
    let trace = tracing.stop()?;
    let actor = trace.actor(kernels.pid)?;
    let exe = actor
        .process
        .as_ref()
        .and_then(|process| process.exe.as_ref());
    ensure!(exe.is_some(), "the program of root's process is not known");
    same(
        "stacks without symbols",
        trace.lost("stacks_without_symbols")?,
        0,
    )?;
    let lacking: Vec<_> = confinement(&trace)?
        .lacking
        .iter()
        .map(|it| it.capability.as_str())
        .collect();
    ensure!(lacking == ["CAP_IPC_LOCK", "CAP_SYS_ADMIN"], "{lacking:?}");
    Ok(())
}

/// Check that without a capability it takes there is one sentence that names it, and without another a report that
/// names it.
fn missing() -> Result<()> {
    let disk = StagedDisk::builder().size(256 << 20).start()?;
    for (without, name) in [("bpf", "CAP_BPF"), ("perfmon", "CAP_PERFMON")] {
        let launcher = bounded(without);
        let agent =
            Agent::on(&disk).launched_by(launcher.iter().map(String::as_str), &agent::program()?);
        let (status, said) = agent.spawn()?.end()?;
        ensure!(status.code() == Some(3), "without {name}: {status}: {said}");
        same("lines", said.lines().count() as u64, 1)?;
        ensure!(said.contains(&format!("{name} is missing")), "{said}");
    }
    let optional = [
        ("sys_ptrace", "CAP_SYS_PTRACE"),
        ("dac_read_search", "CAP_DAC_READ_SEARCH"),
        ("syslog", "CAP_SYSLOG"),
        ("ipc_lock", "CAP_IPC_LOCK"),
        ("sys_admin", "CAP_SYS_ADMIN"),
    ];
    for (without, name) in optional {
        let launcher = bounded(without);
        let agent =
            Agent::on(&disk).launched_by(launcher.iter().map(String::as_str), &agent::program()?);
        let tracing = agent.with("--duration", "200ms").start()?;
        let (trace, said) = tracing.finish_with_words()?;
        let confinement = confinement(&trace)?;
        let lacking = confinement.lacking.iter().map(|it| it.capability.as_str());
        ensure!(lacking.eq([name]), "without {name}: {confinement:?}");
        ensure!(
            said.contains(&format!("without {name} the report lacks")),
            "{said}"
        );
        ensure!(
            confinement.memory_locked == (name != "CAP_IPC_LOCK"),
            "{confinement:?}"
        );
    }
    Ok(())
}

/// Check that root writes a report into another user's directory, by the capability that this takes, which the process that
/// writes it keeps and no other; and that those processes are confined, too.
fn output() -> Result<()> {
    let folder = Scratch::new()?;
    let theirs = folder.path().join("theirs");
    fs::create_dir(&theirs)?;
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o755))?;
    std::os::unix::fs::chown(&theirs, Some(65534), Some(65534))?;
    let file = theirs.join("stall.json");
    let path = file.to_str().context("it is UTF-8")?;
    let tracing = Agent::everywhere()
        .with("--duration", "300ms")
        .with("--output", path)
        .start()?;
    same(
        "held by it",
        Status::of(tracing.pid())?.set("CapEff")?,
        KEPT,
    )?;
    let writers = tracing.writers().into_iter().map(Status::of);
    let writers = writers.collect::<Result<Vec<_>>>()?;
    let held = writers.iter().map(|it| it.set("CapPrm"));
    let held = held.collect::<Result<BTreeSet<_>>>()?;
    ensure!(
        held == BTreeSet::from([IPC_LOCK, IPC_LOCK | DAC_OVERRIDE]),
        "those that write hold {held:x?}"
    );
    for writer in &writers {
        ensure!(
            writer.word("NoNewPrivs")? == "1" && writer.word("Seccomp")? == "2",
            "{writer:?}"
        );
    }
    let (status, said) = tracing.end()?;
    ensure!(status.success(), "{status}: {said}");
    let mode = fs::metadata(&file)?.permissions().mode();
    same("mode", u64::from(mode & 0o777), 0o600)?;
    same("files", fs::read_dir(&theirs)?.count() as u64, 1)
}

/// Runs with all capabilities that a trace uses but one.
fn bounded(without: &str) -> Vec<String> {
    let used =
        "bpf perfmon sys_admin sys_ptrace dac_read_search syslog ipc_lock dac_override fowner";
    // CAP_SYS_ADMIN stands for the two that are required.
    let stands_in = matches!(without, "bpf" | "perfmon");
    let is_held = |name: &&str| *name != without && !(stands_in && *name == "sys_admin");
    let held: Vec<_> = used
        .split(' ')
        .filter(is_held)
        .map(|name| format!("+{name}"))
        .collect();
    let held = held.join(",");
    [
        "setpriv".to_owned(),
        format!("--bounding-set=-all,{held}"),
        format!("--inh-caps=-all,{held}"),
    ]
    .into()
}

/// A copy of the agent that everybody may execute.
fn public_copy() -> Result<(Scratch, std::path::PathBuf)> {
    let folder = Scratch::new()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let program = folder.copy(&agent::program()?, "stall-agent")?;
    Ok((folder, program))
}

fn confinement(trace: &Trace) -> Result<&Confinement> {
    trace
        .capture
        .confinement
        .as_ref()
        .context("the capture tells of no confinement")
}

/// A process and all it started, by the kernel's log.
fn descendants(lines: &[String], first: Pid) -> BTreeSet<i32> {
    let mut all = BTreeSet::from([first.as_raw()]);
    for line in lines
        .iter()
        .filter(|line| line.contains("sched_process_fork:"))
    {
        let child = line
            .rsplit_once("child_pid=")
            .and_then(|(_, pid)| pid.trim().parse().ok());
        if let (Some(parent), Some(child)) = (line_pid(line), child)
            && all.contains(&parent)
        {
            all.insert(child);
        }
    }
    note!("{} threads", all.len());
    all
}

/// `  stall-agent-123   [001] ...`
fn line_pid(line: &str) -> Option<i32> {
    let (task, _) = line.split_once(" [")?;
    let (_, pid) = task.trim().rsplit_once('-')?;
    pid.parse().ok()
}

#[derive(Debug)]
struct Status(String);

impl Status {
    fn of(thread: Pid) -> Result<Self> {
        let path = Path::new("/proc")
            .join(thread.to_string())
            .join(OsStr::new("status"));
        fs::read_to_string(path)
            .map(Self)
            .context("reading the status of a thread")
    }

    fn word(&self, key: &str) -> Result<&str> {
        let line = self
            .0
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.map(str::trim).with_context(|| format!("no {key}"))
    }

    fn set(&self, key: &str) -> Result<u64> {
        Ok(u64::from_str_radix(self.word(key)?, 16)?)
    }
}

fn kib(text: &str, key: &str) -> Result<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(number
        .with_context(|| format!("no {key}"))?
        .parse::<u64>()?
        * 1024)
}
