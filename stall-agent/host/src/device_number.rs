//! Numbers of block devices, and the names sysfs has them under.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use crate::HostRoot;

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

/// sysfs cannot have a slash in a name (`cciss/c0d0`) and has an exclamation mark.
pub(crate) fn sysfs_name(name: &str) -> String {
    name.replace('/', "!")
}

/// Not a way out of the directory it is looked up in.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.starts_with('/')
}

pub(crate) fn number_in(root: &HostRoot, directory: &str) -> Option<(u32, u32)> {
    parse_number(&root.value(format!("{directory}/dev"))?)
}

/// `259:6`
pub(crate) fn parse_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

pub(crate) fn split_number(device: u64) -> Option<(u32, u32)> {
    let major = u32::try_from(nix::sys::stat::major(device)).ok()?;
    let minor = u32::try_from(nix::sys::stat::minor(device)).ok()?;
    Some((major, minor))
}
