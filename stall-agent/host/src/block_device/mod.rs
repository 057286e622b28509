//! Disks: which there are, what sysfs says of them, and which ones a person means.
//!
//! A disk is known here by its kernel name. The disks behind an NVMe multipath device are hidden:
//! they have a name, requests and a directory in sysfs, but no device number there and no node in
//! `/dev`.

mod contents;
mod counters;
mod facts;
mod resolve;
mod state;
mod transport;

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

pub use counters::{in_flight, stat, stats};
pub use facts::facts;
pub use resolve::{ResolveError, resolve};
pub use state::{is_trouble, state};

use super::HostRoot;

/// A whole disk, not a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WholeDisk {
    /// `disk_name` of the kernel.
    pub name: String,
    /// Major and minor; `None` for a hidden disk.
    pub number: Option<(u32, u32)>,
}

/// All disks, by name.
#[must_use]
pub fn disks(root: &HostRoot) -> Vec<WholeDisk> {
    let names = root.names("sys/block");
    names.iter().map(|name| whole_disk(root, name)).collect()
}

/// The disk of this name.
#[must_use]
pub fn by_name(root: &HostRoot, name: &str) -> Option<WholeDisk> {
    let there = is_plain(name) && root.exists(directory(name));
    there.then(|| whole_disk(root, name))
}

/// The disk that has this number, or a partition that has it.
#[must_use]
pub fn by_number(root: &HostRoot, major: u32, minor: u32) -> Option<WholeDisk> {
    let wanted = Some((major, minor));
    let has = |disk: &WholeDisk| {
        disk.number == wanted
            || partition_names(root, &disk.name).iter().any(|partition| {
                number_in(root, &partition_directory(&disk.name, partition)) == wanted
            })
    };
    disks(root).into_iter().find(has)
}

/// Number of the block device that a path in `/dev` stands for.
#[must_use]
pub fn number_of_node(root: &HostRoot, node: &Path) -> Option<(u32, u32)> {
    let by_name = || {
        let name = node.strip_prefix("/dev").ok()?.to_str()?;
        let directory = format!("sys/class/block/{}", sysfs_name(name));
        is_plain(name)
            .then(|| number_in(root, &directory))
            .flatten()
    };
    let by_node = || {
        let metadata = root.path(node).metadata().ok()?;
        let device = metadata.file_type().is_block_device();
        device.then(|| split_number(metadata.rdev())).flatten()
    };
    by_name().or_else(by_node)
}

fn whole_disk(root: &HostRoot, name: &str) -> WholeDisk {
    WholeDisk {
        name: name.replace('!', "/"),
        number: number_in(root, &directory(name)),
    }
}

/// Names of a disk's partitions.
fn partition_names(root: &HostRoot, disk: &str) -> Vec<String> {
    let directory = directory(disk);
    let mut names = root.names(&directory);
    names.retain(|name| root.exists(format!("{directory}/{name}/partition")));
    names
}

/// Directory of a disk below the root.
fn directory(disk: &str) -> String {
    format!("sys/block/{}", sysfs_name(disk))
}

fn partition_directory(disk: &str, partition: &str) -> String {
    format!("{}/{}", directory(disk), sysfs_name(partition))
}

/// sysfs cannot have a slash in a name (`cciss/c0d0`) and has an exclamation mark.
fn sysfs_name(name: &str) -> String {
    name.replace('/', "!")
}

/// Not a way out of the directory it is looked up in.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.starts_with('/')
}

fn number_in(root: &HostRoot, directory: &str) -> Option<(u32, u32)> {
    parse_number(&root.value(format!("{directory}/dev"))?)
}

/// `259:6`
fn parse_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

pub(super) fn split_number(device: u64) -> Option<(u32, u32)> {
    let major = u32::try_from(nix::sys::stat::major(device)).ok()?;
    let minor = u32::try_from(nix::sys::stat::minor(device)).ok()?;
    Some((major, minor))
}

/// `nvme0c1n2` is a path to `nvme0n2` (nvme_mpath_alloc_disk in drivers/nvme/host/multipath.c).
fn multipath_head(name: &str) -> Option<String> {
    let numbers = name.strip_prefix("nvme")?;
    let (subsystem, rest) = numbers.split_once('c')?;
    let (controller, namespace) = rest.split_once('n')?;
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let all = numeric(subsystem) && numeric(controller) && numeric(namespace);
    all.then(|| format!("nvme{subsystem}n{namespace}"))
}

/// The hidden disks through which a multipath device reaches its medium.
fn multipath_disks(root: &HostRoot, head: &str) -> Vec<String> {
    if !head.starts_with("nvme") {
        return Vec::new();
    }
    let mut names = root.names("sys/block");
    names.retain(|name| multipath_head(name).as_deref() == Some(head));
    names
}

#[cfg(test)]
mod tests;
