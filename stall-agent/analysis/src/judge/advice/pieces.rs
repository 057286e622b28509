//! A trim in pieces, with pauses, at an hour when nobody minds.

use super::case::Case;
use super::plain;
use super::step::{self, Step};
use stall_report::model::Device;

const GIB: u64 = 1 << 30;
/// Of free space at once; what is in use costs nothing.
const PIECE_GIB: u64 = 10;
const PAUSE_S: u64 = 30;

/// Of the first filesystem on the device of the verdict whose path is plain.
pub(super) fn trim(case: &Case<'_>) -> Step {
    let words = "trim at a quiet hour and in pieces: fstrim --offset, --length";
    let step = step::for_good(words);
    let place = case.device().and_then(mounted);
    let Some((point, bytes)) = place else {
        return step.source("fstrim(8)");
    };
    let last = bytes / GIB;
    step.command(format!(
        "for at in $(seq 0 {PIECE_GIB} {last}); do fstrim --offset ${{at}}GiB --length {PIECE_GIB}GiB {point}; sleep {PAUSE_S}; done"
    ))
    .changes(format!(
        "trims {PIECE_GIB} GiB of {point} at a time and leaves the disk {PAUSE_S} s in between"
    ))
    .risk("each piece is as hard on the disk while it lasts; begin it when a stall does no harm")
    .source("fstrim(8)")
}

/// A mount of a whole filesystem, and its size.
fn mounted(device: &Device) -> Option<(&str, u64)> {
    let whole = device.mounts.iter().map(|mount| (mount, device.size_bytes));
    let parts = device.partitions.iter().flat_map(|partition| {
        let mounts = partition.mounts.iter();
        mounts.map(move |mount| (mount, partition.size_bytes))
    });
    let mut places: Vec<_> = whole
        .chain(parts)
        .filter(|(mount, _)| mount.root == "/")
        .filter_map(|(mount, bytes)| Some((plain::path(&mount.mount_point)?, bytes?)))
        .collect();
    places.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    places.first().copied()
}
