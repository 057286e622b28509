//! The paths of the control groups that I/O is charged to, by their ids: the inode numbers of their
//! directories. A bounded walk through the hierarchy that has the I/O controller.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};

use super::HostRoot;
use super::mounts::{Entry, Mounts};

/// A node of Kubernetes with 250 pods has some 2,000.
const MAX_DIRECTORIES: usize = 20_000;

/// The paths of those found, as in `/proc/<pid>/cgroup`.
#[must_use]
pub fn paths(root: &HostRoot, ids: &[u64]) -> BTreeMap<u64, String> {
    paths_in(root, ids, hierarchy)
}

/// The same in the unified hierarchy, which has an id for each process wherever I/O is charged to.
#[must_use]
pub fn unified(root: &HostRoot, ids: &[u64]) -> BTreeMap<u64, String> {
    paths_in(root, ids, version_2)
}

fn paths_in(
    root: &HostRoot,
    ids: &[u64],
    hierarchy: fn(&Mounts) -> Option<&Entry>,
) -> BTreeMap<u64, String> {
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let mounts = Mounts::of_host(root);
    let Some(mount) = hierarchy(&mounts) else {
        return BTreeMap::new();
    };
    let top = root.path(&mount.mount.mount_point);
    let within = mount.mount.root.trim_end_matches('/');
    walk(&top, ids, |path| format!("{within}/{}", path.display()))
}

/// Version 1 has its own for block I/O; version 2 has one for all. What mounts most of it comes first.
fn hierarchy(mounts: &Mounts) -> Option<&Entry> {
    let v1 = |entry: &&Entry| {
        let mut options = entry.mount.super_options.split(',');
        entry.mount.filesystem == "cgroup" && options.any(|option| option == "blkio")
    };
    let entries = mounts.entries().iter();
    let version_1 = entries.filter(v1).min_by_key(widest);
    version_1.or_else(|| version_2(mounts))
}

fn version_2(mounts: &Mounts) -> Option<&Entry> {
    let v2 = |entry: &&Entry| entry.mount.filesystem == "cgroup2";
    mounts.entries().iter().filter(v2).min_by_key(widest)
}

fn widest(entry: &&Entry) -> usize {
    entry.mount.root.len()
}

/// Breadth first, so that what is bounded away is deep down.
fn walk(top: &Path, ids: &[u64], name: impl Fn(&Path) -> String) -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    let mut left = VecDeque::from([PathBuf::new()]);
    let mut seen = 0;
    while let Some(directory) = left.pop_front() {
        let entries = top.join(&directory).read_dir().into_iter().flatten();
        for entry in entries.flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let path = directory.join(entry.file_name());
            if ids.contains(&entry.ino()) {
                found.insert(entry.ino(), name(&path));
            }
            seen += 1;
            if seen < MAX_DIRECTORIES {
                left.push_back(path);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::super::fixture::Fixture;
    use super::*;

    const V1: &str = "38 31 0:35 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n";
    const V2: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    fn fixture(mounts: &str) -> Fixture {
        let fixture = Fixture::new();
        fixture
            .file("proc/1/mountinfo", mounts)
            .directory("sys/fs/cgroup/blkio/kubepods/pod1")
            .directory("sys/fs/cgroup/unified/system.slice/a.service");
        fixture
    }

    fn id(fixture: &Fixture, path: &str) -> u64 {
        fixture.root().path(path).metadata().unwrap().ino()
    }

    fn path(fixture: &Fixture, of: &str) -> Option<String> {
        let id = id(fixture, of);
        paths(&fixture.root(), &[id]).remove(&id)
    }

    #[test]
    fn version_1_has_a_hierarchy_for_it() {
        let fixture = fixture(&format!("{V2}{V1}"));
        let pod = path(&fixture, "sys/fs/cgroup/blkio/kubepods/pod1");
        assert_eq!(pod.as_deref(), Some("/kubepods/pod1"));
        let other = path(&fixture, "sys/fs/cgroup/unified/system.slice/a.service");
        assert_eq!(other, None);
        let id = id(&fixture, "sys/fs/cgroup/unified/system.slice/a.service");
        assert_eq!(
            unified(&fixture.root(), &[id]).remove(&id).as_deref(),
            Some("/system.slice/a.service")
        );
    }

    #[test]
    fn version_2_has_one_for_all() {
        let fixture = fixture(V2);
        let unit = path(&fixture, "sys/fs/cgroup/unified/system.slice/a.service");
        assert_eq!(unit.as_deref(), Some("/system.slice/a.service"));
    }

    #[test]
    fn a_mount_of_a_part_is_named_from_the_root_of_the_hierarchy() {
        let fixture = fixture(&V2.replace(" / ", " /vm/1 "));
        let unit = path(&fixture, "sys/fs/cgroup/unified/system.slice");
        assert_eq!(unit.as_deref(), Some("/vm/1/system.slice"));
    }

    #[test]
    fn without_groups_or_ids_nothing_is_found() {
        assert!(paths(&fixture("").root(), &[1]).is_empty());
        assert!(paths(&fixture(V2).root(), &[]).is_empty());
    }
}
