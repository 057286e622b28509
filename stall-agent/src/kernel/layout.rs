//! Resolves [`Layout`] from the running kernel's BTF.
//!
//! A field whose size is not the one the programs read is as absent as a missing one: the verifier
//! would refuse it, or worse, the value would be another.

use stall_common::layout::{ABSENT, Layout};
use stall_common::request::{FUA, PREFLUSH, READ_AHEAD, SYNC};
use thiserror::Error;

use super::btf::Btf;

mod parts;

pub use parts::{Asked, PARTS, Part};

/// What the programs cannot do without.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    /// All that are missing, comma-separated.
    #[error("this kernel's BTF lacks {0}, which the programs need")]
    Missing(String),
    #[error("this kernel numbers request operations differently ({0} is {1})")]
    Operation(&'static str, u64),
}

/// One value of the layout: where it goes, what it is called, how many bytes are read. What it is for, and whether
/// there is a trace without it, is in [`PARTS`].
struct Row {
    to: fn(&mut Layout) -> &mut u32,
    structure: &'static str,
    path: &'static str,
    size: u32,
}

macro_rules! rows {
    ($($to:ident = $structure:literal . $path:literal, $size:literal;)+) => {
        &[$(Row {
            to: |layout| &mut layout.$to,
            structure: $structure,
            path: $path,
            size: $size,
        }),+]
    };
}

const ROWS: &[Row] = rows! {
    request_q = "request"."q", 8;
    request_rq_disk = "request"."rq_disk", 8;
    request_cmd_flags = "request"."cmd_flags", 4;
    request_rq_flags = "request"."rq_flags", 4;
    request_data_len = "request"."__data_len", 4;
    request_sector = "request"."__sector", 8;
    request_start_time_ns = "request"."start_time_ns", 8;
    request_bio = "request"."bio", 8;
    request_biotail = "request"."biotail", 8;
    request_state = "request"."state", 4;
    tags_nr_tags = "blk_mq_tags"."nr_tags", 4;
    tags_rqs = "blk_mq_tags"."rqs", 8;
    queue_tag_set = "request_queue"."tag_set", 8;
    tag_set_tags = "blk_mq_tag_set"."tags", 8;
    tag_set_queues = "blk_mq_tag_set"."nr_hw_queues", 4;
    disk_queue = "gendisk"."queue", 8;
    device_disk = "bdev_inode"."bdev.bd_disk", 8;
    device_superblock = "bdev_inode"."vfs_inode.i_sb", 8;
    device_node = "bdev_inode"."vfs_inode.i_sb_list.next", 8;
    superblock_inodes = "super_block"."s_inodes.next", 8;
    superblock_magic = "super_block"."s_magic", 8;
    superblock_next = "super_block"."s_list.next", 8;
    superblock_previous = "super_block"."s_list.prev", 8;
    mount_superblock = "vfsmount"."mnt_sb", 8;
    fs_root_mount = "fs_struct"."root.mnt", 8;
    task_fs = "task_struct"."fs", 8;
    task_stack = "task_struct"."stack", 8;
    bio_private = "bio"."bi_private", 8;
    iomap_dio_waiter = "iomap_dio"."submit.waiter", 8;
    blkdev_dio_waiter = "blkdev_dio"."waiter", 8;
    bio_opf = "bio"."bi_opf", 4;
    bio_blkg = "bio"."bi_blkg", 8;
    blkg_blkcg = "blkcg_gq"."blkcg", 8;
    blkcg_cgroup = "blkcg"."css.cgroup", 8;
    cgroup_level = "cgroup"."level", 4;
    cgroup_kn = "cgroup"."kn", 8;
    kn_id = "kernfs_node"."id", 8;
    queue_disk = "request_queue"."disk", 8;
    disk_major = "gendisk"."major", 4;
    disk_first_minor = "gendisk"."first_minor", 4;
    disk_name = "gendisk"."disk_name", 32;
    task_flags = "task_struct"."flags", 4;
    task_pid = "task_struct"."pid", 4;
    task_tgid = "task_struct"."tgid", 4;
    task_comm = "task_struct"."comm", 16;
    task_group_leader = "task_struct"."group_leader", 8;
    task_start_boottime = "task_struct"."start_boottime", 8;
    task_mm = "task_struct"."mm", 8;
    task_last_arrival = "task_struct"."sched_info.last_arrival", 8;
    task_sum_exec = "task_struct"."se.sum_exec_runtime", 8;
    task_prev_sum_exec = "task_struct"."se.prev_sum_exec_runtime", 8;
    task_prio = "task_struct"."prio", 4;
    task_on_cpu = "task_struct"."on_cpu", 4;
    task_on_cpu_byte = "task_struct"."on_cpu", 1;
    task_pi_lock = "task_struct"."pi_lock.raw_lock", 4;
    task_blocker = "task_struct"."blocker", 8;
    mutex_owner = "mutex"."owner", 8;
    rwsem_owner = "rw_semaphore"."owner", 8;
    semaphore_last_holder = "semaphore"."last_holder", 8;
    mm_arg_start = "mm_struct"."arg_start", 8;
    mm_arg_end = "mm_struct"."arg_end", 8;
    task_write_bytes = "task_struct"."ioac.write_bytes", 8;
    task_cancelled_bytes = "task_struct"."ioac.cancelled_write_bytes", 8;
    task_parent = "task_struct"."real_parent", 8;
    task_files = "task_struct"."files", 8;
    files_fdt = "files_struct"."fdt", 8;
    fdtable_fd = "fdtable"."fd", 8;
    fdtable_max_fds = "fdtable"."max_fds", 4;
    file_mode = "file"."f_mode", 4;
    file_inode = "file"."f_inode", 8;
    inode_mode = "inode"."i_mode", 2;
    inode_rdev = "inode"."i_rdev", 4;
    inode_sb = "inode"."i_sb", 8;
    sb_dev = "super_block"."s_dev", 4;
    sb_frozen = "super_block"."s_writers.frozen", 4;
    sb_frozen = "super_block"."s_writers.frozen", 2;
    fs_pwd_dentry = "fs_struct"."pwd.dentry", 8;
    dentry_sb = "dentry"."d_sb", 8;
    regs_syscall = "pt_regs"."orig_ax", 8;
    regs_first = "pt_regs"."di", 8;
    regs_syscall = "pt_regs"."syscallno", 4;
    regs_first = "pt_regs"."orig_x0", 8;
};

/// The helper that gives the registers a thread entered the kernel with (5.15).
const TASK_REGISTERS: &str = "BPF_FUNC_task_pt_regs";

/// Request operations whose numbers `stall_common::request::Op::from_flags` relies on, and bits of their flags.
const OPERATIONS: &[(&str, u64)] = &[
    ("REQ_OP_READ", 0),
    ("REQ_OP_WRITE", 1),
    ("REQ_OP_FLUSH", 2),
    ("REQ_OP_DISCARD", 3),
    ("REQ_OP_SECURE_ERASE", 5),
    ("REQ_OP_WRITE_ZEROES", 9),
    ("__REQ_SYNC", SYNC.trailing_zeros() as u64),
    ("__REQ_FUA", FUA.trailing_zeros() as u64),
    ("__REQ_PREFLUSH", PREFLUSH.trailing_zeros() as u64),
    ("__REQ_RAHEAD", READ_AHEAD.trailing_zeros() as u64),
];

/// Resolves every value.
///
/// # Errors
///
/// When a required field is missing or has another size, or an operation another number.
pub fn resolve(btf: &Btf<'_>) -> Result<Layout, LayoutError> {
    check_operations(btf)?;
    let mut layout = Layout::UNRESOLVED;
    for row in ROWS {
        let field = btf.field(row.structure, row.path);
        if let Some(field) = field.filter(|field| field.size == row.size) {
            *(row.to)(&mut layout) = field.offset;
        }
    }
    layout.task_state = task_state(btf);
    let in_flight = btf.enumerator("MQ_RQ_IN_FLIGHT");
    layout.mq_rq_in_flight = in_flight.map_or(ABSENT, |state| state as u32);
    layout.rqf_flush_seq = flush_seq(btf);
    (layout.task_io_wait, layout.io_wait_bit) =
        btf.bit("task_struct", "in_iowait").unwrap_or((ABSENT, 0));
    let helper = btf.enumerator(TASK_REGISTERS);
    layout.helper_task_pt_regs = helper.map_or(ABSENT, |number| number as u32);
    let missing = parts::missing(&layout);
    if !missing.is_empty() {
        return Err(LayoutError::Missing(missing.join(", ")));
    }
    parts::whole_or_absent(&mut layout);
    Ok(layout)
}

/// Structure and path of every field that is looked for, and the enumerators.
#[must_use]
pub fn wanted() -> (Vec<(&'static str, &'static str)>, Vec<&'static str>) {
    let fields = ROWS.iter().map(|row| (row.structure, row.path));
    let states = [
        ("task_struct", "__state"),
        ("task_struct", "state"),
        ("task_struct", "in_iowait"),
    ];
    let operations = OPERATIONS.iter().map(|(name, _)| *name);
    (
        fields.chain(states).collect(),
        operations
            .chain(["MQ_RQ_IN_FLIGHT", "__RQF_FLUSH_SEQ", TASK_REGISTERS])
            .collect(),
    )
}

/// `__state` (u32), up to 5.13 `state` (long) (commit 2f064a59a11f).
fn task_state(btf: &Btf<'_>) -> u32 {
    let new = btf.field("task_struct", "__state").filter(|f| f.size == 4);
    let old = || btf.field("task_struct", "state").filter(|f| f.size == 8);
    new.or_else(old).map_or(ABSENT, |field| field.offset)
}

/// The mask of `RQF_FLUSH_SEQ`: an enumerator gives the bit since 6.10 (commit 5f89154e8e9e);
/// before, it is a macro, bit 4 from 4.10 on (include/linux/blk-mq.h).
fn flush_seq(btf: &Btf<'_>) -> u32 {
    const MACRO_BIT: u64 = 4;
    let bit = btf.enumerator("__RQF_FLUSH_SEQ").unwrap_or(MACRO_BIT);
    // A bit that `rq_flags` does not have is never set in it.
    u32::try_from(bit).map_or(0, |bit| 1_u32.checked_shl(bit).unwrap_or(0))
}

/// An enumerator this kernel does not have is one it does not use.
fn check_operations(btf: &Btf<'_>) -> Result<(), LayoutError> {
    for (name, expected) in OPERATIONS {
        match btf.enumerator(name) {
            Some(value) if value != *expected => return Err(LayoutError::Operation(name, value)),
            _ => {}
        }
    }
    Ok(())
}
