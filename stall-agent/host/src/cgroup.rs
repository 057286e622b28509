//! Which systemd unit or scope a process belongs to, by its lines of `/proc/<pid>/cgroup`.
//!
//! Pure. Serves cgroup v1, v2 and both at once (hybrid): the line of the hierarchy that systemd keeps
//! is asked first (`name=systemd`, then the unified one), then any other, since a process can be
//! moved in some hierarchies and not in others.

/// One line: `id:controllers:path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Empty for the unified hierarchy.
    pub controllers: &'a str,
    pub path: &'a str,
}

impl<'a> Line<'a> {
    /// The path is all after the second colon: it may hold colons itself.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut parts = line.splitn(3, ':');
        let id = parts.next()?;
        id.parse::<u32>().ok()?;
        let controllers = parts.next()?;
        let path = parts.next()?;
        path.starts_with('/').then_some(Self { controllers, path })
    }

    /// Order in which the lines are believed.
    fn rank(&self) -> u8 {
        match self.controllers {
            "name=systemd" => 0,
            "" => 1,
            _ => 2,
        }
    }
}

/// The systemd service, scope or other unit that the lines name, as systemd itself reads them (`cg_path_get_unit`):
/// below slices the first part is the unit, and what lies in it is not systemd's. In a user's manager
/// (`user@1000.service`), the unit of that manager.
///
/// Slices hold units and are none that a person would stop: they do not count. A line that leads elsewhere than to
/// the root speaks for those after it: what is in a pod of the cgroupfs driver is in no unit, although the unified
/// hierarchy of a hybrid host may have left it in the one that started the runtime.
#[must_use]
pub fn unit<S: AsRef<str>>(lines: &[S]) -> Option<String> {
    let mut lines: Vec<_> = lines
        .iter()
        .filter_map(|line| Line::parse(line.as_ref()))
        .collect();
    lines.sort_by_key(Line::rank);
    let mut placed = lines.iter().filter(|line| line.path != "/");
    unit_in(placed.next()?.path)
}

fn unit_in(path: &str) -> Option<String> {
    let mut parts = path.split('/').filter(|part| !is_passed_over(part));
    let first = parts.next().filter(|part| is_unit(part))?;
    let of_user = first.starts_with("user@").then(|| parts.next()).flatten();
    let unit = of_user.filter(|part| is_unit(part)).unwrap_or(first);
    Some(unescape(unit))
}

/// Slices, and the way up out of the reader's own control group namespace.
fn is_passed_over(part: &str) -> bool {
    part.is_empty() || part == ".." || part.ends_with(".slice")
}

/// What systemd puts processes under.
fn is_unit(part: &str) -> bool {
    const KINDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
    KINDS
        .iter()
        .any(|kind| part.strip_suffix(kind).is_some_and(|name| !name.is_empty()))
}

/// systemd prefixes a `_` to unit names that clash with a file of the cgroup file system
/// (`cg_escape`); a unit's own name never starts with one before a kernel's controller name.
fn unescape(part: &str) -> String {
    part.strip_prefix('_').unwrap_or(part).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit_of(text: &str) -> Option<String> {
        unit(&text.lines().collect::<Vec<_>>())
    }

    #[test]
    fn names_a_service_of_the_unified_hierarchy() {
        assert_eq!(
            unit_of("0::/system.slice/fstrim.service").unwrap(),
            "fstrim.service"
        );
    }

    #[test]
    fn names_a_session_and_a_service_of_a_user() {
        let session = "0::/user.slice/user-1000.slice/session-3.scope";
        assert_eq!(unit_of(session).unwrap(), "session-3.scope");
        let nested = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/tmux.service";
        assert_eq!(unit_of(nested).unwrap(), "tmux.service");
    }

    #[test]
    fn names_a_container_of_the_systemd_driver() {
        let scope = "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-ab12.scope";
        assert_eq!(unit_of(scope).unwrap(), "cri-containerd-ab12.scope");
    }

    #[test]
    fn asks_systemds_own_hierarchy_first_on_a_hybrid_host() {
        let text = "12:memory:/system.slice/rke2-server.service\n\
                    11:blkio:/\n\
                    1:name=systemd:/system.slice/fstrim.service\n\
                    0::/system.slice/other.service";
        assert_eq!(unit_of(text).unwrap(), "fstrim.service");
    }

    #[test]
    fn falls_back_on_a_controller_that_has_one() {
        let text = "5:memory:/system.slice/containerd.service\n1:name=systemd:/\n0::/";
        assert_eq!(unit_of(text).unwrap(), "containerd.service");
    }

    #[test]
    fn a_pod_of_the_cgroupfs_driver_has_none() {
        let text = "0::/kubepods/burstable/pod5f0c-11/0a1b2c";
        assert_eq!(unit_of(text), None);
        let hybrid = "4:blkio:/kubepods/pod5f0c-11/0a\n1:name=systemd:/kubepods/pod5f0c-11/0a\n0::/system.slice/rke2-server.service";
        assert_eq!(unit_of(hybrid), None);
    }

    #[test]
    fn a_systemd_in_a_container_names_no_unit_of_the_host() {
        let scope = "0::/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-ab12.scope/system.slice/fstrim.service";
        assert_eq!(unit_of(scope).unwrap(), "cri-containerd-ab12.scope");
        let cgroupfs = "0::/kubepods/pod5f0c-11/0a1b2c/system.slice/fstrim.service";
        assert_eq!(unit_of(cgroupfs), None);
    }

    #[test]
    fn the_way_out_of_a_namespace_is_passed_over() {
        let text = "0::/../../../system.slice/fstrim.service";
        assert_eq!(unit_of(text).unwrap(), "fstrim.service");
    }

    #[test]
    fn is_silent_on_what_is_not_a_line() {
        for text in [
            "",
            ":",
            "::",
            "x::/a.service",
            "0::a.service",
            "0::/",
            "0::/.service",
        ] {
            assert_eq!(unit_of(text), None, "{text}");
        }
    }

    #[test]
    fn takes_colons_in_a_path_as_they_are() {
        let line = Line::parse("0::/system.slice/a:b.service").unwrap();
        assert_eq!(line.path, "/system.slice/a:b.service");
    }

    #[test]
    fn undoes_systemds_escape() {
        assert_eq!(
            unit_of("0::/system.slice/_cpu.service").unwrap(),
            "cpu.service"
        );
    }

    proptest! {
        #[test]
        fn any_text_has_a_unit_or_none(text in "[0-9:a-z/._=-]{0,80}|.{0,80}") {
            let lines: Vec<_> = text.lines().collect();
            if let Some(unit) = unit(&lines) {
                prop_assert!(!unit.contains('/') && unit.contains('.'));
            }
        }
    }
}
