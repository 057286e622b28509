//! Which sleeps are sleeps on a lock, and which of those are ended by the task that lets go of it.
//!
//! The stack of a sleeper is taken by another task, and then the kernel leaves out whatever is in its section of
//! scheduling functions (`stack_trace_consume_entry_nosched`, kernel/stacktrace.c), to which all of mutexes, rwsems and
//! semaphores belong. What is left as the innermost function is the one that took the lock.

use super::symbol::{is_one_of, names};
use stall_capture::Stack;
use stall_report::model::Reason;

/// Functions that take a sleeping lock themselves and wait for I/O only in functions they call, which would be
/// further inside.
const TAKERS: &str = "ext4_file_read_iter ext4_dio_read_iter ext4_file_write_iter ext4_buffered_write_iter \
     ext4_dio_write_iter ext4_map_blocks ext4_da_map_blocks ext4_setattr ext4_fallocate ext4_page_mkwrite \
     ext4_orphan_add ext4_orphan_del xfs_file_read_iter xfs_file_write_iter xfs_file_buffered_read \
     xfs_file_buffered_write xfs_file_dio_read xfs_file_dio_write* xfs_ilock* btrfs_file_read_iter \
     btrfs_do_write_iter btrfs_buffered_write blkdev_read_iter blkdev_write_iter vfs_read vfs_readv vfs_write \
     vfs_writev vfs_fallocate fdget_pos __fdget_pos path_openat open_last_lookups do_open walk_component lookup_slow \
     link_path_walk* do_unlinkat do_rmdir do_mkdirat do_mknodat filename_create start_dirop lock_rename* \
     do_renameat2 iterate_dir do_truncate notify_change chown_common chmod_common vfs_setxattr vfs_utimes \
     lock_mount do_lock_mount path_mount iterate_supers super_lock freeze_super thaw_super \
     lock_mm_and_find_vma do_user_addr_fault vm_mmap_pgoff __vm_munmap do_mprotect_pkey* do_madvise* \
     __access_remote_vm access_remote_vm get_task_cmdline proc_pid_cmdline_read m_start";

/// Functions on a sleeper's stack, of locks and of journals, whose sleep a task ends. Not among them: what the
/// end of I/O does, in an interrupt (`__lock_buffer`, `inode_dio_wait`, `do_get_write_access`).
const RELEASED_BY_A_TASK: &str = "__mutex_lock* mutex_lock* rwsem_down_* down_read* down_write* __down __down_common \
     down down_timeout rt_mutex_* percpu_down_write percpu_rwsem_wait __percpu_down_read ww_mutex_* sb_start_write \
     __sb_start_write inode_lock* ext4_lock_group btrfs_tree_lock* btrfs_tree_read_lock* btrfs_lock_* xfs_ilock* \
     xfs_buf_lock xfs_buf_find* jbd2_log_wait_commit jbd2_complete_transaction wait_transaction_locked \
     wait_transaction_switching add_transaction_credits start_this_handle __jbd2_log_wait_for_space \
     jbd2_journal_wait_updates xlog_wait* xlog_grant* xfs_log_reserve wait_current_trans wait_for_commit \
     btrfs_wait_for_commit wait_log_commit";

/// The function that took the lock, when that is what the stack shows.
pub(super) fn taken_by(stack: &Stack) -> Option<&str> {
    names(stack).next().filter(|name| is_one_of(TAKERS, name))
}

/// Whether a sleep for this reason, decided by this function, is ended by who lets go.
pub(super) fn is_released_by_a_task(reason: Reason, decided_by: &str) -> bool {
    is_one_of(RELEASED_BY_A_TASK, decided_by)
        || (reason == Reason::Lock && is_one_of(TAKERS, decided_by))
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::stack_of;
    use super::*;

    /// As seen on 6.18: a reader of a file that another one makes longer, and one that waits for the disk.
    #[test]
    fn the_innermost_function_tells_a_lock_from_io() {
        let lock = stack_of(&["ext4_file_read_iter", "vfs_read", "__x64_sys_pread64"]);
        assert_eq!(taken_by(&lock), Some("ext4_file_read_iter"));
        let io = stack_of(&["__iomap_dio_rw", "iomap_dio_rw", "ext4_file_read_iter"]);
        assert_eq!(taken_by(&io), None);
    }

    #[test]
    fn what_an_interrupt_ends_has_no_releaser() {
        let is_released = |symbol| is_released_by_a_task(Reason::Lock, symbol);
        assert!(is_released("rwsem_down_write_slowpath"));
        assert!(is_released("ext4_file_read_iter"));
        assert!(!is_released("do_get_write_access"));
        assert!(!is_released("__lock_buffer"));
        assert!(is_released_by_a_task(
            Reason::Journal,
            "jbd2_log_wait_commit"
        ));
        assert!(!is_released_by_a_task(Reason::Read, "ext4_file_read_iter"));
    }
}
