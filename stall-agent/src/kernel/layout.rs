//! Resolves [`Layout`] from the running kernel's BTF.
//!
//! A field whose size is not the one the programs read is as absent as a missing one: the verifier
//! would refuse it, or worse, the value would be another.

use stall_common::layout::{ABSENT, Layout};
use stall_common::request::PREFLUSH;
use thiserror::Error;

use super::btf::Btf;

/// What the programs cannot do without.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    /// All that are missing, comma-separated.
    #[error("this kernel's BTF lacks {0}, which the programs need")]
    Missing(String),
    #[error("this kernel numbers request operations differently ({0} is {1})")]
    Operation(&'static str, u64),
}

/// One value of the layout: where it goes, what it is called, how many bytes are read.
struct Row {
    to: fn(&mut Layout) -> &mut u32,
    structure: &'static str,
    path: &'static str,
    size: u32,
    required: bool,
}

macro_rules! rows {
    ($($to:ident = $structure:literal . $path:literal, $size:literal, $required:literal;)+) => {
        &[$(Row {
            to: |layout| &mut layout.$to,
            structure: $structure,
            path: $path,
            size: $size,
            required: $required,
        }),+]
    };
}

const ROWS: &[Row] = rows! {
    request_q = "request"."q", 8, true;
    request_rq_disk = "request"."rq_disk", 8, false;
    request_cmd_flags = "request"."cmd_flags", 4, true;
    request_rq_flags = "request"."rq_flags", 4, true;
    request_data_len = "request"."__data_len", 4, true;
    request_sector = "request"."__sector", 8, true;
    request_start_time_ns = "request"."start_time_ns", 8, false;
    request_bio = "request"."bio", 8, false;
    request_mq_hctx = "request"."mq_hctx", 8, false;
    request_state = "request"."state", 4, false;
    hctx_tags = "blk_mq_hw_ctx"."tags", 8, false;
    tags_nr_tags = "blk_mq_tags"."nr_tags", 4, false;
    tags_rqs = "blk_mq_tags"."rqs", 8, false;
    bio_blkg = "bio"."bi_blkg", 8, false;
    blkg_blkcg = "blkcg_gq"."blkcg", 8, false;
    blkcg_cgroup = "blkcg"."css.cgroup", 8, false;
    cgroup_level = "cgroup"."level", 4, false;
    cgroup_kn = "cgroup"."kn", 8, false;
    kn_id = "kernfs_node"."id", 8, false;
    queue_disk = "request_queue"."disk", 8, false;
    disk_major = "gendisk"."major", 4, true;
    disk_first_minor = "gendisk"."first_minor", 4, true;
    disk_name = "gendisk"."disk_name", 32, true;
    task_flags = "task_struct"."flags", 4, true;
    task_pid = "task_struct"."pid", 4, true;
    task_tgid = "task_struct"."tgid", 4, true;
    task_comm = "task_struct"."comm", 16, true;
    task_group_leader = "task_struct"."group_leader", 8, true;
    task_start_boottime = "task_struct"."start_boottime", 8, true;
    task_mm = "task_struct"."mm", 8, true;
    task_last_arrival = "task_struct"."sched_info.last_arrival", 8, false;
    task_sum_exec = "task_struct"."se.sum_exec_runtime", 8, true;
    task_prev_sum_exec = "task_struct"."se.prev_sum_exec_runtime", 8, true;
    task_prio = "task_struct"."prio", 4, true;
    task_on_cpu = "task_struct"."on_cpu", 4, true;
    task_blocker = "task_struct"."blocker", 8, false;
    mutex_owner = "mutex"."owner", 8, false;
    rwsem_owner = "rw_semaphore"."owner", 8, false;
    semaphore_last_holder = "semaphore"."last_holder", 8, false;
    mm_arg_start = "mm_struct"."arg_start", 8, true;
    mm_arg_end = "mm_struct"."arg_end", 8, true;
};

/// Request operations whose numbers `stall_common::request::Op::from_code` relies on.
const OPERATIONS: &[(&str, u64)] = &[
    ("REQ_OP_READ", 0),
    ("REQ_OP_WRITE", 1),
    ("REQ_OP_FLUSH", 2),
    ("REQ_OP_DISCARD", 3),
    ("REQ_OP_SECURE_ERASE", 5),
    ("REQ_OP_WRITE_ZEROES", 9),
    ("__REQ_PREFLUSH", PREFLUSH.trailing_zeros() as u64),
];

/// Resolves every value.
///
/// # Errors
///
/// When a required field is missing or has another size, or an operation another number.
pub fn resolve(btf: &Btf<'_>) -> Result<Layout, LayoutError> {
    check_operations(btf)?;
    let mut layout = Layout::UNRESOLVED;
    let mut missing = Vec::new();
    for row in ROWS {
        match btf.field(row.structure, row.path) {
            Some(field) if field.size == row.size => *(row.to)(&mut layout) = field.offset,
            _ if row.required => missing.push(format!("{}.{}", row.structure, row.path)),
            _ => {}
        }
    }
    layout.task_state = task_state(btf);
    if layout.task_state == ABSENT {
        missing.push("task_struct.__state".to_owned());
    }
    if layout.request_rq_disk == ABSENT && layout.queue_disk == ABSENT {
        missing.push("request_queue.disk".to_owned());
    }
    let in_flight = btf.enumerator("MQ_RQ_IN_FLIGHT");
    layout.mq_rq_in_flight = in_flight.map_or(ABSENT, |state| state as u32);
    whole_or_absent(&mut layout);
    layout.rqf_flush_seq = flush_seq(btf);
    if missing.is_empty() {
        Ok(layout)
    } else {
        Err(LayoutError::Missing(missing.join(", ")))
    }
}

/// The ways from a request to its control group, and to the others in flight, are of use only as a whole:
/// programs ask for `bio_blkg` and `request_mq_hctx`.
fn whole_or_absent(layout: &mut Layout) {
    let way = [
        layout.request_bio,
        layout.blkg_blkcg,
        layout.blkcg_cgroup,
        layout.cgroup_level,
        layout.cgroup_kn,
        layout.kn_id,
    ];
    if way.contains(&ABSENT) {
        layout.bio_blkg = ABSENT;
    }
    let way = [
        layout.request_state,
        layout.request_start_time_ns,
        layout.hctx_tags,
        layout.tags_nr_tags,
        layout.tags_rqs,
        layout.mq_rq_in_flight,
    ];
    if way.contains(&ABSENT) {
        layout.request_mq_hctx = ABSENT;
    }
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
    1 << btf.enumerator("__RQF_FLUSH_SEQ").unwrap_or(MACRO_BIT)
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
