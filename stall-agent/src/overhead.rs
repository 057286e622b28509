//! What the agent itself cost, by the kernel's own count.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::sys::{Stats, enable_stats};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use stall_capture::{Overhead, ProgramCost};

/// How long the programs are timed: it costs each run of each of them two readings of a clock, and a second has all there is to
/// know.
const TIMED: Duration = Duration::from_secs(1);

/// The kernel's timing of every BPF program (`BPF_ENABLE_STATS`, since 5.8), from the start of the window on.
pub struct Timing {
    /// The kernel times as long as this is open; `None` also where it does not at all.
    open: Option<OwnedFd>,
    since: Instant,
    took: Duration,
}

impl Timing {
    /// Begins, or begins again.
    #[must_use]
    pub fn start() -> Self {
        Self {
            open: enable_stats(Stats::RunTime).ok(),
            since: Instant::now(),
            took: Duration::ZERO,
        }
    }

    /// Ends once it has been long enough.
    pub fn end_when_due(&mut self) {
        if self.since.elapsed() >= TIMED {
            self.end();
        }
    }

    /// Ends. Returns how long it was, ns.
    pub fn end(&mut self) -> u64 {
        if self.open.take().is_some() {
            self.took = self.since.elapsed();
        }
        self.took.as_nanos() as u64
    }
}

/// What the loaded programs cost so far.
#[must_use]
pub fn programs(ebpf: &Ebpf) -> Vec<ProgramCost> {
    let mut rows: Vec<ProgramCost> = ebpf
        .programs()
        .filter_map(|(name, program)| {
            let fd = program.fd().ok()?;
            Some(cost(name, &fd_info(fd.as_fd().as_raw_fd())?))
        })
        .collect();
    rows.sort_by(|a, b| a.program.cmp(&b.program));
    rows
}

/// Memory the kernel charges for this process's BPF maps, bytes.
#[must_use]
pub fn map_memory_bytes() -> u64 {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return 0;
    };
    let maps = entries.flatten().filter_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        (target == Path::new("anon_inode:bpf-map")).then_some(())?;
        fd_info(entry.file_name().to_str()?.parse().ok()?)
    });
    maps.filter_map(|info| field(&info, "memlock:")).sum()
}

/// CPU time of this process and its peak memory.
#[must_use]
pub fn of_process() -> Overhead {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
    let ns = |time: nix::sys::time::TimeVal| time.num_nanoseconds().unsigned_abs();
    Overhead {
        cpu_user_ns: usage.map_or(0, |usage| ns(usage.user_time())),
        cpu_system_ns: usage.map_or(0, |usage| ns(usage.system_time())),
        peak_rss_bytes: peak_rss_bytes().unwrap_or(0),
        ..Overhead::default()
    }
}

/// `VmHWM`
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(field(&status, "VmHWM:")? * 1024)
}

fn cost(name: &str, info: &str) -> ProgramCost {
    ProgramCost {
        program: name.to_owned(),
        runs: field(info, "run_cnt:").unwrap_or(0),
        run_ns: field(info, "run_time_ns:").unwrap_or(0),
        recursion_misses: field(info, "recursion_misses:").unwrap_or(0),
        verified_instructions: field(info, "verified_insns:")
            .and_then(|count| u32::try_from(count).ok()),
    }
}

fn fd_info(fd: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()
}

/// `name:\tnumber` on a line of its own.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_fdinfo_is_read() {
        let info = "pos:\t0\nprog_id:\t9\nrun_time_ns:\t900\nrun_cnt:\t3\nrecursion_misses:\t1\nverified_insns:\t40\n";
        let cost = cost("x", info);
        assert_eq!((cost.runs, cost.run_ns, cost.recursion_misses), (3, 900, 1));
        assert_eq!(cost.verified_instructions, Some(40));
    }

    #[test]
    fn timing_ends_once_and_when_it_is_due() {
        let began = Instant::now().checked_sub(2 * TIMED).unwrap();
        let open = std::fs::File::open("/dev/null").unwrap();
        let mut timing = Timing {
            open: Some(open.into()),
            since: began,
            took: Duration::ZERO,
        };
        timing.end_when_due();
        let took = timing.end();
        assert!(timing.open.is_none() && took >= 2_000_000_000);
        assert_eq!(timing.end(), took);
    }

    #[test]
    fn this_process_has_used_memory_and_time() {
        let overhead = of_process();
        assert!(overhead.peak_rss_bytes > 1 << 20);
        assert!(overhead.cpu_user_ns + overhead.cpu_system_ns > 0);
    }
}
