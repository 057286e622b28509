//! Parties as a host shows them: processes with their control groups, and the kernel stacks of their sleeps.

use stall_capture::{self as capture, Frame, Pod, Stack};

use crate::log::{self, Why};
use crate::world::{Does, Ns, Party, S, WhoKind};

/// `CLOCK_MONOTONIC` when a window opens: the machine has been up for a day.
pub const OPENS: Ns = 86_400 * S;

/// Path of a party's control group.
#[must_use]
pub fn cgroup(index: usize, party: &Party) -> String {
    let who = &party.who;
    match who.kind {
        WhoKind::Program => format!("/user.slice/user-1000.slice/session-{}.scope", index + 1),
        WhoKind::Unit => format!("/system.slice/{}", who.name),
        WhoKind::Vm if who.namespace.is_none() => {
            format!(
                "/machine.slice/machine-qemu\\x2d{}\\x2d{}.scope",
                index + 1,
                who.name
            )
        }
        WhoKind::Pod | WhoKind::Vm => format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{}.scope",
            uid(index).replace('-', "_"),
            container_id(index)
        ),
    }
}

/// Inode number of it.
#[must_use]
pub const fn cgroup_id(index: usize) -> u64 {
    4_000 + index as u64
}

fn uid(index: usize) -> String {
    format!("6f1d{index:04x}-2b7a-4c1e-9d53-0a4e7c11{index:04x}")
}

fn container_id(index: usize) -> String {
    format!("{index:04x}").repeat(16)
}

/// A process as the agent would have read it.
#[must_use]
pub fn process(parties: &[Party], before: Ns, process: &log::Process) -> capture::Process {
    let at = |time: Ns| (OPENS + time).saturating_sub(before);
    let Some(index) = process.party else {
        let comm = process.comm.split('+').next().unwrap_or_default();
        return capture::Process {
            pid: process.pid,
            comm: comm.to_owned(),
            worker: process
                .comm
                .split_once('+')
                .map(|(_, work)| format!("{comm}-{work}")),
            kernel_thread: true,
            start_boottime_ns: 2 * S,
            cgroup: vec!["0::/".to_owned()],
            parent_pid: Some(2),
            ..capture::Process::default()
        };
    };
    let party = &parties[index];
    let who = &party.who;
    let path = cgroup(index, party);
    let in_pod = who.kind == WhoKind::Pod || (who.kind == WhoKind::Vm && who.namespace.is_some());
    let started = match process.started {
        0 => OPENS - 7_200 * S + u64::from(process.pid),
        later => at(later),
    };
    capture::Process {
        pid: process.pid,
        comm: process.comm.clone(),
        start_boottime_ns: started,
        args: arguments(party),
        exe: Some(executable(party)),
        unit: path.rsplit('/').next().map(str::to_owned),
        cgroup: vec![format!("0::{path}")],
        parent_pid: Some(match who.kind {
            WhoKind::Program => 900 + index as u32,
            WhoKind::Unit | WhoKind::Pod | WhoKind::Vm => 1,
        }),
        exited_ns: process.exited.map(at),
        pod: in_pod.then(|| pod(index, party)),
        ..capture::Process::default()
    }
}

fn pod(index: usize, party: &Party) -> Pod {
    let who = &party.who;
    let (name, container) = match who.kind {
        WhoKind::Vm => (format!("virt-launcher-{}-x7k2p", who.name), "compute"),
        _ => (who.name.clone(), who.comm.as_str()),
    };
    Pod {
        uid: Some(uid(index)),
        namespace: who.namespace.clone(),
        name: Some(name),
        container: Some(container.to_owned()),
        container_id: Some(container_id(index)),
        addresses: vec![format!("10.52.0.{}", index + 10)],
    }
}

fn executable(party: &Party) -> String {
    match party.who.kind {
        WhoKind::Vm => "/usr/bin/qemu-system-x86_64".to_owned(),
        _ => format!("/usr/bin/{}", party.who.comm),
    }
}

fn arguments(party: &Party) -> Vec<String> {
    let who = &party.who;
    let words: Vec<String> = match (who.kind, party.does) {
        (WhoKind::Vm, _) => {
            let namespace = who
                .namespace
                .as_ref()
                .map(|namespace| format!("{namespace}_"));
            let guest = format!(
                "guest={}{},debug-threads=on",
                namespace.unwrap_or_default(),
                who.name
            );
            vec![executable(party), "-name".to_owned(), guest]
        }
        (_, Does::HostTrim) if who.comm == "fstrim" => {
            let words = [
                "/sbin/fstrim",
                "--listed-in",
                "/etc/fstab:/proc/self/mountinfo",
                "--verbose",
            ];
            words.map(str::to_owned).to_vec()
        }
        _ => vec![executable(party), format!("--name={}", who.name)],
    };
    words
}

/// The kernel stack of a sleep on ext4, as 6.18 has it, innermost first.
#[must_use]
pub const fn sleep_frames(why: Why, does: Option<Does>) -> &'static str {
    match why {
        Why::Read => "__iomap_dio_rw iomap_dio_rw ext4_file_read_iter vfs_read __x64_sys_pread64",
        Why::Page => {
            "folio_wait_bit_common filemap_update_page filemap_get_pages filemap_read ext4_file_read_iter \
             vfs_read ksys_read __x64_sys_read"
        }
        Why::Write => {
            "__iomap_dio_rw iomap_dio_rw ext4_file_write_iter vfs_write __x64_sys_pwrite64"
        }
        Why::Flush => {
            "submit_bio_wait blkdev_issue_flush ext4_sync_file do_fsync __x64_sys_fdatasync"
        }
        Why::Discard if matches!(does, Some(Does::GuestTrim)) => {
            "submit_bio_wait blkdev_issue_discard blkdev_fallocate vfs_fallocate __x64_sys_fallocate"
        }
        // BLKDISCARD; its own function is inlined.
        Why::Discard if matches!(does, Some(Does::OtherDiscards)) => {
            "submit_bio_wait blkdev_common_ioctl blkdev_ioctl __x64_sys_ioctl"
        }
        Why::Discard => {
            "submit_bio_wait blkdev_issue_discard ext4_trim_extent ext4_try_to_trim_range ext4_trim_fs \
             __ext4_ioctl __x64_sys_ioctl"
        }
        Why::Tag => {
            "blk_mq_get_tag __blk_mq_alloc_requests blk_mq_submit_bio __submit_bio \
             submit_bio_noacct_nocheck iomap_dio_bio_iter __iomap_dio_rw iomap_dio_rw \
             ext4_file_read_iter vfs_read __x64_sys_pread64"
        }
        Why::DataOfFsync => {
            "folio_wait_bit folio_wait_writeback __filemap_fdatawait_range \
             file_write_and_wait_range ext4_sync_file do_fsync __x64_sys_fsync"
        }
        Why::Commit => {
            "jbd2_log_wait_commit jbd2_complete_transaction ext4_fc_commit ext4_sync_file do_fsync \
             __x64_sys_fsync"
        }
        Why::Committing => "jbd2_journal_commit_transaction kjournald2 kthread",
        Why::Frozen => "percpu_rwsem_wait vfs_write ksys_write __x64_sys_write",
        Why::Dirty => {
            "balance_dirty_pages balance_dirty_pages_ratelimited_flags generic_perform_write \
             ext4_buffered_write_iter ext4_file_write_iter vfs_write __x64_sys_write"
        }
    }
}

/// The stack a discard is submitted from.
#[must_use]
pub const fn discard_frames(does: Option<Does>) -> &'static str {
    match does {
        Some(Does::GuestTrim) => {
            "blk_account_io_start blk_mq_submit_bio __submit_bio submit_bio_noacct_nocheck submit_bio_wait \
             blkdev_issue_discard blkdev_fallocate vfs_fallocate __x64_sys_fallocate"
        }
        Some(Does::OtherDiscards) => {
            "blk_account_io_start blk_mq_submit_bio __submit_bio submit_bio_noacct_nocheck \
             bio_chain_and_submit blkdev_common_ioctl blkdev_ioctl __x64_sys_ioctl"
        }
        _ => {
            "blk_account_io_start blk_mq_submit_bio __submit_bio submit_bio_noacct_nocheck submit_bio_wait \
             blkdev_issue_discard ext4_trim_extent ext4_try_to_trim_range ext4_trim_fs __ext4_ioctl \
             __x64_sys_ioctl"
        }
    }
}

/// With what is outermost.
#[must_use]
pub fn stack(frames: &str, is_kernel_thread: bool) -> Stack {
    let outermost = if is_kernel_thread {
        "ret_from_fork ret_from_fork_asm"
    } else {
        "do_syscall_64 entry_SYSCALL_64_after_hwframe"
    };
    let names = frames
        .split_whitespace()
        .chain(outermost.split_whitespace());
    let frame = |symbol: &str| Frame {
        symbol: Some(symbol.to_owned()),
        offset: 113,
        module: None,
    };
    Stack {
        frames: names.map(frame).collect(),
    }
}
