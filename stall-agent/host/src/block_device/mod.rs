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

pub use counters::{in_flight, stat, stats};
pub use facts::facts;
pub use resolve::{ResolveError, resolve};
pub use state::{is_trouble, state};

use super::HostRoot;
pub use super::device_number::number_of_node;
use super::device_number::{is_plain, number_in, sysfs_name};

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
