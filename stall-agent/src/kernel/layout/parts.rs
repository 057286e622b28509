//! What the fields of the layout are for: the rule for each, whether there is a trace without it, and what a report
//! then lacks.
//!
//! A part is of use only as a whole. Programs test for its first field, which stays [`ABSENT`] when another one is.

use stall_common::layout::{ABSENT, Layout};

use crate::kernel::catalog::Need;

/// Fields that serve one purpose.
pub struct Part {
    /// What it is called in documents.
    pub name: &'static str,
    pub need: Need,
    /// Where it is asked for at all.
    pub asked: Asked,
    /// Each of these alone serves.
    ways: &'static [&'static [Field]],
}

/// Where a part is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Always,
    /// On kernels without this tracepoint.
    Without(&'static str),
    /// On kernels that have this other part.
    With(&'static str),
}

/// A value of the layout, and what it is called in the kernel.
struct Field {
    name: &'static str,
    at: fn(&mut Layout) -> &mut u32,
}

macro_rules! ways {
    ($([$($field:ident = $name:literal),+ $(,)?]),+) => {
        &[$(&[$(Field { name: $name, at: |layout| &mut layout.$field }),+]),+]
    };
}

const fn required(name: &'static str, ways: &'static [&'static [Field]]) -> Part {
    Part {
        name,
        need: Need::Required,
        asked: Asked::Always,
        ways,
    }
}

const fn optional(
    name: &'static str,
    lack: &'static str,
    ways: &'static [&'static [Field]],
) -> Part {
    Part {
        name,
        need: Need::Optional(lack),
        asked: Asked::Always,
        ways,
    }
}

/// Every part.
pub const PARTS: &[Part] = &[
    required(
        "request",
        ways!([
            request_q = "request.q",
            request_cmd_flags = "request.cmd_flags",
            request_rq_flags = "request.rq_flags",
            request_data_len = "request.__data_len",
            request_sector = "request.__sector",
        ]),
    ),
    // `rq_disk` up to 5.16, `disk` since 5.15: no kernel has neither.
    required(
        "request_disk",
        ways!(
            [request_rq_disk = "request.rq_disk"],
            [queue_disk = "request_queue.disk"]
        ),
    ),
    required(
        "disk",
        ways!([
            disk_major = "gendisk.major",
            disk_first_minor = "gendisk.first_minor",
            disk_name = "gendisk.disk_name",
        ]),
    ),
    required(
        "task",
        ways!([
            task_flags = "task_struct.flags",
            task_pid = "task_struct.pid",
            task_tgid = "task_struct.tgid",
            task_comm = "task_struct.comm",
            task_group_leader = "task_struct.group_leader",
            task_start_boottime = "task_struct.start_boottime",
        ]),
    ),
    required("task_state", ways!([task_state = "task_struct.__state"])),
    required(
        "task_on_cpu",
        ways!(
            [task_on_cpu = "task_struct.on_cpu"],
            [task_on_cpu_byte = "task_struct.on_cpu"]
        ),
    ),
    optional(
        "request_start",
        "requests from before the trace are not counted",
        ways!([request_start_time_ns = "request.start_time_ns"]),
    ),
    optional(
        "requests_before",
        "requests submitted before the trace and still pending at its end are not found",
        ways!([
            device_disk = "bdev_inode.bdev.bd_disk",
            request_state = "request.state",
            request_start_time_ns = "request.start_time_ns",
            tags_nr_tags = "blk_mq_tags.nr_tags",
            tags_rqs = "blk_mq_tags.rqs",
            mq_rq_in_flight = "MQ_RQ_IN_FLIGHT",
            device_superblock = "bdev_inode.vfs_inode.i_sb",
            device_node = "bdev_inode.vfs_inode.i_sb_list",
            superblock_inodes = "super_block.s_inodes",
            superblock_magic = "super_block.s_magic",
            superblock_next = "super_block.s_list",
            superblock_previous = "super_block.s_list",
            mount_superblock = "vfsmount.mnt_sb",
            fs_root_mount = "fs_struct.root",
            task_fs = "task_struct.fs",
            disk_queue = "gendisk.queue",
            queue_tag_set = "request_queue.tag_set",
            tag_set_tags = "blk_mq_tag_set.tags",
            tag_set_queues = "blk_mq_tag_set.nr_hw_queues",
        ]),
    ),
    optional(
        "who_waits",
        "who waits for requests from before the trace is unknown",
        ways!([
            task_stack = "task_struct.stack",
            request_bio = "request.bio",
            bio_private = "bio.bi_private",
            iomap_dio_waiter = "iomap_dio.submit.waiter",
            blkdev_dio_waiter = "blkdev_dio.waiter",
        ]),
    ),
    optional(
        "control_groups",
        "the control groups that kernel threads submit for are unknown",
        ways!([
            bio_blkg = "bio.bi_blkg",
            request_bio = "request.bio",
            blkg_blkcg = "blkcg_gq.blkcg",
            blkcg_cgroup = "blkcg.css.cgroup",
            cgroup_level = "cgroup.level",
            cgroup_kn = "cgroup.kn",
            kn_id = "kernfs_node.id",
        ]),
    ),
    Part {
        asked: Asked::Without("block_io_start"),
        ..optional(
            "submitter_of_bio",
            "the submitter of requests that are issued directly is unknown",
            ways!([
                request_bio = "request.bio",
                request_biotail = "request.biotail",
            ]),
        )
    },
    Part {
        asked: Asked::Without("block_io_start"),
        ..optional(
            "operation_of_bio",
            "the purpose of discards is unknown",
            ways!([bio_opf = "bio.bi_opf"]),
        )
    },
    optional(
        "last_run",
        "how long tasks were in D state before the trace is unknown",
        ways!([
            task_last_arrival = "task_struct.sched_info.last_arrival",
            task_prio = "task_struct.prio",
            task_sum_exec = "task_struct.se.sum_exec_runtime",
            task_prev_sum_exec = "task_struct.se.prev_sum_exec_runtime",
        ]),
    ),
    optional(
        "io_wait",
        "whether a sleeping task waits for I/O is known only by its stack",
        ways!([task_io_wait = "task_struct.in_iowait"]),
    ),
    optional(
        "woken_early",
        "tasks woken while they fall asleep appear to sleep until their next wake-up, and count as missed wake-ups",
        ways!([task_pi_lock = "task_struct.pi_lock"]),
    ),
    optional(
        "command_line",
        "command lines of processes that exit before they are read are unknown",
        ways!([
            task_mm = "task_struct.mm",
            mm_arg_start = "mm_struct.arg_start",
            mm_arg_end = "mm_struct.arg_end",
        ]),
    ),
    optional(
        "lock_holder",
        "the holders of locks still waited for at the end of the window are unknown",
        ways!([task_blocker = "task_struct.blocker"]),
    ),
    Part {
        asked: Asked::With("lock_holder"),
        ..optional(
            "mutex_holder",
            "the holders of mutexes still waited for at the end of the window are unknown",
            ways!([mutex_owner = "mutex.owner"]),
        )
    },
    Part {
        asked: Asked::With("lock_holder"),
        ..optional(
            "rwsem_holder",
            "the holders of rwsems still waited for at the end of the window are unknown",
            ways!([rwsem_owner = "rw_semaphore.owner"]),
        )
    },
    Part {
        asked: Asked::With("lock_holder"),
        ..optional(
            "semaphore_holder",
            "the last task to take a semaphore still waited for at the end of the window is unknown",
            ways!([semaphore_last_holder = "semaphore.last_holder"]),
        )
    },
    optional(
        "written",
        "the processes whose data a kernel thread writes to a disk are unknown",
        ways!([
            task_write_bytes = "task_struct.ioac.write_bytes",
            task_cancelled_bytes = "task_struct.ioac.cancelled_write_bytes",
            task_parent = "task_struct.real_parent",
        ]),
    ),
    optional(
        "open_files",
        "the filesystems that processes write to and wait for, and which are frozen, are unknown",
        ways!([
            task_files = "task_struct.files",
            files_fdt = "files_struct.fdt",
            fdtable_fd = "fdtable.fd",
            fdtable_max_fds = "fdtable.max_fds",
            file_mode = "file.f_mode",
            file_inode = "file.f_inode",
            inode_mode = "inode.i_mode",
            inode_rdev = "inode.i_rdev",
            inode_sb = "inode.i_sb",
            sb_dev = "super_block.s_dev",
            sb_frozen = "super_block.s_writers.frozen",
            task_fs = "task_struct.fs",
            fs_pwd_dentry = "fs_struct.pwd.dentry",
            dentry_sb = "dentry.d_sb",
        ]),
    ),
    Part {
        asked: Asked::With("open_files"),
        ..optional(
            "system_call",
            "the file that a thread in D state waits for is unknown",
            ways!(
                [
                    helper_task_pt_regs = "BPF_FUNC_task_pt_regs",
                    regs_syscall = "pt_regs.orig_ax",
                    regs_first = "pt_regs.di",
                ],
                [
                    helper_task_pt_regs = "BPF_FUNC_task_pt_regs",
                    regs_syscall = "pt_regs.syscallno",
                    regs_first = "pt_regs.orig_x0",
                ]
            ),
        )
    },
];

impl Part {
    /// What is missing of it, by its names in the kernel; nothing when one way is whole.
    #[must_use]
    pub fn missing(&self, layout: &Layout) -> Vec<&'static str> {
        let mut missing: Vec<_> = self.ways.iter().map(|way| absent(way, layout)).collect();
        if missing.iter().any(Vec::is_empty) {
            return Vec::new();
        }
        if self.need != Need::Required
            && let Some(way) = missing.first_mut()
            && way.len() > 1
            && way[0] == self.ways[0][0].name
        {
            // It was made absent because of the others, most likely.
            way.remove(0);
        }
        let mut missing = missing.concat();
        missing.dedup();
        missing
    }

    /// Names of all its fields in the kernel: those that serve together, way by way.
    pub fn ways(&self) -> impl Iterator<Item = Vec<&'static str>> {
        let names = |way: &&[Field]| way.iter().map(|field| field.name).collect();
        self.ways.iter().map(names)
    }

    /// Whether it is asked for on a kernel.
    #[must_use]
    pub fn is_asked(&self, layout: &Layout, has_tracepoint: impl Fn(&str) -> bool) -> bool {
        match self.asked {
            Asked::Always => true,
            Asked::Without(hook) => !has_tracepoint(hook),
            Asked::With(other) => PARTS
                .iter()
                .filter(|part| part.name == other)
                .all(|part| part.missing(layout).is_empty()),
        }
    }
}

/// What is missing of what is required.
pub(super) fn missing(layout: &Layout) -> Vec<String> {
    let required = PARTS.iter().filter(|part| part.need == Need::Required);
    let missing = required.map(|part| (part.missing(layout), part.ways.len()));
    missing
        .filter(|(missing, _)| !missing.is_empty())
        .map(|(missing, ways)| missing.join(if ways > 1 { " or " } else { ", " }))
        .collect()
}

/// Makes an optional part that is not whole absent to the programs.
pub(super) fn whole_or_absent(layout: &mut Layout) {
    for part in PARTS {
        if part.need != Need::Required && !part.missing(layout).is_empty() {
            *(part.ways[0][0].at)(layout) = ABSENT;
        }
    }
}

fn absent(way: &[Field], layout: &Layout) -> Vec<&'static str> {
    let mut layout = *layout;
    let absent = way
        .iter()
        .filter(|field| *(field.at)(&mut layout) == ABSENT);
    absent.map(|field| field.name).collect()
}
