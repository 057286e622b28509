//! What sysfs says of one disk.

use super::contents::contents;
use super::transport::transport;
use super::{
    HostRoot, WholeDisk, directory, multipath_disks, multipath_head, number_in,
    partition_directory, partition_names,
};
use crate::iscsi;
use crate::mounts::Mounts;
use stall_capture::{DiskFacts, Partition};

/// sysfs counts in sectors of this size, whatever the disk's own is.
const SECTOR_BYTES: u64 = 512;

/// Facts of a disk by its name; `None` when it is gone.
#[must_use]
pub fn facts(root: &HostRoot, disk: &str, mounts: &Mounts) -> Option<DiskFacts> {
    let disk = super::by_name(root, disk)?;
    let mut facts = DiskFacts::default();
    identity(root, &disk, mounts, &mut facts);
    limits(root, &disk.name, &mut facts);
    facts.partitions = partitions(root, &disk.name, mounts);
    facts.mounts = mounts_of(mounts, disk.number);
    facts.contents = contents(root, &disk.name, disk.number, mounts);
    stacking(root, &disk, &mut facts);
    Some(facts)
}

fn identity(root: &HostRoot, disk: &WholeDisk, mounts: &Mounts, facts: &mut DiskFacts) {
    let at = directory(&disk.name);
    let value = |name: &str| root.value(format!("{at}/{name}"));
    facts.model = value("device/model");
    facts.vendor = value("device/vendor");
    // Not `serial`, which only virtio disks have: reading it is a request to the disk (virtblk_get_id() in
    // drivers/block/virtio_blk.c), which waits with all others when the disk stands still.
    facts.serial = value("device/serial").or_else(|| scsi_serial(root, &at));
    facts.size_bytes = size(root, &at);
    facts.driver = root
        .link_name(format!("{at}/device/driver"))
        .or_else(|| root.link_name(format!("{at}/device/device/driver")));
    facts.backing_file = value("loop/backing_file");
    facts.backing_device = facts
        .backing_file
        .as_deref()
        .and_then(|file| device_of(mounts, file))
        // The image of `/` on a filesystem that is mounted no more: what is left of its path is the image's own.
        .filter(|number| Some(*number) != disk.number);
    facts.transport = transport(root, &disk.name);
    facts.iscsi_target = iscsi::target(root, &disk.name);
    facts.mapper_name = value("dm/name");
    facts.mapper_uuid = value("dm/uuid");
    facts.raid_level = value("md/level");
}

/// The block device whose filesystem has the file; none for one in memory, on a network or in user space.
fn device_of(mounts: &Mounts, file: &str) -> Option<(u32, u32)> {
    mounts.device_of(file).filter(|number| number.0 != 0)
}

/// Page 80h of the vital product data: four bytes of header, then text.
fn scsi_serial(root: &HostRoot, at: &str) -> Option<String> {
    let page = root.bytes(format!("{at}/device/vpd_pg80"), 256).ok()?;
    let text = String::from_utf8_lossy(page.get(4..)?);
    let serial = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!serial.is_empty()).then(|| serial.to_owned())
}

fn limits(root: &HostRoot, disk: &str, facts: &mut DiskFacts) {
    let at = format!("{}/queue", directory(disk));
    let value = |name: &str| root.value(format!("{at}/{name}"));
    let number = |name: &str| root.number::<u64>(format!("{at}/{name}"));
    let flag = |name: &str| number(name).map(|number| number != 0);
    facts.rotational = flag("rotational");
    facts.iostats = flag("iostats");
    facts.scheduler = value("scheduler").map(|list| chosen(&list));
    facts.queue_depth = number("nr_requests");
    facts.write_cache = value("write_cache");
    facts.logical_block_bytes = number("logical_block_size");
    facts.discard_granularity_bytes = number("discard_granularity");
    facts.discard_max_bytes = number("discard_max_bytes");
    facts.discard_max_hw_bytes = number("discard_max_hw_bytes");
    facts.writeback_throttling_us = number("wbt_lat_usec");
}

/// Of `none [mq-deadline] bfq`, the one in brackets; a disk that has one only shows it bare.
fn chosen(list: &str) -> String {
    let bracketed = list
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    bracketed.map_or(list, |(chosen, _)| chosen).to_owned()
}

fn size(root: &HostRoot, at: &str) -> Option<u64> {
    root.number::<u64>(format!("{at}/size"))?
        .checked_mul(SECTOR_BYTES)
}

fn partitions(root: &HostRoot, disk: &str, mounts: &Mounts) -> Vec<Partition> {
    let names = partition_names(root, disk);
    let mut partitions: Vec<_> = names
        .iter()
        .filter_map(|name| partition(root, disk, name, mounts))
        .collect();
    partitions.sort_by_key(|partition| partition.number);
    partitions
}

fn partition(root: &HostRoot, disk: &str, name: &str, mounts: &Mounts) -> Option<Partition> {
    let at = partition_directory(disk, name);
    let (major, minor) = number_in(root, &at)?;
    Some(Partition {
        name: name.replace('!', "/"),
        major,
        minor,
        number: root.number(format!("{at}/partition")),
        start_sector: root.number(format!("{at}/start")),
        size_bytes: size(root, &at),
        mounts: mounts.of(major, minor),
        used_by: root.names(format!("{at}/holders")),
        contents: contents(root, name, Some((major, minor)), mounts),
    })
}

fn mounts_of(mounts: &Mounts, number: Option<(u32, u32)>) -> Vec<stall_capture::Mount> {
    number.map_or_else(Vec::new, |(major, minor)| mounts.of(major, minor))
}

/// What it is made of and what is made of it; an NVMe multipath device is made of its hidden disks,
/// which `slaves` does not list.
fn stacking(root: &HostRoot, disk: &WholeDisk, facts: &mut DiskFacts) {
    let at = directory(&disk.name);
    facts.made_of = root.names(format!("{at}/slaves"));
    facts.made_of.extend(multipath_disks(root, &disk.name));
    facts.used_by = root.names(format!("{at}/holders"));
    for partition in &facts.partitions {
        facts.used_by.extend(partition.used_by.iter().cloned());
    }
    if disk.number.is_none() {
        facts.used_by.extend(multipath_head(&disk.name));
    }
    facts.used_by.sort_unstable();
    facts.used_by.dedup();
}
