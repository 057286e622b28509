//! Filesystems mounted with `discard`: off now, and at the next mount.

use super::case::Case;
use super::plain;
use super::step::{self, Step};
use stall_report::model::{Device, Mount};

/// Filesystems whose `discard` can be changed while they are mounted.
const REMOUNT: [&str; 3] = ["ext4", "btrfs", "f2fs"];
const SHOWN: usize = 3;

/// Of the device of the verdict.
pub(super) fn steps(case: &Case<'_>) -> Vec<Step> {
    let mounts = case.device().map_or_else(Vec::new, online);
    let mut steps: Vec<Step> = mounts
        .iter()
        .filter_map(|mount| remount(mount))
        .take(SHOWN)
        .collect();
    if steps.is_empty() {
        let words = "mount the filesystem without discard, and trim it at a quiet hour instead";
        steps.push(step::now(words).source("ext4(5), xfs(5), mount(8)"));
    }
    steps
}

/// So that it is mounted without it at the next boot.
pub(super) fn for_good() -> Step {
    step::for_good(
        "take the option discard out of the line that mounts it, and trim at a quiet hour instead",
    )
    .command("grep -nw discard /etc/fstab")
    .changes_nothing()
    .source("fstab(5), fstrim(8)")
}

fn online(device: &Device) -> Vec<&Mount> {
    let parts = device.partitions.iter();
    let parts = parts.flat_map(|partition| &partition.mounts);
    let all = device.mounts.iter().chain(parts);
    all.filter(|mount| mount.online_discard).collect()
}

fn remount(mount: &Mount) -> Option<Step> {
    let point = plain::path(&mount.mount_point)?;
    REMOUNT.contains(&mount.filesystem.as_str()).then(|| {
        step::now("mount the filesystem without discard, and trim it at a quiet hour instead")
            .command(format!("mount -o remount,nodiscard {point}"))
            .changes("deleted files are no longer discarded at once, until it is mounted anew")
            .risk("none for data; space is given back by the next trim only")
            .undo(format!("mount -o remount,discard {point}"))
            .source("mount(8), ext4(5), btrfs(5)")
    })
}
