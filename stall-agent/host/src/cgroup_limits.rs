//! Limits of control groups that make their processes wait for storage: of block I/O and of memory, in version 1 and 2.
//!
//! Asked of the groups that processes are in and of all above these, since a limit holds for what is below. Only what somebody
//! has set is told. The files are the kernel's own; reading one waits for no disk.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::HostRoot;
use super::cgroup::Line;
use super::cgroup_paths;
use super::mounts::Mounts;
use stall_capture::CgroupLimit;

/// Groups looked at; a node of Kubernetes with 250 pods has some 2,000, of which few are asked for.
const MAX_GROUPS: usize = 2048;
/// Rows kept.
const MAX_ROWS: usize = 1024;
/// A line for each disk, at most some 60 bytes long.
const MAX_TEXT: u64 = 16 << 10;

/// How a file tells that nobody has set anything.
#[derive(Clone, Copy)]
enum Unset {
    /// It has no line.
    Empty,
    /// It has this one.
    Line(&'static str),
    /// Its number is at least this: `PAGE_COUNTER_MAX` pages.
    From(u64),
    /// Its lines have this in them.
    With(&'static str),
}

/// A file, and how it tells that.
type File = (&'static str, Unset);

/// Documentation/admin-guide/cgroup-v2.rst
const VERSION_2: &[File] = &[
    ("io.max", Unset::Empty),
    ("io.latency", Unset::Empty),
    ("io.cost.qos", Unset::With("enable=0")),
    ("io.weight", Unset::Line("default 100")),
    ("io.bfq.weight", Unset::Line("default 100")),
    ("memory.high", Unset::Line("max")),
    ("memory.max", Unset::Line("max")),
];
/// Documentation/admin-guide/cgroup-v1/blkio-controller.rst
const BLOCK_IO: &[File] = &[
    ("blkio.throttle.read_bps_device", Unset::Empty),
    ("blkio.throttle.write_bps_device", Unset::Empty),
    ("blkio.throttle.read_iops_device", Unset::Empty),
    ("blkio.throttle.write_iops_device", Unset::Empty),
    ("blkio.bfq.weight", Unset::Line("100")),
];
/// Documentation/admin-guide/cgroup-v1/memory.rst
const MEMORY: &[File] = &[("memory.limit_in_bytes", Unset::From(1 << 62))];
/// How much of its limit a group has, beside the limit.
const USED: [&str; 2] = ["memory.current", "memory.usage_in_bytes"];

/// A hierarchy that is mounted.
struct Hierarchy {
    mount_point: String,
    /// What of it is mounted there.
    within: String,
    files: &'static [File],
    /// Of `/proc/<pid>/cgroup`.
    controller: &'static str,
}

/// The limits of all groups that processes are in, by their lines of `/proc/<pid>/cgroup`, and of those above. A limit of memory
/// comes with what the group uses of it.
pub fn limits<'a>(
    root: &HostRoot,
    processes: impl IntoIterator<Item = &'a [String]>,
) -> Vec<CgroupLimit> {
    let hierarchies = hierarchies(&Mounts::of_host(root));
    let own = LazyCell::new(|| own_group(root));
    let mut groups = BTreeSet::new();
    for lines in processes {
        for line in lines.iter().filter_map(|line| Line::parse(line)) {
            let is_its = |hierarchy: &Hierarchy| {
                let mut names = line.controllers.split(',');
                names.any(|name| name == hierarchy.controller)
            };
            let number = hierarchies.iter().position(is_its);
            let path = absolute(line.path, || own.clone());
            if let Some((number, path)) = number.zip(path) {
                groups.extend(above(&path).map(|path| (number, path.to_owned())));
            }
        }
    }
    let groups = groups.iter().take(MAX_GROUPS);
    let rows = groups.flat_map(|(number, path)| of_group(root, &hierarchies[*number], path));
    rows.take(MAX_ROWS).collect()
}

fn hierarchies(mounts: &Mounts) -> Vec<Hierarchy> {
    let kinds = [
        ("cgroup2", "", VERSION_2),
        ("cgroup", "blkio", BLOCK_IO),
        ("cgroup", "memory", MEMORY),
    ];
    let found = kinds.map(|(filesystem, controller, files)| {
        let entries = mounts.entries().iter().map(|entry| &entry.mount);
        let fits = entries.filter(|mount| {
            let mut options = mount.super_options.split(',');
            mount.filesystem == filesystem
                && (controller.is_empty() || options.any(|option| option == controller))
        });
        // What mounts most of it.
        let mount = fits.min_by_key(|mount| mount.root.len())?;
        Some(Hierarchy {
            mount_point: mount.mount_point.clone(),
            // From within a control group namespace, the root of all lies above.
            within: match mount.root.trim_end_matches('/') {
                root if root.ends_with("/..") => String::new(),
                root => root.to_owned(),
            },
            files,
            controller,
        })
    });
    found.into_iter().flatten().collect()
}

/// The group of this process from the root of all, which its own namespace hides: by the number of its directory.
fn own_group(root: &HostRoot) -> Option<String> {
    let id = fs::metadata("/sys/fs/cgroup").ok()?.ino();
    cgroup_paths::unified(root, &[id]).remove(&id)
}

/// Of `/../../x.slice`, as it is seen from within a namespace, the path from the root of all; `None` when it cannot be told.
fn absolute(path: &str, own: impl Fn() -> Option<String>) -> Option<String> {
    let ups = path.split('/').filter(|part| *part == "..").count();
    if ups == 0 {
        return Some(path.to_owned());
    }
    let own = own()?;
    let own: Vec<_> = own.split('/').filter(|part| !part.is_empty()).collect();
    let shared = own.get(..own.len().checked_sub(ups)?)?.iter().copied();
    let below = path.split('/').filter(|part| !matches!(*part, "" | ".."));
    let parts: Vec<_> = shared.chain(below).collect();
    Some(format!("/{}", parts.join("/")))
}

/// A group, and all above it to the root.
fn above(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    let inner = path.match_indices('/').map(|(at, _)| &path[..at]);
    let all = inner.chain([path]).filter(|path| !path.is_empty());
    ["/"].into_iter().chain(all)
}

fn of_group(root: &HostRoot, hierarchy: &Hierarchy, path: &str) -> Vec<CgroupLimit> {
    let Some(below) = path.strip_prefix(hierarchy.within.as_str()) else {
        return Vec::new();
    };
    let directory = format!("{}/{}", hierarchy.mount_point, below.trim_matches('/'));
    let row = |file: &str, line: &str| {
        let (major, minor, value) = device(line);
        CgroupLimit {
            cgroup: path.to_owned(),
            file: file.to_owned(),
            major,
            minor,
            value,
        }
    };
    let text = |file: &str| root.text(format!("{directory}/{file}"), MAX_TEXT);
    let mut rows = Vec::new();
    for (file, unset) in hierarchy.files {
        let text = text(file).unwrap_or_default();
        let lines = text.lines().filter(|line| !is_unset(line, *unset));
        rows.extend(lines.map(|line| row(file, line)));
    }
    if rows.iter().any(|row| row.file.starts_with("memory.")) {
        let used = USED.iter().filter_map(|file| Some((file, text(file)?)));
        rows.extend(used.map(|(file, text)| row(file, text.trim())));
    }
    rows
}

fn is_unset(line: &str, unset: Unset) -> bool {
    line.trim().is_empty()
        || match unset {
            Unset::Empty => false,
            Unset::Line(default) => line.trim() == default,
            Unset::From(least) => line.trim().parse().is_ok_and(|value: u64| value >= least),
            Unset::With(part) => line.contains(part),
        }
}

/// Of `8:0 rbps=max wbps=1048576`, the number and the rest; 0 and 0 for a line that names no disk.
fn device(line: &str) -> (u32, u32, String) {
    let parts = line.trim().split_once(' ');
    let number = parts.and_then(|(number, rest)| {
        let (major, minor) = number.split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?, rest.to_owned()))
    });
    number.unwrap_or_else(|| (0, 0, line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    const V2: &str = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    const V1: &str = "\
38 31 0:35 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
39 31 0:36 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";

    fn told(fixture: &Fixture, lines: &[&str]) -> Vec<String> {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let rows = limits(&fixture.root(), [lines.as_slice()]);
        let rows = rows.iter().map(|row| {
            format!(
                "{} {} {}:{} {}",
                row.cgroup, row.file, row.major, row.minor, row.value
            )
        });
        rows.collect()
    }

    #[test]
    fn what_is_set_is_told_of_a_group_and_of_those_above() {
        let fixture = Fixture::new();
        fixture.file("proc/1/mountinfo", V2);
        fixture.files(
            "sys/fs/cgroup",
            "io.cost.qos=8:0 enable=0 ctrl=auto
            kubepods.slice/io.max=8:16 rbps=1048576 wbps=max riops=5 wiops=max
            kubepods.slice/io.weight=default 100
            kubepods.slice/memory.max=max
            kubepods.slice/pod1.slice/io.latency=8:0 target=10000
            kubepods.slice/pod1.slice/io.weight=default 50
            kubepods.slice/pod1.slice/memory.high=max
            kubepods.slice/pod1.slice/memory.max=67108864
            kubepods.slice/pod1.slice/memory.current=66000000
            other.slice/io.max=8:0 rbps=1 wbps=1 riops=1 wiops=1",
        );
        assert_eq!(
            told(&fixture, &["0::/kubepods.slice/pod1.slice"]),
            [
                "/kubepods.slice io.max 8:16 rbps=1048576 wbps=max riops=5 wiops=max",
                "/kubepods.slice/pod1.slice io.latency 8:0 target=10000",
                "/kubepods.slice/pod1.slice io.weight 0:0 default 50",
                "/kubepods.slice/pod1.slice memory.max 0:0 67108864",
                "/kubepods.slice/pod1.slice memory.current 0:0 66000000",
            ]
        );
    }

    #[test]
    fn version_1_has_hierarchies_of_its_own() {
        let fixture = Fixture::new();
        fixture.file("proc/1/mountinfo", V1);
        fixture.files(
            "sys/fs/cgroup",
            "blkio/blkio.throttle.read_bps_device=
            blkio/vm/blkio.throttle.read_iops_device=7:0 10
            blkio/vm/blkio.throttle.write_bps_device=7:0 1048576
            memory/memory.limit_in_bytes=9223372036854771712
            memory/vm/memory.limit_in_bytes=67108864
            memory/vm/memory.usage_in_bytes=67104768",
        );
        assert_eq!(
            told(&fixture, &["5:blkio:/vm", "4:memory:/vm", "0::/elsewhere"]),
            [
                "/vm blkio.throttle.write_bps_device 7:0 1048576",
                "/vm blkio.throttle.read_iops_device 7:0 10",
                "/vm memory.limit_in_bytes 0:0 67108864",
                "/vm memory.usage_in_bytes 0:0 67104768",
            ]
        );
        assert!(told(&fixture, &["5:blkio:/"]).is_empty());
    }

    #[test]
    fn the_groups_above_are_those_of_the_path() {
        let all = |path| above(path).collect::<Vec<_>>();
        assert_eq!(all("/a/b/c"), ["/", "/a", "/a/b", "/a/b/c"]);
        assert_eq!(all("/"), ["/"]);
    }

    #[test]
    fn a_path_out_of_the_namespace_is_told_from_the_root() {
        let from =
            |path: &str| absolute(path, || Some("/kubepods.slice/pod1.slice/agent".to_owned()));
        assert_eq!(from("/../../../init.scope").as_deref(), Some("/init.scope"));
        assert_eq!(
            from("/../../pod2.slice/vm").as_deref(),
            Some("/kubepods.slice/pod2.slice/vm")
        );
        assert_eq!(from("/plain").as_deref(), Some("/plain"));
        assert_eq!(from("/../../../../x"), None);
        assert_eq!(absolute("/../x", || None), None);
    }

    #[test]
    fn a_part_of_the_hierarchy_is_mounted() {
        let fixture = Fixture::new();
        fixture.file("proc/1/mountinfo", V2.replace(" / ", " /vm "));
        fixture.files("sys/fs/cgroup", "1/io.max=8:0 riops=5");
        assert_eq!(told(&fixture, &["0::/vm/1"]), ["/vm/1 io.max 8:0 riops=5"]);
        assert!(told(&fixture, &["0::/other"]).is_empty());
    }

    #[test]
    fn a_host_without_groups_has_no_limits() {
        assert!(told(&Fixture::new(), &["0::/a"]).is_empty());
    }
}
