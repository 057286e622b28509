//! Keeps the process in memory: its program may lie on the disk that hangs, and a page of it that has to be read from
//! there stops the agent in the very D sleep it came to look at.
//!
//! What there is becomes resident and stays. Memory taken later stays once it is used, and costs nothing before:
//! `MCL_ONFAULT` (4.4), else the stacks of threads alone would take more than the budget.

use std::ffi::c_void;

use rustix::mm::{MlockAllFlags, mlock, mlockall};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// Part of the address space that has a file behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    end: usize,
}

/// Locks what is mapped, and what will be.
///
/// # Errors
///
/// In words.
pub(super) fn lock() -> Result<(), String> {
    if !is_unlimited() {
        return Err(
            "memory is not locked: this needs CAP_IPC_LOCK or ulimit -l unlimited".to_owned(),
        );
    }
    let say = |error| format!("memory is not locked ({error})");
    give_back();
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(flags).map_err(say)?;
    let maps = std::fs::read_to_string("/proc/self/maps");
    let maps = maps.map_err(|error| format!("the program was not read into memory ({error})"))?;
    for mapping in maps.lines().filter_map(of_file) {
        let length = mapping.end - mapping.start;
        // SAFETY: mlock(2) neither moves nor changes memory; a range that is not mapped (any more) is an error.
        unsafe { mlock(mapping.start as *mut c_void, length) }.map_err(say)?;
    }
    Ok(())
}

/// Gives freed memory back to the kernel, while it is not locked: attaching takes 15 MB for the kernel's type information, which would
/// stay. musl's allocator gives large pieces back by itself.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) concerns memory that is free only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes of this process that are locked and in memory; `None` when the kernel does not tell.
#[must_use]
pub fn locked_bytes() -> Option<u64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    locked_in(&rollup)
}

fn locked_in(rollup: &str) -> Option<u64> {
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Locked:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

/// With a limit, each later mapping beyond it would fail (`mlock_future_ok`, mm/mmap.c), and the agent with it.
fn is_unlimited() -> bool {
    let may = |it: CapabilitySet| capabilities(None).is_ok_and(|sets| sets.effective.contains(it));
    may(CapabilitySet::IPC_LOCK) || getrlimit(Resource::Memlock).current.is_none()
}

/// `7f12a000-7f12b000 r-xp 00001000 fe:00 123  /usr/bin/x`: readable, and of a file on a disk.
fn of_file(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let readable = fields.next()?.starts_with('r');
    let inode: u64 = fields.nth(2)?.parse().ok()?;
    let address = |hex| usize::from_str_radix(hex, 16).ok();
    let mapping = Mapping {
        start: address(start)?,
        end: address(end)?,
    };
    let is_mapping = mapping.start < mapping.end;
    // BPF rings have an inode too, of no disk; the kernel locks none of them (`VM_SPECIAL`), and says so with no error.
    (readable && inode != 0 && is_mapping).then_some(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_has_a_file_behind_it() {
        let mapping = Mapping {
            start: 0x1000,
            end: 0x3000,
        };
        let line = "1000-3000 r-xp 00001000 fe:00 123 /tmp/a b";
        assert_eq!(of_file(line), Some(mapping));
        for line in [
            "1000-3000 ---p 00001000 fe:00 123 /tmp/x",
            "1000-3000 rw-p 00000000 00:00 0 [heap]",
            "3000-1000 r--p 00000000 fe:00 123 /tmp/x",
            "",
            "nonsense",
        ] {
            assert_eq!(of_file(line), None, "{line}");
        }
    }

    #[test]
    fn reads_what_is_locked() {
        let rollup = "1000-2000 ---p 00000000 00:00 0 [rollup]\nRss: 12 kB\nLocked:   8 kB\n";
        assert_eq!(locked_in(rollup), Some(8192));
        assert_eq!(locked_in("Rss: 12 kB\n"), None);
        assert!(locked_bytes().is_some());
    }
}
