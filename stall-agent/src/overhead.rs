//! What the agent itself cost, by the kernel's own count.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;

use aya::Ebpf;
use aya::sys::{Stats, enable_stats};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::capture::{Overhead, ProgramCost};

/// While this lives, the kernel times every BPF program (`BPF_ENABLE_STATS`, since 5.8); `None`
/// where it does not.
#[must_use]
pub fn measure() -> Option<OwnedFd> {
    enable_stats(Stats::RunTime).ok()
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
    fn this_process_has_used_memory_and_time() {
        let overhead = of_process();
        assert!(overhead.peak_rss_bytes > 1 << 20);
        assert!(overhead.cpu_user_ns + overhead.cpu_system_ns > 0);
    }
}
