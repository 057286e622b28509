//! What a task in D waits for, decided by the functions on its kernel stack.
//!
//! Rule: from the innermost function outwards, the first that has a row in [`ROWS`] decides. Functions that
//! only sleep, or only pass on (`schedule`, `io_schedule`, `submit_bio_wait`, `rq_qos_wait`, ...), have no row there, so
//! that the one that knows why decides. Before that: when the innermost is one that takes a lock and waits for I/O only
//! further inside, it is that lock ([`super::lock`]). When none has, the rows of [`FALLBACK`] are tried in order; when none
//! fits either the reason is `other`, or `unknown` without any name.

use super::lock;
use super::symbol::{is_one_of, names};
use stall_capture::Stack;
use stall_report::model::Reason;

/// What was decided, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) reason: Reason,
    /// The function that decided.
    pub(super) decided_by: Option<String>,
    /// The first function beyond it that does not decide the same.
    pub(super) called_from: Option<String>,
}

/// Decides for one stack.
pub(super) fn decide(stack: Option<&Stack>) -> Decision {
    let Some(stack) = stack else {
        return Decision {
            reason: Reason::Unknown,
            decided_by: None,
            called_from: None,
        };
    };
    let lock = lock::taken_by(stack).map(|symbol| (Reason::Lock, symbol));
    let row = || first(stack, ROWS).or_else(|| first_row(stack, FALLBACK));
    let Some((reason, symbol)) = lock.or_else(row) else {
        return Decision {
            reason: Reason::Other,
            decided_by: None,
            called_from: outermost_wait(stack),
        };
    };
    Decision {
        reason,
        decided_by: Some(symbol.to_owned()),
        called_from: caller(stack, symbol, reason).map(str::to_owned),
    }
}

/// Whether a reason has to do with storage at all.
pub(super) const fn is_storage(reason: Reason) -> bool {
    match reason {
        Reason::Discard
        | Reason::Read
        | Reason::Write
        | Reason::Flush
        | Reason::Journal
        | Reason::PageLock
        | Reason::PageWriteback
        | Reason::Lock
        | Reason::RequestTag
        | Reason::WritebackThrottling
        | Reason::BlockThrottle
        | Reason::QueueFrozen
        | Reason::StackedDevice
        | Reason::UserSpaceServer
        | Reason::NetworkStorage
        | Reason::Swap
        | Reason::OtherIo
        | Reason::Unknown => true,
        Reason::MemoryReclaim | Reason::Other => false,
    }
}

/// A reason, and patterns of names separated by spaces.
type Row = (Reason, &'static str);

const ROWS: &[Row] = &[
    (
        Reason::RequestTag,
        "blk_mq_get_tag sbitmap_queue_wait* scsi_dev_queue_ready",
    ),
    (
        Reason::BlockThrottle,
        "blkcg_maybe_throttle_current blkcg_iolatency_throttle ioc_rqos_throttle \
         blk_throtl_* __blk_throtl_bio",
    ),
    (
        Reason::WritebackThrottling,
        "wbt_wait __wbt_wait balance_dirty_pages*",
    ),
    (
        Reason::QueueFrozen,
        "blk_mq_freeze_queue* __bio_queue_enter blk_queue_enter bio_queue_enter",
    ),
    (
        Reason::Discard,
        "blkdev_issue_discard __blkdev_issue_discard blkdev_issue_secure_erase \
         blk_ioctl_discard blkdev_issue_zeroout xfs_discard_extents \
         xfs_extent_busy_wait_all xfs_extent_busy_flush f2fs_wait_discard*",
    ),
    (
        Reason::Flush,
        "blkdev_issue_flush blk_insert_flush jbd2_issue_flush xfs_flush_bdev \
         xfs_blkdev_issue_flush ext4_force_shutdown md_flush_request wait_dev_flush \
         write_all_supers barrier_all_devices",
    ),
    (
        Reason::Journal,
        "jbd2_log_wait_commit jbd2_complete_transaction do_get_write_access \
         jbd2_journal_get_* wait_transaction_locked wait_transaction_switching \
         add_transaction_credits start_this_handle jbd2_log_do_checkpoint \
         __jbd2_log_wait_for_space jbd2_journal_wait_updates \
         jbd2_journal_commit_transaction jbd2_log_* ext4_fc_commit xlog_wait* xlog_grant* \
         xlog_state_* xlog_force_lsn xlog_cil_* xfs_log_force* xfs_log_reserve \
         xfs_ail_push* btrfs_commit_transaction* wait_current_trans wait_for_commit \
         btrfs_wait_for_commit btrfs_sync_log wait_log_commit f2fs_issue_checkpoint \
         f2fs_write_checkpoint",
    ),
    (
        Reason::Lock,
        "__mutex_lock* mutex_lock* rwsem_down_* down_read* down_write* __down \
         __down_common down down_timeout rt_mutex_* percpu_down_write percpu_rwsem_wait \
         __percpu_down_read xfs_buf_lock xfs_ilock* xfs_buf_find* __lock_buffer \
         inode_lock* ext4_lock_group btrfs_tree_lock* btrfs_tree_read_lock* btrfs_lock_* \
         __inode_wait_for_writeback inode_dio_wait* __inode_dio_wait sb_start_write \
         __sb_start_write xfs_iflock* ww_mutex_*",
    ),
    (
        Reason::PageWriteback,
        "folio_wait_writeback* wait_on_page_writeback* __filemap_fdatawait_range \
         filemap_fdatawait* folio_wait_stable wait_for_stable_page",
    ),
    (
        Reason::Swap,
        "do_swap_page swap_read_folio* swap_readpage* __swap_writepage*",
    ),
    (
        Reason::Read,
        "filemap_read_folio filemap_update_page filemap_get_pages filemap_fault \
         do_read_cache_* read_cache_folio generic_file_buffered_read* __bread* bh_read* \
         __bh_read* ext4_read_bh* ext4_sb_bread* __ext4_sb_bread* ext4_bread* \
         __ext4_get_inode_loc* ext4_wait_block_bitmap ext4_read_block_bitmap* \
         ext4_read_inode_bitmap ext4_mb_init_cache ext4_mb_init_group \
         read_extent_tree_block __ext4_find_entry ext4_find_entry xfs_buf_read* \
         xfs_buf_readahead* _xfs_buf_read btrfs_read_extent_buffer* read_extent_buffer* \
         read_tree_block read_block_for_search ext4_file_read_iter ext4_dio_read_iter \
         xfs_file_dio_read xfs_file_read_iter btrfs_direct_read btrfs_file_read_iter \
         blkdev_read_iter vfs_read vfs_readv io_read __io_read aio_read mpage_readahead \
         page_cache_ra* ext4_write_begin block_write_begin iomap_write_begin",
    ),
    (
        Reason::Write,
        "ext4_dio_write_iter ext4_file_write_iter ext4_buffered_write_iter \
         xfs_file_dio_write* xfs_file_write_iter btrfs_direct_write btrfs_do_write_iter \
         blkdev_write_iter blkdev_direct_write vfs_write vfs_writev io_write aio_write \
         __sync_dirty_buffer sync_dirty_buffer write_dirty_buffer xfs_bwrite \
         xfs_buf_delwri_submit* ext4_commit_super jbd2_write_superblock \
         writeback_sb_inodes wb_writeback do_writepages writeback_single_inode \
         btrfs_wait_ordered*",
    ),
    (
        Reason::StackedDevice,
        "raid5_get_active_stripe wait_barrier raid1_* raid10_* md_super_wait \
         md_write_start dm_wait_* md_handle_request",
    ),
    (
        Reason::UserSpaceServer,
        "request_wait_answer __fuse_request_send __fuse_simple_request \
         fuse_simple_request fuse_* nbd_* ublk_*",
    ),
    (
        Reason::NetworkStorage,
        "rpc_wait_bit_killable __rpc_execute rpc_* nfs_* nfs4_* cifs_* smb2_* ceph_* \
         SendReceive*",
    ),
    (
        Reason::MemoryReclaim,
        "reclaim_throttle shrink_node* try_to_free_pages try_to_free_mem_cgroup_pages \
         throttle_direct_reclaim do_try_to_free_pages __alloc_pages_slowpath* \
         mem_cgroup_handle_over_high too_many_isolated congestion_wait",
    ),
    (
        Reason::Flush,
        "vfs_fsync_range do_fsync ext4_sync_file xfs_file_fsync btrfs_sync_file \
         blkdev_fsync sync_filesystem ksys_sync",
    ),
    (
        Reason::Other,
        "wait_for_vfork_done kernel_clone synchronize_rcu* __flush_work msleep* \
         kthread_stop kthread_park do_coredump do_exit cgroup_*",
    ),
];

/// For stacks on which nothing tells more.
const FALLBACK: &[Row] = &[
    (Reason::WritebackThrottling, "rq_qos_wait __rq_qos_throttle"),
    (
        Reason::PageLock,
        "__folio_lock* folio_lock* folio_wait_bit* wait_on_page_bit* __lock_page* \
         folio_put_wait_locked",
    ),
    (
        Reason::OtherIo,
        "submit_bio_wait __wait_on_buffer wait_on_buffer __iomap_dio_rw iomap_dio_rw \
         blk_execute_rq bio_wait_event* io_schedule* wait_for_completion_io* \
         blk_mq_submit_bio bit_wait_io submit_bh* __blockdev_direct_IO xfs_buf_iowait",
    ),
];

fn first<'a>(stack: &'a Stack, rows: &[Row]) -> Option<(Reason, &'a str)> {
    names(stack).find_map(|name| Some((reason_of(name, rows)?, name)))
}

fn first_row<'a>(stack: &'a Stack, rows: &[Row]) -> Option<(Reason, &'a str)> {
    rows.iter().find_map(|(reason, patterns)| {
        let name = names(stack).find(|name| is_one_of(patterns, name))?;
        Some((*reason, name))
    })
}

fn reason_of(name: &str, rows: &[Row]) -> Option<Reason> {
    let row = rows.iter().find(|(_, patterns)| is_one_of(patterns, name));
    row.map(|(reason, _)| *reason)
}

fn caller<'a>(stack: &'a Stack, symbol: &str, reason: Reason) -> Option<&'a str> {
    let beyond = names(stack).skip_while(|name| *name != symbol);
    beyond
        .skip(1)
        .find(|name| reason_of(name, ROWS) != Some(reason))
}

/// Functions that put to sleep, and the tracing in front of them.
const SLEEPING: &str = "bpf_* __bpf_* __traceiter_* trace_* __schedule schedule* io_schedule* \
     preempt_schedule* wait_for_completion* __wait_for_common do_wait_for_common bit_wait* \
     __wait_on_bit* out_of_line_wait_on_bit*";

fn outermost_wait(stack: &Stack) -> Option<String> {
    names(stack)
        .find(|name| !is_one_of(SLEEPING, name))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::stack_of;
    use super::*;

    /// Stacks as seen on 6.18 and described in the kernel's sources.
    const SEEN: &[(Reason, &str, &str)] = &[
        (
            Reason::Discard,
            "blkdev_issue_discard",
            "__schedule schedule io_schedule submit_bio_wait blkdev_issue_discard \
             ext4_trim_extent ext4_trim_fs",
        ),
        (
            Reason::WritebackThrottling,
            "wbt_wait",
            "schedule io_schedule rq_qos_wait wbt_wait __rq_qos_throttle \
             blk_mq_submit_bio blkdev_issue_discard",
        ),
        (
            Reason::BlockThrottle,
            "blkcg_iolatency_throttle",
            "io_schedule rq_qos_wait blkcg_iolatency_throttle __rq_qos_throttle \
             blk_mq_submit_bio",
        ),
        (
            Reason::RequestTag,
            "blk_mq_get_tag",
            "io_schedule blk_mq_get_tag __blk_mq_alloc_requests blk_mq_submit_bio \
             xfs_file_dio_read",
        ),
        (
            Reason::Read,
            "ext4_dio_read_iter",
            "schedule __iomap_dio_rw iomap_dio_rw ext4_dio_read_iter vfs_read",
        ),
        (
            Reason::Write,
            "ext4_dio_write_iter",
            "schedule __iomap_dio_rw iomap_dio_rw ext4_dio_write_iter vfs_write",
        ),
        (
            Reason::Read,
            "filemap_update_page",
            "io_schedule folio_wait_bit_common filemap_update_page filemap_get_pages \
             filemap_read",
        ),
        (
            Reason::PageWriteback,
            "folio_wait_writeback",
            "io_schedule folio_wait_bit_common folio_wait_writeback \
             __filemap_fdatawait_range ext4_sync_file",
        ),
        (
            Reason::PageLock,
            "folio_wait_bit_common",
            "io_schedule folio_wait_bit_common __folio_lock truncate_inode_pages_range",
        ),
        (
            Reason::Journal,
            "jbd2_log_wait_commit",
            "schedule jbd2_log_wait_commit jbd2_complete_transaction ext4_sync_file \
             do_fsync",
        ),
        (
            Reason::Journal,
            "do_get_write_access",
            "schedule bit_wait_io __wait_on_bit do_get_write_access ext4_mkdir",
        ),
        (
            Reason::Journal,
            "xlog_wait_on_iclog",
            "schedule xlog_wait_on_iclog xfs_log_force_seq xfs_file_fsync do_fsync",
        ),
        (
            Reason::Flush,
            "blkdev_issue_flush",
            "io_schedule submit_bio_wait blkdev_issue_flush ext4_sync_file do_fsync",
        ),
        (
            Reason::Lock,
            "rwsem_down_write_slowpath",
            "schedule rwsem_down_write_slowpath down_write ext4_buffered_write_iter \
             vfs_write",
        ),
        (
            Reason::Lock,
            "ext4_file_read_iter",
            "ext4_file_read_iter vfs_read __x64_sys_pread64",
        ),
        (
            Reason::Lock,
            "__down_common",
            "schedule_timeout __down_common __down down xfs_buf_lock xfs_buf_find_lock \
             xfs_read_agf",
        ),
        (
            Reason::UserSpaceServer,
            "request_wait_answer",
            "schedule request_wait_answer __fuse_simple_request fuse_fallocate \
             lo_fallocate",
        ),
        (
            Reason::Other,
            "wait_for_vfork_done",
            "schedule wait_for_vfork_done kernel_clone",
        ),
    ];

    #[test]
    fn stacks_are_told_apart() {
        for (reason, symbol, frames) in SEEN {
            let frames: Vec<&str> = frames.split_whitespace().collect();
            let decision = decide(Some(&stack_of(&frames)));
            assert_eq!(decision.reason, *reason, "{frames:?}");
            assert_eq!(decision.decided_by.as_deref(), Some(*symbol));
        }
    }

    #[test]
    fn a_lock_is_told_with_who_takes_it() {
        let stack = stack_of(&[
            "schedule",
            "rwsem_down_write_slowpath",
            "down_write",
            "ext4_buffered_write_iter",
        ]);
        assert_eq!(
            decide(Some(&stack)).called_from.as_deref(),
            Some("ext4_buffered_write_iter")
        );
    }

    #[test]
    fn without_a_name_nothing_is_decided() {
        assert_eq!(decide(None).reason, Reason::Unknown);
        let strange = stack_of(&[
            "__schedule",
            "schedule",
            "wait_for_completion",
            "some_driver_probe",
        ]);
        let decision = decide(Some(&strange));
        assert_eq!(
            (decision.reason, decision.called_from.as_deref()),
            (Reason::Other, Some("some_driver_probe"))
        );
    }
}
