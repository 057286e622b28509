//! Discards of another origin: a filesystem mounted with `discard`, a program, swap, a device above.

use super::case::Case;
use super::step::{self, Step};
use super::{fstab, limit, stop};
use stall_report::model::Origin;

pub(super) fn steps(case: &Case<'_>) -> Vec<Step> {
    let origin = case.origin();
    let mut steps = match origin {
        Origin::OnlineDiscard => fstab::steps(case),
        Origin::FilesystemTrim | Origin::Blkdiscard | Origin::OtherProgram => stop::all(case),
        Origin::Mkfs => vec![formatting()],
        Origin::Swap => vec![swap()],
        Origin::LoopDevice => vec![loops()],
        Origin::StackedDevice => vec![stacked()],
        Origin::StorageTarget => vec![exported()],
        Origin::Guest | Origin::Unknown => vec![unknown()],
    };
    steps.extend(limit::discards(case));
    steps.push(case.confirm("when it has ended, trace again: the slow requests must be gone"));
    steps.extend(for_good(origin));
    steps
}

fn for_good(origin: Origin) -> Option<Step> {
    match origin {
        Origin::OnlineDiscard => Some(fstab::for_good()),
        Origin::Blkdiscard => Some(
            step::for_good(
                "discard in pieces, and with pauses: blkdiscard --step, or --offset and --length",
            )
            .source("blkdiscard(8)"),
        ),
        Origin::Mkfs => Some(
            step::for_good(
                "make filesystems without discarding first: mkfs.ext4 -E nodiscard, mkfs.xfs -K",
            )
            .risk("the disk does not learn that all of it is free: trim it at a quiet hour")
            .source("mkfs.ext4(8), mkfs.xfs(8)"),
        ),
        Origin::FilesystemTrim
        | Origin::OtherProgram
        | Origin::Swap
        | Origin::Guest
        | Origin::LoopDevice
        | Origin::StackedDevice
        | Origin::StorageTarget
        | Origin::Unknown => None,
    }
}

fn formatting() -> Step {
    step::now("a filesystem is being made: let it end")
        .risk("stopped half way there is no filesystem")
        .source("mke2fs(8)")
}

fn swap() -> Step {
    step::now(
        "see what is swapped to; turn that off, or swap on without discard (swapon(8), fstab(5))",
    )
    .command("swapon --show")
    .changes_nothing()
    .source("swapon(8)")
}

fn loops() -> Step {
    step::now("look who discards on the loop device: each discard there is a hole in its file")
        .command("losetup --list --output NAME,BACK-FILE")
        .changes_nothing()
        .source("losetup(8)")
}

fn stacked() -> Step {
    step::now("look who discards on the device above; LVM does when a volume is removed (lvm.conf: issue_discards)")
        .command("lsblk --discard")
        .changes_nothing()
        .source("lsblk(8), lvm.conf(5)")
}

fn exported() -> Step {
    step::now("look for a trim on the machines this one exports the device to").source("fstrim(8)")
}

fn unknown() -> Step {
    step::now("see discards in the report for who sent them and from where in the kernel")
        .source("docs/report.md of stall-agent")
}
