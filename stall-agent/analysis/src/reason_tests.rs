//! Why tasks sleep: stacks that people reported in public and stacks written from the kernel's
//! sources, held against the rule. `tests/fixtures/stacks/README.md` tells where they are from.

use super::reason::{Decision, Facts, decide, is_storage};
use super::symbol::is_one_of;
use super::test_capture::stack_of;
use stall_capture::{Frame, Stack};
use stall_report::model::Reason;

fn reason_of(frames: &str) -> Decision {
    let frames: Vec<&str> = frames.split_whitespace().collect();
    decide(Some(&stack_of(&frames)), Facts::default())
}

/// Stacks as the agent takes them on 6.18, by what decides.
const SEEN: &[(Reason, &str, &str)] = &[
    (
        Reason::Discard,
        "blkdev_issue_discard",
        "__schedule schedule io_schedule submit_bio_wait blkdev_issue_discard ext4_trim_extent \
         ext4_trim_fs",
    ),
    (
        Reason::Zeroout,
        "blkdev_issue_zeroout",
        "submit_bio_wait blkdev_issue_zeroout ext4_init_inode_table ext4_lazyinit_thread kthread",
    ),
    (
        Reason::WritebackThrottling,
        "wbt_wait",
        "schedule io_schedule rq_qos_wait wbt_wait __rq_qos_throttle blk_mq_submit_bio \
         blkdev_issue_discard",
    ),
    (
        Reason::BlockThrottle,
        "blkcg_iolatency_throttle",
        "io_schedule rq_qos_wait blkcg_iolatency_throttle __rq_qos_throttle blk_mq_submit_bio",
    ),
    (
        Reason::DirtyThrottling,
        "balance_dirty_pages",
        "balance_dirty_pages balance_dirty_pages_ratelimited_flags generic_perform_write \
         ext4_buffered_write_iter vfs_write",
    ),
    (
        Reason::RequestTag,
        "blk_mq_get_tag",
        "io_schedule blk_mq_get_tag __blk_mq_alloc_requests blk_mq_submit_bio xfs_file_dio_read",
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
        "io_schedule folio_wait_bit_common filemap_update_page filemap_get_pages filemap_read",
    ),
    (
        Reason::PageWriteback,
        "folio_wait_writeback",
        "io_schedule folio_wait_bit_common folio_wait_writeback __filemap_fdatawait_range \
         ext4_sync_file",
    ),
    (
        Reason::PageLock,
        "folio_wait_bit_common",
        "io_schedule folio_wait_bit_common __folio_lock truncate_inode_pages_range",
    ),
    (
        Reason::Journal,
        "jbd2_log_wait_commit",
        "schedule jbd2_log_wait_commit jbd2_complete_transaction ext4_sync_file do_fsync",
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
        "schedule rwsem_down_write_slowpath down_write ext4_buffered_write_iter vfs_write",
    ),
    (
        Reason::Lock,
        "ext4_file_read_iter",
        "ext4_file_read_iter vfs_read __x64_sys_pread64",
    ),
    (
        Reason::Lock,
        "__down_common",
        "schedule_timeout __down_common __down down xfs_buf_lock xfs_buf_find_lock xfs_read_agf",
    ),
    (
        Reason::FrozenFilesystem,
        "percpu_rwsem_wait",
        "percpu_rwsem_wait vfs_write ksys_write do_syscall_64",
    ),
    (
        Reason::UserSpaceServer,
        "request_wait_answer",
        "schedule request_wait_answer __fuse_simple_request fuse_fallocate lo_fallocate",
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
        let decision = reason_of(frames);
        assert_eq!(decision.reason, *reason, "{frames}: {decision:?}");
        assert_eq!(decision.decided_by.as_deref(), Some(*symbol), "{frames}");
    }
}

#[test]
fn a_lock_is_told_with_who_takes_it_and_whose_it_is() {
    let decision =
        reason_of("schedule rwsem_down_write_slowpath down_write ext4_buffered_write_iter");
    assert_eq!(
        decision.called_from.as_deref(),
        Some("ext4_buffered_write_iter")
    );
    assert_eq!(decision.family.as_deref(), Some("ext4"));
    assert!(is_storage(decision.reason, decision.family.as_deref()));
    for elsewhere in [
        "schedule __mutex_lock rtnl_lock ib_get_eth_speed",
        "rwsem_down_write_slowpath unregister_shrinker deactivate_locked_super cleanup_mnt",
        "__mutex_lock kernfs_iop_lookup __lookup_slow lookup_slow walk_component",
        "__mutex_lock some_driver_store kernfs_fop_write_iter vfs_write",
        "rwsem_down_read_slowpath do_user_addr_fault exc_page_fault",
    ] {
        let decision = reason_of(elsewhere);
        assert_eq!(decision.reason, Reason::Lock, "{elsewhere}");
        assert!(
            !is_storage(decision.reason, decision.family.as_deref()),
            "{elsewhere}"
        );
    }
}

/// As seen on 6.18: a reader of a file that another one makes longer, and one that waits for the
/// disk.
#[test]
fn the_innermost_function_tells_a_lock_from_io() {
    let lock = reason_of("ext4_file_read_iter vfs_read __x64_sys_pread64");
    assert_eq!(
        (lock.reason, lock.is_released_by_a_task),
        (Reason::Lock, true)
    );
    let io = reason_of("__iomap_dio_rw iomap_dio_rw ext4_file_read_iter");
    assert_eq!((io.reason, io.is_released_by_a_task), (Reason::Read, false));
}

#[test]
fn what_an_interrupt_ends_has_no_releaser() {
    for (is_released, frames) in [
        (true, "rwsem_down_write_slowpath down_write ext4_map_blocks"),
        (true, "jbd2_log_wait_commit ext4_sync_file"),
        (true, "percpu_rwsem_wait mnt_want_write"),
        (
            false,
            "ext4_function_of_another_kernel ext4_mkdir vfs_mkdir",
        ),
        (false, "do_get_write_access ext4_mkdir"),
        (false, "__lock_buffer ext4_sb_bread"),
        (false, "request_wait_answer fuse_file_read_iter"),
    ] {
        assert_eq!(
            reason_of(frames).is_released_by_a_task,
            is_released,
            "{frames}"
        );
    }
}

#[test]
fn a_percpu_semaphore_is_a_frozen_filesystem_s_or_another() {
    for (reason, frames) in [
        (
            Reason::FrozenFilesystem,
            "percpu_rwsem_wait ext4_page_mkwrite do_page_mkwrite",
        ),
        (
            Reason::FrozenFilesystem,
            "schedule percpu_rwsem_wait __percpu_down_read mnt_want_write filename_create",
        ),
        (
            Reason::FrozenFilesystem,
            "rwsem_down_read_failed call_rwsem_down_read_failed __percpu_down_read \
             __sb_start_write mnt_want_write",
        ),
        (
            Reason::Lock,
            "percpu_rwsem_wait __percpu_down_read cgroup_css_set_fork copy_process",
        ),
        (
            Reason::Lock,
            "percpu_rwsem_wait ext4_do_writepages ext4_writepages do_writepages",
        ),
        (
            Reason::Lock,
            "percpu_rwsem_wait cpus_read_lock static_key_slow_inc",
        ),
    ] {
        assert_eq!(reason_of(frames).reason, reason, "{frames}");
    }
}

#[test]
fn the_kernel_s_own_word_comes_before_names() {
    let stack = stack_of(&["some_function", "vfs_write"]);
    let held = Facts {
        holder_is_known: true,
        is_io: false,
    };
    let decision = decide(Some(&stack), held);
    assert_eq!(decision.reason, Reason::Lock);
    assert_eq!(decision.decided_by.as_deref(), Some("some_function"));
    assert!(decision.is_released_by_a_task);
    assert_eq!(decide(None, held).reason, Reason::Lock);
    let reader = stack_of(&["ext4_file_read_iter", "vfs_read"]);
    let io = Facts {
        holder_is_known: false,
        is_io: true,
    };
    assert_eq!(decide(Some(&reader), io).reason, Reason::Read);
    assert_eq!(decide(Some(&reader), Facts::default()).reason, Reason::Lock);
}

#[test]
fn a_module_says_more_than_a_name() {
    let frame = |symbol: &str, module: &str| Frame {
        symbol: Some(symbol.to_owned()),
        module: Some(module.to_owned()),
        ..Frame::default()
    };
    let family = |symbol, module| {
        let frames = vec![frame(symbol, module)];
        decide(Some(&Stack { frames }), Facts::default())
    };
    let of_gpu = family("dm_suspend", "amdgpu");
    assert_eq!(
        (of_gpu.reason, of_gpu.family.as_deref()),
        (Reason::Other, Some("gpu"))
    );
    let stripped = family("nearest_symbol", "nfsv4");
    assert_eq!(stripped.reason, Reason::NetworkStorage);
    let strange = family("foo_ioctl", "foo");
    assert_eq!(
        (strange.reason, strange.family.as_deref()),
        (Reason::Other, Some("foo"))
    );
}

#[test]
fn without_a_name_nothing_is_decided() {
    assert_eq!(decide(None, Facts::default()).reason, Reason::Unknown);
    let decision = reason_of("__schedule schedule wait_for_completion some_driver_probe");
    assert_eq!(
        (decision.reason, decision.called_from.as_deref()),
        (Reason::Other, Some("some_driver_probe"))
    );
}

/// A stack of the fixtures, and what is right to say of it.
struct Known<'a> {
    id: &'a str,
    right: &'a str,
    is_storage: bool,
    stack: Stack,
}

/// Two lines for each: `id | kernel and form | reasons that are right | storage or elsewhere`, and
/// its functions.
fn known(text: &str) -> Vec<Known<'_>> {
    let blocks = text.split("\n\n").map(str::trim);
    let blocks = blocks.filter(|block| !block.is_empty());
    let known = blocks.map(|block| {
        let (head, frames) = block.split_once('\n').unwrap();
        let parts: Vec<&str> = head.split('|').map(str::trim).collect();
        let [id, _, right, whose] = parts[..] else {
            panic!("{head}: not four parts");
        };
        assert!(["storage", "elsewhere"].contains(&whose), "{head}");
        let frames = frames.split_whitespace().map(|frame| {
            let (symbol, module) = match frame.split_once('[') {
                Some((symbol, module)) => (symbol, Some(module.trim_end_matches(']').to_owned())),
                None => (frame, None),
            };
            Frame {
                symbol: Some(symbol.to_owned()),
                offset: 0,
                module,
            }
        });
        Known {
            id,
            right,
            is_storage: whose == "storage",
            stack: Stack {
                frames: frames.collect(),
            },
        }
    });
    known.collect()
}

/// Prints what is wrong, and asks for as many right as there were.
#[expect(clippy::disallowed_macros, reason = "a test says what it counted")]
fn hold(name: &str, text: &str, (right, storage): (usize, usize)) {
    let known = known(text);
    let (mut named, mut told) = (0, 0);
    for one in &known {
        let decision = decide(Some(&one.stack), Facts::default());
        let reason = serde_json::to_value(decision.reason).unwrap();
        let is_right = is_one_of(one.right, reason.as_str().unwrap());
        let is_told = is_storage(decision.reason, decision.family.as_deref()) == one.is_storage;
        named += usize::from(is_right);
        told += usize::from(is_told);
        if !is_right || !is_told {
            println!("{}: {decision:?}, right: {}", one.id, one.right);
        }
    }
    println!(
        "{name}: of {} the reason of {named} is right, storage or not of {told}",
        known.len()
    );
    assert!(named >= right, "{name}: {named} right, were {right}");
    assert!(
        told >= storage,
        "{name}: storage or not right of {told}, were {storage}"
    );
}

#[test]
fn stacks_of_public_reports_are_told() {
    hold(
        "public",
        include_str!("../../../tests/fixtures/stacks/public.txt"),
        (70, 71),
    );
    hold(
        "threads",
        include_str!("../../../tests/fixtures/stacks/threads.txt"),
        (95, 95),
    );
}

#[test]
fn stacks_recorded_on_a_staged_disk_are_told() {
    hold(
        "recorded",
        include_str!("../../../tests/fixtures/stacks/recorded.txt"),
        (38, 38),
    );
}

#[test]
fn stacks_of_other_parts_of_the_kernel_are_told() {
    hold(
        "written",
        include_str!("../../../tests/fixtures/stacks/written.txt"),
        (187, 188),
    );
    hold(
        "check",
        include_str!("../../../tests/fixtures/stacks/check.txt"),
        (129, 129),
    );
}
