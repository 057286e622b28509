//! The largest discard that the kernel sends to a disk: smaller ones let others in between. Of physical disks only.

use super::case::{Case, is_physical};
use super::plain;
use super::step::{self, Step};
use stall_report::model::{Device, DiscardGroup};

const SMALLEST: u64 = 1 << 20;
const SYSFS: &str = "Documentation/ABI/stable/sysfs-block: discard_max_bytes";

/// Of the disks at the bottom of the verdict's device; a word of warning for those that are a volume's.
pub(super) fn discards(case: &Case<'_>) -> Vec<Step> {
    let disks = case.physical();
    let mut steps: Vec<Step> = disks
        .iter()
        .filter(|disk| is_physical(disk))
        .filter_map(|disk| smaller(case, disk))
        .collect();
    if disks.iter().any(|disk| is_volume(disk)) {
        steps.push(leave_volumes_alone());
    }
    steps
}

fn is_volume(disk: &Device) -> bool {
    disk.volume.is_some() || disk.iscsi_target.is_some()
}

fn smaller(case: &Case<'_>, disk: &Device) -> Option<Step> {
    let name = plain::word(&disk.name)?;
    let now = disk.queue.discard_max_bytes?;
    let to = piece(case, disk).filter(|to| *to < now)?;
    Some(
        step::now(format!(
            "or let the trim go on in smaller discards, so that others get in between ({name} is a disk of this host)"
        ))
        .command(format!("echo {to} > /sys/block/{name}/queue/discard_max_bytes"))
        .changes(format!(
            "the kernel sends discards of at most {} to {name}, until the next boot",
            stall_report::bytes(to)
        ))
        .risk(
            "where a discard takes as long whatever its size the trim takes longer and holds up as much: trace again, \
             and take it back if that is so",
        )
        .undo(format!("echo {now} > /sys/block/{name}/queue/discard_max_bytes"))
        .source(SYSFS),
    )
}

/// So much that a discard takes as long as a request that is slow, if time goes with size; a power of two.
fn piece(case: &Case<'_>, disk: &Device) -> Option<u64> {
    let device = case.device()?;
    let groups = case.findings.discards.iter();
    let here: Vec<&DiscardGroup> = groups.filter(|group| group.device == device.id).collect();
    let sum = |field: fn(&DiscardGroup) -> u64| {
        here.iter()
            .map(|group| u128::from(field(group)))
            .sum::<u128>()
    };
    let slow = u128::from(case.findings.settings.slow_ns);
    let bytes = (sum(|group| group.bytes) * slow).checked_div(sum(|group| group.device_ns))?;
    let bytes = u64::try_from(bytes).ok()?;
    let unit = disk
        .queue
        .discard_granularity_bytes
        .unwrap_or(0)
        .max(SMALLEST);
    let power = bytes.checked_ilog2().map_or(0, |power| 1 << power);
    Some(u64::max(power, unit.checked_next_power_of_two()?))
}

/// QEMU passes a guest's discard on; refused, it is an error of the disk for it.
pub(super) fn leave_volumes_alone() -> Step {
    step::now(
        "leave discard_max_bytes and provisioning_mode of devices that VMs have open (iSCSI, Longhorn) as they are",
    )
    .risk("a discard that is refused there is an I/O error to QEMU, which then pauses the VM (werror=stop)")
    .source("KubeVirt: discard=unmap and the error policy stop are set on every disk; harvester/harvester#7092")
}
