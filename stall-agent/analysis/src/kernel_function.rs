//! One table of kernel functions: what a task sleeps for in them, where on a stack that decides,
//! and who ends the sleep. Names are those of Linux 4.14 to 7.x. The rule that reads it is in
//! [`super::reason`].

use std::sync::LazyLock;

use super::symbol::{Index, is_one_of};
use stall_report::model::Reason;

/// Where on a stack a row decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Wherever it stands, when nothing further inside decides: it knows why it sleeps.
    Anywhere,
    /// As the innermost function only. It takes a lock itself and waits for I/O only in functions
    /// it calls, which would be further inside. Of a sleeping task the kernel leaves out its
    /// section of scheduling functions (`stack_trace_consume_entry_nosched`, kernel/stacktrace.c),
    /// to which mutexes, rwsems (from 5.18) and semaphores belong.
    Innermost,
    /// Wherever it stands, unless the function that called it knows better.
    AskCaller,
    /// It waits for some I/O; any function further outside may say which.
    Io,
    /// It reads, writes or syncs a file, as a filesystem does.
    Purpose,
    /// The same, as a system call or a thread does: whatever the file is of.
    Entry,
    /// Memory is freed or a page fault served: what is further outside did not ask for what happens
    /// inside.
    Boundary,
}

/// Who ends a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The task that lets go: the one that woke the sleeper, or the holder the kernel names.
    Task,
    /// An interrupt, a timer, another machine: whoever ran on that CPU has nothing to do with it.
    Interrupt,
}

/// What a task sleeps for in some functions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) reason: Reason,
    pub(super) place: Place,
    pub(super) ended: By,
    /// Separated by spaces; `*` stands for any beginning or end.
    functions: &'static str,
}

const fn row(reason: Reason, place: Place, ended: By, functions: &'static str) -> Row {
    Row {
        reason,
        place,
        ended,
        functions,
    }
}

use By::{Interrupt, Task};
use Place::{Anywhere, AskCaller, Boundary, Entry, Innermost, Io, Purpose};

/// The first row with a function decides for it.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Before a request exists.
    row(Reason::RequestTag, Anywhere, Interrupt,
        "blk_mq_get_tag sbitmap_queue_wait* scsi_dev_queue_ready get_request get_request_wait \
         bt_get percpu_ida_alloc __blk_mq_alloc_requests blk_mq_alloc_request_hctx"),
    row(Reason::WritebackThrottling, Anywhere, Interrupt, "wbt_wait __wbt_wait"),
    row(Reason::BlockThrottle, Anywhere, Interrupt,
        "blkcg_maybe_throttle_* blkcg_iolatency_throttle __blkcg_iolatency_throttle \
         ioc_rqos_throttle iocg_* blk_throtl_* __blk_throtl_bio *cgroup_throttle_swaprate \
         *_throttle_swaprate"),
    row(Reason::WritebackThrottling, AskCaller, Interrupt, "rq_qos_wait __rq_qos_throttle"),
    row(Reason::DirtyThrottling, Anywhere, Interrupt, "balance_dirty_pages*"),
    row(Reason::QueueFrozen, Anywhere, Interrupt,
        "blk_mq_freeze_queue* blk_freeze_queue* blk_queue_enter __bio_queue_enter bio_queue_enter \
         blk_mq_queue_enter blk_queue_start_drain blk_mq_quiesce_* blk_mq_wait_quiesce_done \
         nvme_wait_freeze* scsi_block_when_processing_errors blk_cleanup_queue \
         blk_mq_update_nr_hw_queues"),

    // What was asked of the device itself.
    row(Reason::Zeroout, Anywhere, Interrupt,
        "blkdev_issue_zeroout __blkdev_issue_zeroout blkdev_issue_zero_pages \
         blkdev_issue_write_zeroes blkdev_issue_write_same"),
    row(Reason::Discard, Anywhere, Interrupt,
        "blkdev_issue_discard __blkdev_issue_discard blkdev_issue_secure_erase blk_ioctl_discard \
         blk_ioctl_secure_erase blkdev_cmd_discard xfs_discard_extents xlog_discard_* \
         xfs_extent_busy_wait_all f2fs_wait_discard* __submit_discard_cmd __issue_discard_cmd* \
         discard_swap* btrfs_issue_discard btrfs_discard_extent"),
    row(Reason::Flush, Anywhere, Interrupt,
        "blkdev_issue_flush blk_insert_flush jbd2_issue_flush xfs_flush_bdev \
         xfs_blkdev_issue_flush ext4_force_shutdown md_flush_request wait_dev_flush \
         write_all_supers barrier_all_devices f2fs_issue_flush __submit_flush_wait"),

    // Journals and logs: who writes them is a task.
    row(Reason::Journal, Anywhere, Task,
        "jbd2_log_wait_commit jbd2_complete_transaction wait_transaction_locked \
         wait_transaction_switching add_transaction_credits start_this_handle \
         __jbd2_log_wait_for_space jbd2_journal_wait_updates xlog_wait* xlog_grant* \
         xfs_log_reserve wait_current_trans wait_for_commit btrfs_wait_for_commit wait_log_commit"),
    row(Reason::Journal, Anywhere, Interrupt,
        "do_get_write_access jbd2_journal_get_* jbd2_log_* jbd2_journal_* jbd2_fc_* ext4_fc_commit \
         ext4_fc_start_update ext4_fc_wait* xlog_* xfs_log_force* _xfs_log_force* xfs_log_quiesce \
         xfs_ail_push* xfs_iunpin* __xfs_iunpin_wait xfs_buf_wait_unpin xfs_extent_busy_flush \
         btrfs_commit_transaction* btrfs_sync_log start_log_trans join_running_log_trans \
         btrfs_end_transaction* wait_reserve_ticket handle_reserve_ticket __reserve_bytes \
         btrfs_reserve_metadata_bytes btrfs_reserve_data_bytes __reserve_metadata_bytes \
         reserve_metadata_bytes f2fs_issue_checkpoint f2fs_write_checkpoint \
         f2fs_wait_on_all_pages* f2fs_sync_fs bch2_journal_* __bch2_journal_* \
         bch2_trans_commit_error journal_quiesce nilfs_segctor_* nilfs_construct_segment \
         queue_log_writer do_journal_begin_r flush_commit_list lmLogSync lmGroupCommit txBegin* \
         jfs_flush_journal gfs2_log_reserve gfs2_log_flush* __gfs2_log_* gfs2_trans_begin \
         ubifs_run_commit wait_for_commit* zil_commit* zil_suspend zil_lwb_* txg_wait_* \
         txg_quiesce* dmu_tx_wait dmu_tx_assign"),

    // A frozen filesystem is let go by the task that thaws it.
    row(Reason::FrozenFilesystem, Anywhere, Task,
        "sb_start_write* __sb_start_write sb_start_pagefault sb_start_intwrite mnt_want_write* \
         file_start_write kiocb_start_write"),

    // Locks. `percpu_rwsem_wait` is a frozen filesystem's too; the rule tells them apart.
    row(Reason::Lock, Anywhere, Task,
        "__mutex_lock* mutex_lock* rwsem_down_* __rwsem_down_* call_rwsem_down_* down_read* \
         down_write* __down_read* __down_write* __down __down_common ___down_common \
         __down_killable down down_timeout down_interruptible down_killable rt_mutex_* \
         __rt_mutex_* rwbase_* __rwbase_* rt_spin_lock* rtlock_* percpu_down_write \
         percpu_down_read percpu_rwsem_wait __percpu_down_read ww_mutex_* __ww_mutex_* \
         ldsem_down_* six_lock_* __six_lock_* xfs_buf_lock xfs_ilock* xfs_lock_* xfs_buf_find* \
         inode_lock* ext4_lock_group btrfs_tree_lock* __btrfs_tree_lock* btrfs_tree_read_lock* \
         __btrfs_tree_read_lock* btrfs_lock_* btrfs_inode_lock btrfs_drew_* rtnl_lock* \
         console_lock lock_sock_nested __lock_sock lock_rename* lock_two_* f2fs_down_read* \
         f2fs_down_write* f2fs_lock_op f2fs_balance_fs nfs_start_io_* netfs_start_io_* \
         ceph_start_io_* nilfs_transaction_begin reiserfs_write_lock* dm_internal_suspend* \
         bd_prepare_to_claim bd_start_claiming bd_abort_claiming"),
    row(Reason::Lock, Anywhere, Interrupt,
        "__lock_buffer __inode_wait_for_writeback inode_wait_for_writeback inode_dio_wait* \
         __inode_dio_wait xfs_iflock* __xfs_iflock* wait_extent_bit lock_extent* __lock_extent* \
         btrfs_lock_extent* __wait_on_freeing_inode find_inode find_inode_fast ilookup* \
         iget_locked iget5_locked wait_on_inode d_alloc_parallel d_wait_lookup gfs2_glock_nq_atime \
         __get_metapage lock_metapage"),
    row(Reason::Lock, Innermost, Task,
        "ext4_file_read_iter ext4_dio_read_iter ext4_file_write_iter ext4_buffered_write_iter \
         ext4_dio_write_iter ext4_map_blocks ext4_da_map_blocks ext4_setattr ext4_fallocate \
         ext4_page_mkwrite ext4_orphan_add ext4_orphan_del ext4_llseek ext4_xattr_* \
         xfs_file_read_iter xfs_file_write_iter xfs_file_buffered_read xfs_file_buffered_write \
         xfs_file_dio_read xfs_file_dio_write* xfs_file_fallocate btrfs_file_read_iter \
         btrfs_do_write_iter btrfs_file_write_iter btrfs_buffered_write btrfs_direct_write \
         ocfs2_file_write_iter f2fs_file_write_iter generic_file_write_iter blkdev_read_iter \
         blkdev_write_iter bdev_open blkdev_get blkdev_get_by_dev blkdev_get_by_path \
         blkdev_get_whole blkdev_get_part __blkdev_get __blkdev_put blkdev_put blkdev_open \
         bdev_release blkdev_close bdev_open_by_dev bdev_file_open_by_dev bdev_disk_changed \
         blkdev_common_ioctl blkdev_ioctl blktrans_* sd_open sd_release sr_block_open lo_open \
         lo_release lo_ioctl loop_configure loop_change_fd loop_set_* loop_control_ioctl nbd_open \
         nbd_release del_gendisk device_add_disk elevator_switch* elv_iosched_store \
         scsi_scan_host_selected scsi_scan_target __scsi_add_device scsi_remove_device \
         scsi_remove_host __scsi_remove_target scsi_forget_host scsi_rescan_device vfs_read \
         vfs_readv vfs_write vfs_writev vfs_fallocate sb_wait_write vfs_llseek ksys_lseek \
         fdget_pos __fdget_pos path_openat open_last_lookups do_last do_open walk_component \
         lookup_slow lookup_one* link_path_walk* do_unlinkat do_rmdir do_mkdirat do_mknodat \
         do_linkat filename_create start_dirop* do_renameat2 vfs_rename vfs_unlink vfs_rmdir \
         vfs_mkdir vfs_create iterate_dir do_truncate notify_change chown_common chmod_common \
         vfs_setxattr vfs_getxattr vfs_removexattr vfs_utimes lock_mount do_lock_mount path_mount \
         do_mount do_umount do_move_mount copy_mnt_ns iterate_supers* __iterate_supers super_lock \
         grab_super* sget sget_fc get_tree_bdev* mount_bdev freeze_super thaw_super \
         thaw_super_locked freeze_bdev thaw_bdev deactivate_super deactivate_locked_super \
         get_super* user_get_super generic_file_llseek* default_llseek generic_remap_* \
         lock_mm_and_find_vma do_user_addr_fault __do_page_fault do_page_fault vm_mmap_pgoff \
         vm_munmap __vm_munmap do_mprotect_pkey* do_madvise* __x64_sys_brk __do_sys_brk \
         mmap_region do_exit_mm exit_mm __access_remote_vm access_remote_vm get_task_cmdline \
         proc_pid_cmdline_read m_start mm_access prepare_bprm_creds io_uring_cmd_done \
         io_ring_submit_lock __io_uring_add_tctx_node cgroup_kn_lock_live cgroup_procs_write_start \
         cgroup_attach_lock proc_cgroup_show unregister_shrinker unregister_memcg_shrinker \
         register_shrinker prealloc_shrinker shrink_slab* pipe_read pipe_write pipe_release \
         fifo_open kernfs_iop_* kernfs_dop_revalidate kernfs_fop_readdir kernfs_fop_open \
         kernfs_seq_start device_lock device_release_driver_internal __driver_attach \
         __device_attach"),

    // Servers, whatever the caller.
    row(Reason::NetworkStorage, Anywhere, Interrupt,
        "gfs2_glock_wait gfs2_glock_nq* gfs2_glock_async_wait gfs2_gl_hash_clear do_xmote \
         gfs2_glock_dq_wait __ocfs2_cluster_lock ocfs2_cluster_lock ocfs2_wait_for_mask* \
         ocfs2_inode_lock_full* ocfs2_rw_lock* ocfs2_open_lock ocfs2_super_lock ocfs2_dentry_lock \
         ocfs2_file_lock ocfs2_drop_lock ocfs2_wait_on_lockres dlmlock dlm_lock_sync dlm_wait_* \
         dlm_get_lock_resource o2net_send_message*"),
    row(Reason::UserSpaceServer, Anywhere, Interrupt,
        "request_wait_answer handle_userfault fanotify_handle_event fanotify_get_response* \
         cachefiles_ondemand_* autofs_wait autofs4_wait tcmu_*"),

    // Memory.
    row(Reason::MemoryReclaim, Anywhere, Interrupt,
        "reclaim_throttle congestion_wait* wait_iff_congested throttle_direct_reclaim \
         throttle_vm_writeout mem_cgroup_handle_over_high __mem_cgroup_handle_over_high \
         too_many_isolated mem_cgroup_oom* migration_entry_wait* __migration_entry_wait* \
         pmd_migration_entry_wait softleaf_entry_wait* isolate_migratepages* f2fs_congestion_wait \
         memalloc_retry_wait oom_reaper"),
    row(Reason::Swap, Anywhere, Interrupt,
        "do_swap_page swap_read_folio* swap_readpage* __swap_writepage* swap_writepage* \
         swap_writeout swap_cluster_readahead swap_vma_readahead swapin_* read_swap_cache* \
         __read_swap_cache* shmem_swapin* try_to_unuse unuse_*"),
    row(Reason::MemoryReclaim, Boundary, Interrupt,
        "shrink_node* shrink_zone* shrink_lruvec shrink_inactive_list shrink_slab* do_shrink_slab \
         shrink_one try_to_free_pages try_to_free_mem_cgroup_pages do_try_to_free_pages \
         __alloc_pages_slowpath* __alloc_pages_direct_* __perform_reclaim reclaim_pages \
         reclaim_clean_pages* node_reclaim __node_reclaim kswapd balance_pgdat compact_* \
         kcompactd* try_to_compact_pages migrate_pages* migrate_folios* unmap_and_move* \
         migrate_folio_* deferred_split_scan split_huge_page* split_folio* try_charge* \
         charge_memcg khugepaged* collapse_huge_page alloc_contig_range* ksm_do_scan out_of_memory \
         mem_cgroup_out_of_memory zswap_*"),
    row(Reason::Other, Boundary, Interrupt,
        "handle_mm_fault __handle_mm_fault do_user_addr_fault do_page_fault __do_page_fault \
         exc_page_fault asm_exc_page_fault page_fault async_page_fault do_translation_fault \
         do_mem_abort el1_abort faultin_page* __get_user_pages fault_in_* iov_iter_fault_in_*"),

    // Pages.
    row(Reason::PageWriteback, Anywhere, Interrupt,
        "folio_wait_writeback* wait_on_page_writeback* __filemap_fdatawait_range \
         filemap_fdatawait* folio_wait_stable wait_for_stable_page f2fs_wait_on_page_writeback \
         f2fs_wait_on_block_writeback wait_on_extent_buffer_writeback folio_wait_private_2*"),
    row(Reason::PageWriteback, AskCaller, Interrupt, "wait_on_page_bit wait_on_page_bit_killable"),
    row(Reason::PageLock, AskCaller, Interrupt,
        "__folio_lock* folio_lock* folio_wait_bit* wait_on_page_bit_common __lock_page* lock_page* \
         folio_put_wait_locked put_and_wait_on_page_locked wait_on_page_locked* folio_wait_locked*"),

    // Data and metadata.
    row(Reason::Read, Anywhere, Interrupt,
        "filemap_read_folio filemap_update_page filemap_get_pages filemap_fault do_read_cache_* \
         read_cache_* wait_on_page_read generic_file_buffered_read* __bread* bh_read* __bh_read* \
         bh_uptodate_or_lock ext4_read_bh* ext4_sb_bread* __ext4_sb_bread* ext4_bread* \
         __ext4_get_inode_loc* ext4_wait_block_bitmap ext4_read_block_bitmap* \
         ext4_read_inode_bitmap ext4_mb_init_cache ext4_mb_init_group read_extent_tree_block \
         __read_extent_tree_block __ext4_find_entry ext4_find_entry __ext4_read_dirblock \
         xfs_buf_read* xfs_buf_readahead* _xfs_buf_read btrfs_read_extent_buffer* \
         read_extent_buffer* btree_read_extent_buffer* read_tree_block read_block_for_search \
         btrfs_cache_block_group btrfs_wait_block_group_cache* wait_block_group_cache* \
         btrfs_caching_ctl_wait_done bch2_btree_node_fill bch2_btree_node_get* squashfs_cache_get \
         squashfs_bio_read squashfs_read_data __get_node_page* __get_node_folio* \
         f2fs_get_node_page* f2fs_get_node_folio* f2fs_get_meta_page* __get_meta_page \
         __get_meta_folio f2fs_get_read_data_page f2fs_get_lock_data_page ocfs2_read_blocks* \
         ocfs2_read_block gfs2_meta_read gfs2_meta_wait generic_file_read_iter \
         do_generic_file_read filemap_read filemap_splice_read ext2_get_page* dir_get_page* \
         nilfs_mdt_* read_mapping_page read_mapping_folio read_part_sector"),
    row(Reason::Write, Anywhere, Interrupt,
        "__sync_dirty_buffer sync_dirty_buffer write_dirty_buffer sync_mapping_buffers \
         fsync_buffers_list xfs_bwrite xfs_buf_delwri_submit* ext4_commit_super \
         jbd2_write_superblock btrfs_wait_ordered* btrfs_start_ordered_extent* \
         btrfs_write_and_wait_transaction btrfs_write_marked_extents __btrfs_wait_marked_extents \
         btrfs_wait_extents btrfs_wait_tree_log_extents wait_dev_supers write_dev_supers \
         swap_write_unplug"),

    // I/O of a kind they do not know.
    row(Reason::OtherIo, Io, Interrupt,
        "submit_bio_wait __wait_on_buffer wait_on_buffer __iomap_dio_rw iomap_dio_rw \
         bio_wait_event* bio_await* blk_wait_io io_schedule* wait_for_completion_io* \
         blk_mq_submit_bio bit_wait_io* submit_bh* __blockdev_direct_IO do_blockdev_direct_IO \
         dio_await_completion dio_await_one __blkdev_direct_IO* xfs_buf_iowait xfs_buf_submit* \
         __xfs_buf_submit* blk_mq_poll bio_poll iomap_dio_complete"),
    row(Reason::Write, Io, Interrupt,
        "wb_wait_for_completion bdi_wait_for_completion __writeback_inodes_sb_nr \
         writeback_inodes_sb*"),
    row(Reason::OtherIo, Anywhere, Interrupt,
        "blk_execute_rq* __scsi_execute scsi_execute* exit_aio wait_on_exit_aio \
         __x64_sys_io_destroy __se_sys_io_destroy __arm64_sys_io_destroy sys_io_destroy \
         io_wq_put_and_exit io_uring_cancel_generic __io_uring_cancel io_uring_files_cancel \
         __io_uring_files_cancel io_uring_del_task_file ata_exec_internal* ata_port_wait_eh \
         ata_wait_* scsi_wait_for_* scsi_eh_* scsi_try_* scsi_unjam_host scsi_ioctl_reset \
         xfs_wait_buftarg xfs_buftarg_wait xfs_buftarg_drain btrfs_bio_counter_inc_blocked \
         btrfs_scrub_pause* btrfs_dev_replace_* scrub_*"),

    // Not storage, whatever is on the stack.
    row(Reason::Other, Anywhere, Interrupt,
        "wait_for_vfork_done kernel_clone _do_fork do_coredump coredump_wait cgroup_* __cgroup_* \
         css_* call_usermodehelper_exec* __request_module request_module __refrigerator \
         async_synchronize* wait_for_device_probe lru_add_drain_all __lru_add_drain_all devtmpfs_* \
         __kthread_create_on_node kthread_create_on_node de_thread zap_pid_ns_processes mmc_rescan \
         xfsaild dma_fence_* dma_resv_* drm_*"),

    // As filesystems do it.
    row(Reason::Read, Purpose, Interrupt,
        "ext4_file_read_iter ext4_dio_read_iter xfs_file_dio_read xfs_file_read_iter \
         xfs_file_buffered_read btrfs_direct_read btrfs_file_read_iter blkdev_read_iter \
         mpage_readahead mpage_readpages ext4_write_begin block_write_begin __block_write_begin* \
         iomap_write_begin *_file_read_iter *_file_read *_dio_read *_dio_read_iter *_readpage \
         *_readpages *_read_folio *_readahead *_lookup *_readdir *_fill_super *_iget"),
    row(Reason::Write, Purpose, Interrupt,
        "ext4_dio_write_iter ext4_file_write_iter ext4_buffered_write_iter xfs_file_dio_write* \
         xfs_file_write_iter xfs_file_buffered_write btrfs_direct_write btrfs_do_write_iter \
         btrfs_buffered_write blkdev_write_iter blkdev_direct_write *_file_write_iter *_file_write \
         *_dio_write *_dio_write_iter *_buffered_write *_buffered_write_iter *_writepage \
         *_writepages generic_perform_write generic_file_write_iter"),
    row(Reason::Flush, Purpose, Interrupt,
        "ext4_sync_file xfs_file_fsync btrfs_sync_file blkdev_fsync *_sync_file *_file_fsync \
         *_fsync *_sync_fs"),

    // As they came in.
    row(Reason::Read, Entry, Interrupt,
        "vfs_read vfs_readv io_read __io_read aio_read page_cache_ra* read_pages page_cache_sync_* \
         page_cache_async_*"),
    row(Reason::Write, Entry, Interrupt,
        "vfs_write vfs_writev vfs_iter_write io_write aio_write writeback_sb_inodes wb_writeback \
         do_writepages writeback_single_inode __writeback_single_inode wb_workfn"),
    row(Reason::Flush, Entry, Interrupt,
        "vfs_fsync_range do_fsync sync_filesystem ksys_sync sync_inodes_sb"),
];

/// Functions that only put to sleep, or wait for another to do something: they never decide.
#[rustfmt::skip]
const CARRIERS: &str =
    "wait_woken do_exit do_group_exit __flush_work* flush_work* __flush_workqueue \
     flush_delayed_work drain_workqueue __cancel_work* cancel_work* cancel_delayed_work* \
     kthread_stop* kthread_park cv_wait* __cv_* *closure_sync *closure_sync_timeout mempool_alloc* \
     bio_alloc_bioset bvec_alloc msleep* usleep_range* fsleep wait_for_completion* \
     __wait_for_common do_wait_for_common bit_wait* __wait_on_bit* out_of_line_wait_on_bit* \
     wait_on_bit* __wait_on_atomic* out_of_line_wait_on_atomic* wait_on_var* crypto_* \
     schedule_hrtimeout* hrtimer_nanosleep prepare_to_wait* sleep_on_page* sleep_on_buffer \
     sync_page sync_buffer";

/// They wait until every CPU has passed a point: no disk is needed for it.
const GRACE_PERIODS: &str =
    "synchronize_* __synchronize_* __wait_rcu_gp wait_rcu_gp* rcu_barrier* srcu_barrier* call_rcu*";

/// The scheduler, and the tracing in front of it. Only a stack that the sleeping task took itself,
/// or that the kernel printed, has it.
const SCHEDULER: &str = "__schedule schedule schedule_* preempt_schedule*";
const TRACING: &str = "__switch_to bpf_* __bpf_* __traceiter_* trace_*";

/// cgroups, CPU and memory hotplug, ext4's writepages, file locks, uprobes, or a writer.
const OTHER_PERCPU_RWSEMS: &str = "cgroup_* copy_process exit_signals cpus_* get_online_* mem_hotplug_* percpu_down_write \
     ext4_writepages ext4_do_writepages ext4_change_inode_* ext4_ind_migrate ext4_ext_migrate \
     flock_* locks_* __break_lease posix_lock_* uprobe_* register_for_each_vma dup_mmap* \
     freeze_super css_set_*";

/// What a function is to whoever asks why a task sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Decides(&'static Row),
    Scheduler,
    Tracing,
    Carrier,
    GracePeriod,
    /// It is in no table.
    Strange,
}

/// Rows that are for the innermost function, and the others.
static TAKERS: LazyLock<Index> = LazyLock::new(|| index(|row| row.place == Innermost));
static OTHERS: LazyLock<Index> = LazyLock::new(|| index(|row| row.place != Innermost));

fn index(is_meant: impl Fn(&Row) -> bool) -> Index {
    let rows = ROWS.iter().enumerate();
    let meant = rows.filter(|(_, row)| is_meant(row));
    Index::new(meant.map(|(number, row)| (number, row.functions)))
}

/// Looks a function up.
pub(super) fn meaning(name: &str, is_innermost: bool) -> Meaning {
    if is_scheduler(name) {
        return Meaning::Scheduler;
    }
    if is_one_of(TRACING, name) {
        return Meaning::Tracing;
    }
    let taker = if is_innermost {
        TAKERS.first(name)
    } else {
        None
    };
    let row = taker.or_else(|| OTHERS.first(name));
    if let Some(row) = row.and_then(|number| ROWS.get(number)) {
        Meaning::Decides(row)
    } else if is_one_of(CARRIERS, name) {
        Meaning::Carrier
    } else if is_one_of(GRACE_PERIODS, name) {
        Meaning::GracePeriod
    } else {
        Meaning::Strange
    }
}

/// Whether a function is the scheduler's own.
pub(super) fn is_scheduler(name: &str) -> bool {
    is_one_of(SCHEDULER, name)
}

/// Whether a caller of a per-CPU semaphore takes another one than that of a filesystem that can be
/// frozen.
pub(super) fn takes_another_percpu_rwsem(name: &str) -> bool {
    is_one_of(OTHER_PERCPU_RWSEMS, name)
}

/// Functions of a per-CPU semaphore itself.
pub(super) fn is_percpu_rwsem(name: &str) -> bool {
    is_one_of("percpu_rwsem_wait __percpu_down_read", name)
}

/// For a lock that the kernel names.
pub(super) const LOCK_BY_FACT: &Row = &row(Reason::Lock, Anywhere, Task, "");
