//! Which container and pod a process is in, by its lines of `/proc/<pid>/cgroup`.
//!
//! Pure. Serves the systemd driver (`kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope`, the uid's dashes
//! written as underscores), the cgroupfs driver (`kubepods/burstable/pod<uid>/<id>`), and cgroup v1, v2 and both at
//! once: the first line that names a pod or a container is believed, hybrid hosts name them in the v1 lines only.
//! Static pods have a uid of 32 hexadecimal digits without dashes. A Kubernetes inside of a container has pods of its
//! own: the outermost is the host's, and nothing on the host names the others. What users call the control groups
//! below `user.slice`, which are theirs, is not believed.

use super::cgroup::Line;

/// Where users have control groups of their own (systemd.special(7)).
const USERS: &str = "user.slice";

/// What a cgroup path names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// With dashes, as the API server writes it.
    pub pod_uid: Option<String>,
    /// 64 hexadecimal digits.
    pub container_id: Option<String>,
}

/// The pod and container the lines name; both `None` outside of any.
#[must_use]
pub fn place<S: AsRef<str>>(lines: &[S]) -> Place {
    let lines = lines.iter().filter_map(|line| Line::parse(line.as_ref()));
    let mut best = Place::default();
    for line in lines {
        let found = place_in(line.path);
        if found.pod_uid.is_some() && found.container_id.is_some() {
            return found;
        }
        best.pod_uid = best.pod_uid.or(found.pod_uid);
        best.container_id = best.container_id.or(found.container_id);
    }
    best
}

fn place_in(path: &str) -> Place {
    let mut place = Place::default();
    // With a runtime that was told of systemd and one that was not: `<slice>:cri-containerd:<id>`.
    let parts = path
        .split(['/', ':'])
        .filter(|part| !matches!(*part, "" | ".."));
    for (depth, part) in parts.enumerate() {
        if depth == 0 && part == USERS {
            break;
        }
        if place.pod_uid.is_none() {
            place.pod_uid = pod_uid(part);
        }
        place.container_id = container_id(part).map(str::to_owned);
        if place.container_id.is_some() {
            break;
        }
    }
    place
}

fn pod_uid(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        Some(slice) => slice
            .strip_prefix("kubepods")
            .and_then(|rest| rest.rsplit_once("-pod"))
            .map(|(_, uid)| uid.replace('_', "-")),
        None => part.strip_prefix("pod").map(str::to_owned),
    }?;
    is_uid(&uid).then_some(uid)
}

/// `8-4-4-4-12` hexadecimal digits, or 32 of a static pod.
pub(super) fn is_uid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    let plausible = lengths == [8, 4, 4, 4, 12] || lengths == [32];
    plausible && groups.iter().all(|group| is_hex(group))
}

/// `cri-containerd-<id>.scope`, `crio-<id>.scope`, `docker-<id>.scope`, or the bare id.
fn container_id(part: &str) -> Option<&str> {
    let scope = part.strip_suffix(".scope");
    let id = scope
        .and_then(|scope| scope.rsplit('-').next())
        .unwrap_or(part);
    is_container_id(id).then_some(id)
}

pub(super) fn is_container_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UID: &str = "0f3a1b52-99aa-4c1d-8c1e-5d2b6a7f9e10";
    const ID: &str = "5f2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b";

    fn of(lines: &[&str]) -> (Option<String>, Option<String>) {
        let Place {
            pod_uid,
            container_id,
        } = place(lines);
        (pod_uid, container_id)
    }

    fn both() -> (Option<String>, Option<String>) {
        (Some(UID.to_owned()), Some(ID.to_owned()))
    }

    #[test]
    fn reads_the_systemd_driver_in_each_class() {
        let uid = UID.replace('-', "_");
        for class in ["-burstable", "-besteffort", ""] {
            let parent = if class.is_empty() {
                String::new()
            } else {
                format!("/kubepods{class}.slice")
            };
            let line = format!(
                "0::/kubepods.slice{parent}/kubepods{class}-pod{uid}.slice/cri-containerd-{ID}.scope"
            );
            assert_eq!(of(&[&line]), both(), "{line}");
        }
    }

    #[test]
    fn reads_the_cgroupfs_driver_of_a_hybrid_host() {
        let v1 = format!("4:memory:/kubepods/burstable/pod{UID}/{ID}");
        assert_eq!(of(&[&v1, "1:name=systemd:/", "0::/"]), both());
        let last = format!("1:name=systemd:/kubepods/besteffort/pod{UID}/{ID}");
        assert_eq!(of(&["0::/system.slice/containerd.service", &last]), both());
    }

    #[test]
    fn reads_a_process_in_a_cgroup_below_its_container() {
        let line = format!("0::/kubepods/burstable/pod{UID}/{ID}/emulator/vcpu0");
        assert_eq!(of(&[&line]), both());
    }

    #[test]
    fn a_static_pod_has_no_dashes() {
        let hash = "0123456789abcdef0123456789abcdef";
        let line = format!("0::/kubepods/burstable/pod{hash}/{ID}");
        assert_eq!(of(&[&line]).0.as_deref(), Some(hash));
    }

    #[test]
    fn the_outermost_pod_is_the_hosts() {
        let inner = "0::/kubepods/burstable/podaaaaaaaa-1111-2222-3333-444444444444";
        let line = format!(
            "0::/kubepods/pod{UID}/{ID}/{}/{}",
            &inner[4..],
            "e".repeat(64)
        );
        assert_eq!(of(&[&line]), both());
    }

    #[test]
    fn a_runtime_that_knows_no_systemd_is_read() {
        let uid = UID.replace('-', "_");
        let line = format!(
            "0::/system.slice/containerd.service/kubepods-burstable-pod{uid}.slice:cri-containerd:{ID}"
        );
        assert_eq!(of(&[&line]), both());
    }

    #[test]
    fn a_user_who_names_a_group_like_a_pod_is_in_none() {
        let own = "user.slice/user-1000.slice/user@1000.service";
        for up in ["", "../../"] {
            let line = format!("0::/{up}{own}/kubepods/pod{UID}/{ID}");
            assert_eq!(of(&[&line]), (None, None), "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for line in [
            "0::/system.slice/fstrim.service",
            "0::/kubepods.slice/kubepods-podx.slice/cri-containerd-12.scope",
            "0::/pod/podman/pod-1",
            "0::/../../..",
            "",
        ] {
            assert_eq!(of(&[line]), (None, None), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "[0-9]{1,2}:[a-z=]{0,8}:(/[a-z0-9_.-]{0,70}){0,6}|.{0,200}") {
            let place = place(&[line]);
            if let Some(uid) = place.pod_uid { prop_assert!(is_uid(&uid)); }
            if let Some(id) = place.container_id { prop_assert_eq!(id.len(), 64); }
        }
    }
}
