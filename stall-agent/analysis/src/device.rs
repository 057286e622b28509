//! Disks: identity, place in the stack of devices, and what was measured of each.

use super::exposure;
use super::latency::operations;
use super::layers::Stacking;
use super::names::Names;
use super::stall::{self, Inputs};
use crate::number::ratio;
use stall_capture as capture;
use stall_capture::{Capture, Disk, DiskFacts, DiskStat};
use stall_report::model::{
    Counters, Device, DiscardClock, InFlight, Layer, MapperKind, Mount, Partition, Queue,
};

/// All disks, in the order of the capture.
pub(super) fn devices(capture: &Capture, names: &Names<'_>, inputs: &Inputs<'_>) -> Vec<Device> {
    let stacking = Stacking::new(capture, names);
    let disks = capture.disks.iter().enumerate();
    disks
        .map(|(row, disk)| device(capture, names, inputs, &stacking, row, disk))
        .collect()
}

fn device(
    capture: &Capture,
    names: &Names<'_>,
    inputs: &Inputs<'_>,
    stacking: &Stacking,
    row: usize,
    disk: &Disk,
) -> Device {
    let id = names.device_of_row(row);
    let unknown = DiskFacts::default();
    let facts = disk.facts.as_ref().unwrap_or(&unknown);
    Device {
        name: disk.name.clone(),
        major: disk.major,
        minor: disk.minor,
        traced: disk.index.is_some(),
        model: facts.model.clone(),
        serial: facts.serial.clone(),
        vendor: facts.vendor.clone(),
        driver: facts.driver.clone(),
        size_bytes: facts.size_bytes,
        rotational: facts.rotational,
        queue: queue(facts),
        mounts: facts.mounts.iter().map(mount).collect(),
        partitions: facts.partitions.iter().map(partition).collect(),
        backing_file: facts.backing_file.clone(),
        backing_device: facts
            .backing_device
            .and_then(|number| name_of(capture, number)),
        transport: facts.transport.clone(),
        iscsi_target: facts.iscsi_target.clone(),
        volume: volume(capture, disk, facts),
        mapper_name: facts.mapper_name.clone(),
        mapper_kind: facts.mapper_uuid.as_deref().map(mapper_kind),
        raid_level: facts.raid_level.clone(),
        filesystem: facts.contents.filesystem.clone(),
        label: facts.contents.label.clone(),
        layer: layer(disk),
        made_of: facts.made_of.clone(),
        used_by: facts.used_by.clone(),
        bottom: stacking.bottom(row),
        physical: stacking.physical_ids(row),
        stall: disk
            .index
            .map(|index| stall::of_disk(capture, inputs, &id, index)),
        discard_clock: discard_clock(disk, capture.window.length_ns()),
        exposure: disk
            .index
            .and_then(|index| exposure::of_disk(capture, inputs.discards, &id, index)),
        operations: disk
            .index
            .map_or_else(Vec::new, |index| operations(capture, index)),
        in_flight_at_start: disk.in_flight_at_start.map(in_flight),
        in_flight_at_end: disk.in_flight_at_end.map(in_flight),
        kernel_counters: counters(disk),
        id,
    }
}

fn queue(facts: &DiskFacts) -> Queue {
    Queue {
        scheduler: facts.scheduler.clone(),
        depth: facts.queue_depth,
        write_cache: facts.write_cache.clone(),
        logical_block_bytes: facts.logical_block_bytes,
        discard_granularity_bytes: facts.discard_granularity_bytes,
        discard_max_bytes: facts.discard_max_bytes,
        discard_max_hw_bytes: facts.discard_max_hw_bytes,
        writeback_throttling_ns: facts
            .writeback_throttling_us
            .map(|us| us.saturating_mul(1_000)),
        iostats: facts.iostats,
    }
}

fn partition(partition: &capture::Partition) -> Partition {
    Partition {
        name: partition.name.clone(),
        major: partition.major,
        minor: partition.minor,
        number: partition.number,
        start_bytes: partition.start_sector.map(sectors),
        size_bytes: partition.size_bytes,
        mounts: partition.mounts.iter().map(mount).collect(),
        used_by: partition.used_by.clone(),
        filesystem: partition.contents.filesystem.clone(),
        label: partition.contents.label.clone(),
    }
}

/// Name of the disk or partition with this number.
fn name_of(capture: &Capture, number: (u32, u32)) -> Option<String> {
    let mut disks = capture.disks.iter();
    disks.find_map(|disk| {
        if (disk.major, disk.minor) == number {
            return Some(disk.name.clone());
        }
        let mut partitions = disk.facts.iter().flat_map(|facts| &facts.partitions);
        let found = partitions.find(|partition| (partition.major, partition.minor) == number)?;
        Some(found.name.clone())
    })
}

/// The Longhorn volume a disk is, by its target, or by the number of a node in `/dev/longhorn`.
fn volume(capture: &Capture, disk: &Disk, facts: &DiskFacts) -> Option<String> {
    let target = facts.iscsi_target.as_deref();
    let by_target = target.and_then(|target| target.strip_prefix(super::vm::TARGET));
    let by_node = || {
        let mut volumes = capture.inventory.volumes.iter();
        let node = volumes.find(|node| (node.major, node.minor) == (disk.major, disk.minor))?;
        Some(node.name.as_str())
    };
    by_target.or_else(by_node).map(str::to_owned)
}

/// The tools that make a device begin its uuid with their name (dm-uuid of cryptsetup, LVM, multipath, kpartx).
fn mapper_kind(uuid: &str) -> MapperKind {
    let (owner, _) = uuid.split_once('-').unwrap_or((uuid, ""));
    match owner {
        "CRYPT" => MapperKind::Crypt,
        "LVM" => MapperKind::Lvm,
        "mpath" => MapperKind::Multipath,
        _ if owner.starts_with("part") => MapperKind::Partition,
        _ => MapperKind::Other,
    }
}

fn mount(mount: &capture::Mount) -> Mount {
    Mount {
        mount_point: mount.mount_point.clone(),
        root: mount.root.clone(),
        filesystem: mount.filesystem.clone(),
        source: mount.source.clone(),
        options: mount.options.clone(),
        super_options: mount.super_options.clone(),
        online_discard: has_online_discard(mount),
    }
}

/// Mounted with `discard`.
pub(super) fn has_online_discard(mount: &capture::Mount) -> bool {
    let has = |options: &str| {
        options
            .split(',')
            .any(|option| option == "discard" || option.starts_with("discard="))
    };
    has(&mount.options) || has(&mount.super_options)
}

fn layer(disk: &Disk) -> Layer {
    match &disk.facts {
        None => Layer::Unknown,
        Some(facts) if facts.made_of.is_empty() && facts.backing_file.is_none() => Layer::Bottom,
        Some(_) => Layer::Stacked,
    }
}

fn discard_clock(disk: &Disk, window_ns: u64) -> DiscardClock {
    DiscardClock {
        busy_ns: disk.discard_busy_ns,
        busy_share: ratio(disk.discard_busy_ns, window_ns),
        in_flight_at_end: disk.discards_in_flight_at_end,
    }
}

const fn in_flight(counted: capture::InFlight) -> InFlight {
    InFlight {
        reads: counted.reads,
        writes: counted.writes,
    }
}

fn counters(disk: &Disk) -> Option<Counters> {
    let (start, end) = (disk.stat_at_start.as_ref()?, disk.stat_at_end.as_ref()?);
    let grew = |field: fn(&DiskStat) -> u64| field(end).checked_sub(field(start));
    let grew_if = |field: fn(&DiskStat) -> Option<u64>| field(end)?.checked_sub(field(start)?);
    Some(Counters {
        reads: grew(|stat| stat.reads),
        read_merges: grew(|stat| stat.read_merges),
        read_bytes: grew(|stat| stat.read_sectors).map(sectors),
        read_ns: grew(|stat| stat.read_ms).map(milliseconds),
        writes: grew(|stat| stat.writes),
        write_merges: grew(|stat| stat.write_merges),
        write_bytes: grew(|stat| stat.write_sectors).map(sectors),
        write_ns: grew(|stat| stat.write_ms).map(milliseconds),
        busy_ns: grew(|stat| stat.io_ms).map(milliseconds),
        weighted_ns: grew(|stat| stat.queue_ms).map(milliseconds),
        discards: grew_if(|stat| stat.discards),
        discard_merges: grew_if(|stat| stat.discard_merges),
        discard_bytes: grew_if(|stat| stat.discard_sectors).map(sectors),
        discard_ns: grew_if(|stat| stat.discard_ms).map(milliseconds),
        flushes: grew_if(|stat| stat.flushes),
        flush_ns: grew_if(|stat| stat.flush_ms).map(milliseconds),
    })
}

/// Sectors of sysfs are 512 bytes whatever the device's are.
const fn sectors(count: u64) -> u64 {
    count.saturating_mul(512)
}

const fn milliseconds(count: u64) -> u64 {
    count.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_counters_are_a_difference_in_base_units() {
        let stat = |reads, read_ms| DiskStat {
            reads,
            read_ms,
            ..DiskStat::default()
        };
        let disk = Disk {
            stat_at_start: Some(stat(10, 7)),
            stat_at_end: Some(stat(15, 9)),
            ..Disk::default()
        };
        let counted = counters(&disk).unwrap();
        assert_eq!((counted.reads, counted.read_ns), (Some(5), Some(2_000_000)));
        assert_eq!(counted.discards, None);
    }

    #[test]
    fn a_counter_that_went_back_is_not_known() {
        let stat = |reads| DiskStat {
            reads,
            ..DiskStat::default()
        };
        let disk = Disk {
            stat_at_start: Some(stat(10)),
            stat_at_end: Some(stat(5)),
            ..Disk::default()
        };
        assert_eq!(counters(&disk).unwrap().reads, None);
    }

    #[test]
    fn nodiscard_is_not_discard() {
        let with = |options: &str| {
            mount(&capture::Mount {
                super_options: options.to_owned(),
                ..capture::Mount::default()
            })
            .online_discard
        };
        assert!(with("rw,discard"));
        assert!(with("rw,discard=async"));
        assert!(!with("rw,nodiscard"));
    }
}
