//! Who a process is, by its pid: `/proc/<pid>`.
//!
//! A pid is only a name for as long as its process lives. The start time is read before and after the
//! rest, and compared with the one expected, so that a process that took over a pid is not described
//! as the one before.

use std::io;

use super::{HostRoot, cgroup};
use stall_capture::Process;

/// `USER_HZ`: the unit of times in `/proc`, the same on all architectures served.
const TICK_NS: u64 = 10_000_000;
/// `PF_KTHREAD`
const KERNEL_THREAD: u64 = 0x0020_0000;
/// Kept of a command line: QEMU's takes several KiB, and what names the VM comes early.
const MAX_ARGS: usize = 4096;
const MAX_CGROUP: u64 = 8192;
const MAX_STAT: u64 = 4096;

/// Why a process is not described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Missing {
    #[error("it had ended")]
    Ended,
    #[error("its pid had passed to another process")]
    Reused,
    #[error("/proc could not be read")]
    Unreadable,
    #[error("the agent failed at it")]
    Failed,
}

/// Describes a process. `start` is its start in nanoseconds of `CLOCK_BOOTTIME` where known: the
/// one described started within a tick of it.
///
/// # Errors
///
/// When there is no such process, or not any more.
pub fn process(root: &HostRoot, pid: u32, start: Option<u64>) -> Result<Process, Missing> {
    let before = stat(root, pid)?;
    if start.is_some_and(|start| !same_tick(start, before.start_ticks)) {
        return Err(Missing::Reused);
    }
    let process = describe(root, pid, &before, start);
    match stat(root, pid) {
        Ok(after) if after.start_ticks == before.start_ticks => Ok(process),
        Ok(_) => Err(Missing::Reused),
        // What was read before it ended is still true of it.
        Err(_) if !process.args.is_empty() || process.kernel_thread => Ok(process),
        Err(missing) => Err(missing),
    }
}

/// All processes.
pub fn pids(root: &HostRoot) -> impl Iterator<Item = u32> + use<> {
    let entries = root.path("proc").read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What `/proc/<pid>/stat` alone says, which waits for no lock of the process: its name, start and parent.
#[must_use]
pub fn brief(root: &HostRoot, pid: u32) -> Option<Process> {
    let stat = stat(root, pid).ok()?;
    Some(Process {
        pid,
        kernel_thread: stat.flags & KERNEL_THREAD != 0,
        start_boottime_ns: stat.start_ticks.saturating_mul(TICK_NS),
        parent_pid: (stat.parent != 0).then_some(stat.parent),
        comm: stat.comm,
        ..Process::default()
    })
}

/// Name of one thread.
#[must_use]
pub fn thread_comm(root: &HostRoot, pid: u32, tid: u32) -> Option<String> {
    root.value(format!("proc/{pid}/task/{tid}/comm"))
}

fn describe(root: &HostRoot, pid: u32, stat: &Stat, start: Option<u64>) -> Process {
    let (comm, worker) = names(root, pid, stat);
    let (args, args_truncated) = arguments(root, pid);
    let cgroup = cgroup_lines(root, pid);
    Process {
        pid,
        comm,
        worker,
        kernel_thread: stat.flags & KERNEL_THREAD != 0,
        start_boottime_ns: start.unwrap_or(stat.start_ticks.saturating_mul(TICK_NS)),
        args,
        args_truncated,
        exe: root.link(format!("proc/{pid}/exe")),
        unit: cgroup::unit(&cgroup),
        cgroup,
        parent_pid: (stat.parent != 0).then_some(stat.parent),
        ..Process::default()
    }
}

/// The name, and of a kernel worker the work queue it last served.
fn names(root: &HostRoot, pid: u32, stat: &Stat) -> (String, Option<String>) {
    let comm = root.value(format!("proc/{pid}/comm"));
    let comm = comm.unwrap_or_else(|| stat.comm.clone());
    if stat.flags & KERNEL_THREAD == 0 {
        return (comm, None);
    }
    match split_worker(&comm) {
        Some((name, queue)) => (name.to_owned(), Some(queue.to_owned())),
        None => (comm, None),
    }
}

/// `kworker/u8:3-loop1` (idle) and `kworker/u8:3+loop1` (at work) serve `loop1`; so does its rescuer,
/// `kworker/R-loop1`.
pub fn split_worker(comm: &str) -> Option<(&str, &str)> {
    let id = comm.strip_prefix("kworker/")?;
    let end = id.find(['-', '+'])?;
    let name = &comm[..comm.len() - id.len() + end];
    let queue = &id[end + 1..];
    (!queue.is_empty()).then_some((name, queue))
}

fn arguments(root: &HostRoot, pid: u32) -> (Vec<String>, bool) {
    let content = root.at_once(format!("proc/{pid}/cmdline"), MAX_ARGS + 1);
    split_arguments(&content.unwrap_or_default())
}

/// Arguments end in NUL. A program that rewrote its command line leaves any number of them at its
/// end, so empty arguments there are not kept.
pub fn split_arguments(content: &[u8]) -> (Vec<String>, bool) {
    let truncated = content.len() > MAX_ARGS;
    let content = &content[..content.len().min(MAX_ARGS)];
    (all_arguments(content), truncated)
}

/// The same of a content however long.
pub(super) fn all_arguments(content: &[u8]) -> Vec<String> {
    let Some(end) = content.iter().rposition(|byte| *byte != 0) else {
        return Vec::new();
    };
    let args = content[..=end].split(|byte| *byte == 0);
    args.map(|arg| String::from_utf8_lossy(arg).into_owned())
        .collect()
}

fn cgroup_lines(root: &HostRoot, pid: u32) -> Vec<String> {
    let text = root.text(format!("proc/{pid}/cgroup"), MAX_CGROUP);
    text.unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// What is used of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
pub struct Stat {
    pub comm: String,
    parent: u32,
    flags: u64,
    start_ticks: u64,
}

fn stat(root: &HostRoot, pid: u32) -> Result<Stat, Missing> {
    let content = root
        .bytes(format!("proc/{pid}/stat"), MAX_STAT)
        .map_err(|error| why(&error))?;
    parse_stat(&String::from_utf8_lossy(&content)).ok_or(Missing::Unreadable)
}

/// A process that ends between open and read gives `ESRCH`.
fn why(error: &io::Error) -> Missing {
    let ended =
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH);
    if ended {
        Missing::Ended
    } else {
        Missing::Unreadable
    }
}

/// The name stands in parentheses and may hold any byte, parentheses and line feeds too: it ends at
/// the last one.
pub fn parse_stat(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let (_, comm) = head.split_once('(')?;
    // proc(5): the state is field 3.
    let fields: Vec<_> = tail.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        comm: comm.to_owned(),
        parent: field(4)?.parse().ok()?,
        flags: field(9)?.parse().ok()?,
        start_ticks: field(22)?.parse().ok()?,
    })
}

/// The kernel rounds down; a tick more is left for the rounding of time namespaces.
fn same_tick(start_ns: u64, ticks: u64) -> bool {
    (start_ns / TICK_NS).abs_diff(ticks) <= 1
}

#[cfg(test)]
#[path = "procfs_tests.rs"]
mod tests;
