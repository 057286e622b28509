//! Whether this process sees the host as the host's own processes do, and what it costs when it does not.

use super::HostRoot;
use stall_capture::View;

/// `PROC_PID_INIT_INO` in include/linux/proc_ns.h.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Compares the namespaces of this process with those of the host's first.
#[must_use]
pub fn view(root: &HostRoot) -> View {
    let own = HostRoot::default();
    let pid_namespace = own.link("proc/self/ns/pid");
    View {
        host_root: root.path("").display().to_string(),
        pid_namespace_is_hosts: pid_namespace.map(|own| own == FIRST_PID_NAMESPACE),
        mount_namespace_is_hosts: has_mounts_of_first(root),
        proc_is_hosts: root
            .link("proc/1/ns/pid")
            .map(|first| first == FIRST_PID_NAMESPACE),
    }
}

/// Whether this process is in the mount namespace of the first process below `root`.
#[must_use]
pub fn has_mounts_of_first(root: &HostRoot) -> Option<bool> {
    let own = HostRoot::default().link("proc/self/ns/mnt")?;
    let first = root.link("proc/1/ns/mnt")?;
    Some(own == first)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn a_proc_that_shows_the_first_namespace_is_the_hosts() {
        let fixture = Fixture::new();
        fixture
            .link("proc/1/ns/pid", FIRST_PID_NAMESPACE)
            .link("proc/1/ns/mnt", "mnt:[1]");
        let view = view(&fixture.root());
        assert_eq!(view.proc_is_hosts, Some(true));
        assert_eq!(view.mount_namespace_is_hosts, Some(false));
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let view = view(&Fixture::new().root());
        assert_eq!(view.proc_is_hosts, None);
        assert_eq!(view.mount_namespace_is_hosts, None);
    }
}
