//! Whether a program has its hooks in the kernel and waits for what they tell.
//!
//! Contract: asks /proc alone, and knows nothing of the program.

use std::fs;
use std::time::Duration;

use nix::unistd::Pid;

use crate::spawned::{state, wait_until};

/// Waits until the process waits for events and holds links of BPF programs; false when it ended, or the time is over.
pub fn wait_until_watching(pid: Pid, within: Duration) -> bool {
    let mut watches = false;
    wait_until(within, || {
        watches = waits_for_events(pid) && holds_links(pid);
        watches || matches!(state(pid), None | Some('Z'))
    });
    watches
}

fn holds_links(pid: Pid) -> bool {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo"));
    let infos = entries.into_iter().flatten();
    let mut infos = infos.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    infos.any(|info| info.lines().any(|line| line.starts_with("link_id:")))
}

/// Whether its first thread waits in epoll.
fn waits_for_events(pid: Pid) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|word| word.parse().ok());
    number.is_some_and(|number: i64| EPOLL.contains(&number))
}

#[cfg(target_arch = "x86_64")]
const EPOLL: [i64; 2] = [libc::SYS_epoll_pwait, libc::SYS_epoll_wait];
#[cfg(not(target_arch = "x86_64"))]
const EPOLL: [i64; 1] = [libc::SYS_epoll_pwait];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_no_links_does_not_watch() {
        let own = nix::unistd::getpid();
        assert!(!holds_links(own));
        assert!(!wait_until_watching(own, Duration::from_millis(1)));
    }
}
