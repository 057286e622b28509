//! Which disk a person means: by name, number, node, or any path on it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{
    HostRoot, WholeDisk, by_name, by_number, directory, disks, multipath_disks, number_of_node,
    partition_names,
};
use crate::device_number::{parse_number, split_number};
use crate::mounts::{Entry, Mounts};

/// Disks named in a message.
const MAX_LISTED: usize = 12;

/// Why nothing is meant by it.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("there is no disk, partition or path \"{spec}\": {known}")]
    Unknown { spec: String, known: String },
    #[error("no disk has the number {spec}: {known}")]
    NoSuchNumber { spec: String, known: String },
    #[error("{spec} is a device, but not a disk: {known}")]
    NotADisk { spec: String, known: String },
    #[error("{spec} is on {filesystem}, which no disk of this host holds: {known}")]
    NoDiskBelow {
        spec: String,
        filesystem: String,
        known: String,
    },
    #[error("{spec} cannot be read ({error}): name the disk itself; {known}")]
    Unreadable {
        spec: String,
        error: io::Error,
        known: String,
    },
}

/// The disks meant by `spec`: a kernel name, a node in `/dev`, `major:minor`, or a path on a mounted
/// filesystem; a partition means its disk.
///
/// The disk named is the first; after it come those it is made of, all the way down: requests are
/// seen there when a device has none of its own (dm, md, NVMe multipath). The file behind a loop
/// device ends the way: the disk it is on is another one, to be named by itself.
///
/// # Errors
///
/// A sentence that says what there is.
pub fn resolve(root: &HostRoot, spec: &str) -> Result<Vec<WholeDisk>, ResolveError> {
    let mut found = Vec::new();
    for disk in named(root, spec)? {
        add_with_parts(root, disk, &mut found);
    }
    Ok(found)
}

fn add_with_parts(root: &HostRoot, disk: WholeDisk, found: &mut Vec<WholeDisk>) {
    if found.contains(&disk) {
        return;
    }
    let at = directory(&disk.name);
    let mut parts = root.names(format!("{at}/slaves"));
    parts.extend(multipath_disks(root, &disk.name));
    found.push(disk);
    for part in parts {
        if let Some(part) = disk_of_name(root, &part) {
            add_with_parts(root, part, found);
        }
    }
}

fn named(root: &HostRoot, spec: &str) -> Result<Vec<WholeDisk>, ResolveError> {
    let known = || known(root);
    if let Some((major, minor)) = parse_number(spec) {
        let disk = by_number(root, major, minor).ok_or_else(|| ResolveError::NoSuchNumber {
            spec: spec.to_owned(),
            known: known(),
        });
        return Ok(vec![disk?]);
    }
    if let Some(disk) = disk_of_name(root, spec) {
        return Ok(vec![disk]);
    }
    match number_of_node(root, Path::new(spec)) {
        Some((major, minor)) => match by_number(root, major, minor) {
            Some(disk) => Ok(vec![disk]),
            None => Err(ResolveError::NotADisk {
                spec: spec.to_owned(),
                known: known(),
            }),
        },
        None => by_path(root, spec),
    }
}

/// The disk of a disk's or partition's name.
fn disk_of_name(root: &HostRoot, name: &str) -> Option<WholeDisk> {
    by_name(root, name).or_else(|| {
        let has = |disk: &WholeDisk| {
            let partitions = partition_names(root, &disk.name);
            partitions.iter().any(|partition| partition == name)
        };
        disks(root).into_iter().find(has)
    })
}

fn by_path(root: &HostRoot, spec: &str) -> Result<Vec<WholeDisk>, ResolveError> {
    let unreadable = |error: io::Error| cannot_open(root, spec, error);
    let file = open_path(root, spec).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.file_type().is_char_device() {
        return Err(ResolveError::NotADisk {
            spec: spec.to_owned(),
            known: known(root),
        });
    }
    let mount = mount_of(&file).map_err(unreadable)?;
    let mut found = below(root, &mount);
    if found.is_empty() {
        let device = split_number(metadata.dev());
        found.extend(device.and_then(|(major, minor)| by_number(root, major, minor)));
    }
    if found.is_empty() {
        return Err(ResolveError::NoDiskBelow {
            spec: spec.to_owned(),
            filesystem: mount.mount.filesystem,
            known: known(root),
        });
    }
    Ok(found)
}

fn cannot_open(root: &HostRoot, spec: &str, error: io::Error) -> ResolveError {
    let spec = spec.to_owned();
    let known = known(root);
    if error.kind() == io::ErrorKind::NotFound {
        ResolveError::Unknown { spec, known }
    } else {
        ResolveError::Unreadable { spec, error, known }
    }
}

/// Opens a path without opening the file: no device is woken, no pipe waited for. A relative one
/// starts where this process is, on a host seen from a container at its root.
fn open_path(root: &HostRoot, spec: &str) -> io::Result<File> {
    if spec.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let path = if root.is_own() {
        PathBuf::from(spec)
    } else {
        root.path(spec)
    };
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)
}

/// The mount that a file was reached through, which its device number alone does not tell (btrfs
/// subvolumes have numbers of their own).
fn mount_of(file: &File) -> io::Result<Entry> {
    let info = format!("proc/self/fdinfo/{}", file.as_raw_fd());
    let info = HostRoot::default().text(info, 4096);
    let id = info.as_deref().and_then(mount_id);
    let mounts = Mounts::of_self();
    let entry = mounts.entries().iter().find(|entry| Some(entry.id) == id);
    entry
        .cloned()
        .ok_or_else(|| io::Error::other("its mount is not in /proc/self/mountinfo"))
}

fn mount_id(fdinfo: &str) -> Option<u64> {
    let line = fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("mnt_id:"))?;
    line.trim().parse().ok()
}

/// The disks of a mounted filesystem.
fn below(root: &HostRoot, entry: &Entry) -> Vec<WholeDisk> {
    let source = Path::new(&entry.mount.source);
    let number = match entry.major {
        0 => number_of_node(root, source),
        major => Some((major, entry.minor)),
    };
    let Some(disk) = number.and_then(|(major, minor)| by_number(root, major, minor)) else {
        return Vec::new();
    };
    let mut found = vec![disk];
    if entry.mount.filesystem == "btrfs" {
        found.extend(pool_of(root, source));
    }
    found
}

/// The disks that share a btrfs with a device.
fn pool_of(root: &HostRoot, source: &Path) -> Vec<WholeDisk> {
    let number = number_of_node(root, source);
    let device = |name: &str| number_of_node(root, &Path::new("/dev").join(name));
    let pools = root.names("sys/fs/btrfs");
    let members = pools
        .iter()
        .map(|pool| root.names(format!("sys/fs/btrfs/{pool}/devices")))
        .find(|members| members.iter().any(|member| device(member) == number));
    let members = members.unwrap_or_default();
    members
        .iter()
        .filter_map(|member| disk_of_name(root, member))
        .collect()
}

/// The disks of this host, for a message; those without a medium are not worth a name.
fn known(root: &HostRoot) -> String {
    let mut names: Vec<_> = disks(root).into_iter().map(|disk| disk.name).collect();
    names.retain(|name| {
        let size: Option<u64> = root.number(format!("{}/size", directory(name)));
        size.is_some_and(|size| size > 0)
    });
    if names.is_empty() {
        return "there are no disks in /sys/block".to_owned();
    }
    let more = names.len().saturating_sub(MAX_LISTED);
    names.truncate(MAX_LISTED);
    let names = names.join(", ");
    match more {
        0 => format!("the disks here are {names}"),
        more => format!("the disks here are {names} and {more} more"),
    }
}
