//! What a discard was for, decided by the functions on its submitter's kernel stack; names of programs only tell
//! apart those who ask a device directly, which all do the same thing.
//!
//! Rule: the rows of [`ORIGINS`] are tried in order, and the first with any of its functions anywhere on the stack
//! decides. The order goes from the caller's purpose to the means: a trim of a filesystem on a loop device is a trim.

use super::symbol::{is_one_of, names};
use stall_capture::{Capture, Process, Stack};
use stall_report::model::Origin;

/// What was decided, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) origin: Origin,
    pub(super) decided_by: Option<String>,
    pub(super) object: Option<String>,
}

/// Decides for one stack.
pub(super) fn decide(
    capture: &Capture,
    stack: Option<&Stack>,
    process: Option<&Process>,
) -> Decision {
    let Some((means, symbol)) = stack.and_then(first_row) else {
        return Decision {
            origin: Origin::Unknown,
            decided_by: None,
            object: None,
        };
    };
    let (origin, program) = match means {
        Means::Is(origin) => (origin, None),
        Means::Direct => caller(process),
    };
    Decision {
        origin,
        decided_by: Some(program.map_or_else(
            || symbol.to_owned(),
            |program| format!("{symbol}, {program}"),
        )),
        object: (origin == Origin::LoopDevice)
            .then(|| backing_file(capture, process?))
            .flatten(),
    }
}

/// The function that shows a stack to be inside FITRIM.
pub(super) fn inside_trim(stack: &Stack) -> Option<&str> {
    match first_row(stack)? {
        (Means::Is(Origin::FilesystemTrim), symbol) => Some(symbol),
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Means {
    Is(Origin),
    /// The device itself was asked; the program tells by whom.
    Direct,
}

/// FITRIM as filesystems implement it. `btrfs_trim_block_group` is FITRIM's; the background discard of btrfs
/// calls `.._extents` and `.._bitmaps` (fs/btrfs/free-space-cache.c).
const TRIM: &str = "*_trim_fs *_ioctl_fitrim *_ioc_fitrim *_ioc_trim *_fitrim *_ioctl_trim_fs \
     ext4_trim_extent ext4_try_to_trim_range xfs_trim_* btrfs_trim_block_group \
     btrfs_trim_free_extents";

/// Functions are separated by spaces; `*` stands for any beginning or end.
const ORIGINS: &[(Means, &str)] = &[
    // Mounted with `discard`, ext4 trims what it freed by the functions of FITRIM, in a worker.
    (Means::Is(Origin::OnlineDiscard), "ext4_discard_work"),
    (Means::Is(Origin::FilesystemTrim), TRIM),
    (
        Means::Is(Origin::Swap),
        "discard_swap discard_swap_cluster swap_do_scheduled_discard swap_discard_work \
     __do_sys_swapon",
    ),
    (
        Means::Is(Origin::LoopDevice),
        "lo_fallocate loop_handle_cmd loop_process_work loop_workfn loop_rootcg_workfn \
     do_req_filebacked",
    ),
    (
        Means::Is(Origin::StorageTarget),
        "iblock_execute_unmap target_submit* nvmet_* vhost_scsi* blk_rq_map_nvmet*",
    ),
    (
        Means::Is(Origin::OnlineDiscard),
        "ext4_process_freed_data ext4_issue_discard ext4_free_blocks \
     xfs_discard* xlog_discard* xlog_cil* btrfs_discard* btrfs_finish_extent_commit \
     issue_discard_thread f2fs_issue_discard* f2fs_queue_discard* \
     __issue_discard_cmd* __submit_discard_cmd fat_free_clusters exfat_* nilfs_* \
     gfs2_rgrp_send_discards jbd2_journal_commit_transaction",
    ),
    (
        Means::Is(Origin::StackedDevice),
        "process_discard* process_prepared_discard* raid* md_* dm_kcopyd* dm_thin* bch_*",
    ),
    (
        Means::Direct,
        "blkdev_ioctl blkdev_common_ioctl compat_blkdev_ioctl blk_ioctl_discard \
     blk_ioctl_secure_erase blkdev_fallocate blkdev_uring_cmd blkdev_cmd_discard",
    ),
];

fn first_row(stack: &Stack) -> Option<(Means, &str)> {
    ORIGINS.iter().find_map(|(means, patterns)| {
        let symbol = names(stack).find(|name| is_one_of(patterns, name))?;
        Some((*means, symbol))
    })
}

/// Programs that make a filesystem or wipe one.
const MAKERS: &str = "mkfs* mke2fs mkswap wipefs mkntfs mkdosfs zpool pvcreate";
/// QEMU as Debian, SUSE and upstream `KubeVirt` call it; `comm` is cut to 15 characters.
const EMULATORS: &str = "qemu-system-* qemu-kvm kvm cloud-hypervisor firecracker";

fn caller(process: Option<&Process>) -> (Origin, Option<String>) {
    let Some(process) = process else {
        return (Origin::OtherProgram, None);
    };
    let program = program(process);
    let origin = if is_one_of(EMULATORS, &program) {
        Origin::Guest
    } else if is_one_of(MAKERS, &program) {
        Origin::Mkfs
    } else if program == "blkdiscard" {
        Origin::Blkdiscard
    } else {
        Origin::OtherProgram
    };
    (origin, Some(program))
}

/// File name of the executable; without it the process's own name.
fn program(process: &Process) -> String {
    let exe = process
        .exe
        .as_deref()
        .map(|exe| exe.trim_end_matches(" (deleted)"));
    let name = exe
        .and_then(|exe| exe.rsplit('/').next())
        .filter(|name| !name.is_empty());
    name.unwrap_or(&process.comm).to_owned()
}

/// The worker of a loop device carries its name (drivers/block/loop.c: "loop%d").
fn backing_file(capture: &Capture, process: &Process) -> Option<String> {
    let texts = [process.worker.as_deref().unwrap_or(""), &process.comm];
    let is_part = |name: &str| {
        texts.iter().any(|text| {
            text.split(|c: char| !c.is_alphanumeric())
                .any(|part| part == name)
        })
    };
    let disk = capture
        .disks
        .iter()
        .find(|disk| disk.name.starts_with("loop") && is_part(&disk.name))?;
    disk.facts.as_ref()?.backing_file.clone()
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::{Builder, disk, process, stack_of};
    use super::*;

    fn decided(frames: &[&str], process: Option<&Process>) -> Decision {
        let capture = Builder::of_disks(vec![]).capture();
        decide(&capture, Some(&stack_of(frames)), process)
    }

    #[test]
    fn a_trim_is_one_under_any_name() {
        let stacks: [&[&str]; 4] = [
            &[
                "submit_bio_wait",
                "blkdev_issue_discard",
                "ext4_trim_extent",
                "ext4_trim_fs",
                "__ext4_ioctl",
            ],
            &[
                "__blkdev_issue_discard",
                "xfs_discard_extents",
                "xfs_trim_datadev_extents",
                "xfs_ioc_trim",
            ],
            &[
                "blkdev_issue_discard",
                "btrfs_issue_discard",
                "btrfs_trim_fs",
                "btrfs_ioctl_fitrim.isra.0",
            ],
            &["blkdev_issue_discard", "f2fs_issue_discard", "f2fs_trim_fs"],
        ];
        for frames in stacks {
            assert_eq!(
                decided(frames, Some(&process(7, "cleaner"))).origin,
                Origin::FilesystemTrim
            );
        }
    }

    #[test]
    fn the_name_fstrim_makes_no_trim() {
        let fstrim = process(7, "fstrim");
        assert_eq!(
            decided(&["blkdev_issue_discard", "blkdev_ioctl"], Some(&fstrim)).origin,
            Origin::OtherProgram
        );
        assert_eq!(
            decided(&["submit_bio_wait", "somewhere"], Some(&fstrim)).origin,
            Origin::Unknown
        );
    }

    #[test]
    fn who_asks_the_device_itself_is_told_by_the_program() {
        let frames = [
            "blkdev_issue_discard",
            "blkdev_common_ioctl",
            "blkdev_ioctl",
            "__x64_sys_ioctl",
        ];
        let cases = [
            ("blkdiscard", "/usr/sbin/blkdiscard", Origin::Blkdiscard),
            ("mkfs.ext4", "/usr/sbin/mke2fs", Origin::Mkfs),
            ("worker", "/usr/bin/qemu-system-x86_64", Origin::Guest),
            ("qemu-kvm", "/usr/libexec/qemu-kvm (deleted)", Origin::Guest),
            ("dd", "/usr/bin/dd", Origin::OtherProgram),
        ];
        for (comm, exe, origin) in cases {
            let caller = Process {
                exe: Some(exe.to_owned()),
                ..process(9, comm)
            };
            assert_eq!(decided(&frames, Some(&caller)).origin, origin, "{comm}");
        }
    }

    #[test]
    fn a_filesystem_mounted_with_discard_is_no_trim() {
        let stacks: [&[&str]; 3] = [
            &[
                "blkdev_issue_discard",
                "ext4_trim_extent",
                "ext4_try_to_trim_range",
                "ext4_discard_work",
                "process_one_work",
            ],
            &[
                "__blkdev_issue_discard",
                "xfs_discard_extents",
                "xlog_cil_committed",
                "xlog_cil_process_committed",
            ],
            &[
                "btrfs_issue_discard",
                "btrfs_trim_block_group_bitmaps",
                "btrfs_discard_workfn",
            ],
        ];
        for frames in stacks {
            assert_eq!(
                decided(frames, Some(&process(7, "kworker/1:1"))).origin,
                Origin::OnlineDiscard
            );
            assert_eq!(inside_trim(&stack_of(frames)), None);
        }
    }

    #[test]
    fn a_loop_worker_is_named_with_its_file() {
        let mut loop0 = disk("loop0");
        loop0.facts.get_or_insert_default().backing_file = Some("/images/vm.raw".to_owned());
        let capture = Builder::of_disks(vec![loop0]).capture();
        let worker = Process {
            worker: Some("loop0".to_owned()),
            ..process(8, "kworker/u4:2")
        };
        let stack = stack_of(&[
            "blkdev_issue_discard",
            "blkdev_fallocate",
            "lo_fallocate",
            "loop_workfn",
        ]);
        let decision = decide(&capture, Some(&stack), Some(&worker));
        assert_eq!(decision.origin, Origin::LoopDevice);
        assert_eq!(decision.object.as_deref(), Some("/images/vm.raw"));
    }
}
