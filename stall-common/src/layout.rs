//! Where the fields the programs read lie in the running kernel's structures.
//!
//! User space resolves them from the kernel's BTF and writes them into the frozen `LAYOUT` global
//! before load, so that the verifier sees constants and type-checks each load against BTF. A
//! field that is not there stays [`ABSENT`]: the verifier refuses a use of it and prunes a branch
//! that tests for it.

/// The offset of a field this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

macro_rules! layout {
    ($($(#[$doc:meta])* $field:ident),+ $(,)?) => {
        /// Byte offsets, one per field; [`ABSENT`] where the kernel lacks it.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Layout { $($(#[$doc])* pub $field: u32),+ }

        impl Layout {
            /// Every field [`ABSENT`].
            pub const UNRESOLVED: Self = Self { $($field: ABSENT),+ };
        }
    };
}

layout! {
    /// `request.q`
    request_q,
    /// `request.rq_disk`, up to 5.16
    request_rq_disk,
    /// `request.cmd_flags`, `u32`
    request_cmd_flags,
    /// `request.rq_flags`, `u32`
    request_rq_flags,
    /// `request.__data_len`, `u32`, bytes that are left
    request_data_len,
    /// `request.__sector`, `u64`
    request_sector,
    /// `request.start_time_ns`, `u64`, 0 where the kernel keeps no stamp
    request_start_time_ns,
    /// `request.bio`, the first
    request_bio,
    /// `request.biotail`, the last
    request_biotail,
    /// `request.state`, `u32`
    request_state,
    /// `blk_mq_tags.nr_tags`, `u32`
    tags_nr_tags,
    /// `blk_mq_tags.rqs`, by tag
    tags_rqs,
    /// `request_queue.tag_set`
    queue_tag_set,
    /// `blk_mq_tag_set.tags`, by hardware queue
    tag_set_tags,
    /// `blk_mq_tag_set.nr_hw_queues`, `u32`
    tag_set_queues,
    /// `gendisk.queue`
    disk_queue,
    /// `bdev_inode.bdev.bd_disk`; absent also when something else that leads to all disks is
    device_disk,
    /// `bdev_inode.vfs_inode.i_sb`
    device_superblock,
    /// `bdev_inode.vfs_inode.i_sb_list`
    device_node,
    /// `super_block.s_inodes`
    superblock_inodes,
    /// `super_block.s_magic`
    superblock_magic,
    /// `super_block.s_list`
    superblock_next,
    /// `super_block.s_list.prev`
    superblock_previous,
    /// `vfsmount.mnt_sb`
    mount_superblock,
    /// `fs_struct.root.mnt`
    fs_root_mount,
    /// `task_struct.fs`
    task_fs,
    /// `task_struct.stack`; absent also when something else that leads to who waits for a request is
    task_stack,
    /// `bio.bi_private`
    bio_private,
    /// `iomap_dio.submit.waiter`
    iomap_dio_waiter,
    /// `blkdev_dio.waiter`
    blkdev_dio_waiter,
    /// `bio.bi_opf`, `u32`
    bio_opf,
    /// `bio.bi_blkg`, with `CONFIG_BLK_CGROUP`; absent also when something behind it is
    bio_blkg,
    /// `blkcg_gq.blkcg`
    blkg_blkcg,
    /// `blkcg.css.cgroup`
    blkcg_cgroup,
    /// `cgroup.level`, `int`, 0 for the root
    cgroup_level,
    /// `cgroup.kn`
    cgroup_kn,
    /// `kernfs_node.id`, `u64`: the inode number
    kn_id,
    /// `request_queue.disk`, since 5.15
    queue_disk,
    /// `gendisk.major`
    disk_major,
    /// `gendisk.first_minor`
    disk_first_minor,
    /// `gendisk.disk_name`, 32 bytes
    disk_name,
    /// `task_struct.__state` (`u32`) or, up to 5.13, `.state` (`long`, whose low half is read)
    task_state,
    /// `task_struct.flags`
    task_flags,
    /// `task_struct.pid`: the thread
    task_pid,
    /// `task_struct.tgid`: the process
    task_tgid,
    /// `task_struct.comm`, 16 bytes
    task_comm,
    /// `task_struct.group_leader`
    task_group_leader,
    /// `task_struct.start_boottime` (5.5 and later)
    task_start_boottime,
    /// `task_struct.mm`, null for kernel threads; absent also when what it leads to is
    task_mm,
    /// `task_struct.sched_info.last_arrival`: scheduler clock when the task last got a CPU; absent also when what
    /// completes it is
    task_last_arrival,
    /// `task_struct.se.sum_exec_runtime`: time it has run
    task_sum_exec,
    /// `task_struct.se.prev_sum_exec_runtime`: the same when it last got a CPU
    task_prev_sum_exec,
    /// `task_struct.prio`, `int`
    task_prio,
    /// `task_struct.on_cpu`, `int`, up to 7.2
    task_on_cpu,
    /// `task_struct.on_cpu`, `u8`, since then
    task_on_cpu_byte,
    /// The byte of `task_struct` that has the bit `in_iowait`
    task_io_wait,
    /// `task_struct.pi_lock.raw_lock`, `u32`: not 0 while somebody wakes the task
    task_pi_lock,
    /// `task_struct.blocker`: the lock waited for, its kind in the low 2 bits (6.16 and later, with
    /// `CONFIG_DETECT_HUNG_TASK_BLOCKER`)
    task_blocker,
    /// `mutex.owner`, not with `PREEMPT_RT`
    mutex_owner,
    /// `rw_semaphore.owner`, not with `PREEMPT_RT`
    rwsem_owner,
    /// `semaphore.last_holder`, where there is `task_struct.blocker`
    semaphore_last_holder,
    /// `mm_struct.arg_start`
    mm_arg_start,
    /// `mm_struct.arg_end`
    mm_arg_end,
    /// `task_struct.ioac.write_bytes` (`CONFIG_TASK_IO_ACCOUNTING`); absent also when the next is
    task_write_bytes,
    /// `task_struct.ioac.cancelled_write_bytes`
    task_cancelled_bytes,
    /// `task_struct.real_parent`
    task_parent,
    /// `task_struct.files`; absent also when something behind it is
    task_files,
    /// `files_struct.fdt`
    files_fdt,
    /// `fdtable.fd`, by descriptor
    fdtable_fd,
    /// `fdtable.max_fds`, `u32`
    fdtable_max_fds,
    /// `file.f_mode`, `u32`
    file_mode,
    /// `file.f_inode`
    file_inode,
    /// `inode.i_mode`, `u16`
    inode_mode,
    /// `inode.i_rdev`, `u32`
    inode_rdev,
    /// `inode.i_sb`
    inode_sb,
    /// `super_block.s_dev`, `u32`
    sb_dev,
    /// `super_block.s_writers.frozen`, `int` or, since 6.6, `unsigned short`; the low half is read
    sb_frozen,
    /// `fs_struct.pwd.dentry`
    fs_pwd_dentry,
    /// `dentry.d_sb`
    dentry_sb,
    /// Number of the system call a thread is in: `pt_regs.orig_ax`, on arm64 `.syscallno`; the low half is read. Absent also
    /// when the next two are
    regs_syscall,
    /// Its first argument: `pt_regs.di`, on arm64 `.orig_x0`
    regs_first,
    /// Not an offset: the helper `bpf_task_pt_regs`, since 5.15
    helper_task_pt_regs,
    /// Not an offset: the mask of `RQF_FLUSH_SEQ` in `request.rq_flags`
    rqf_flush_seq,
    /// Not an offset: `MQ_RQ_IN_FLIGHT` in `request.state`
    mq_rq_in_flight,
    /// Not an offset: the mask of `in_iowait` in its byte
    io_wait_bit,
}

crate::abi!(Layout: 85 * 4);
