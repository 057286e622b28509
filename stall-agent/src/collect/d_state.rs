//! Tasks in D right now, from the task iterator.

use std::fs::File;
use std::io::{self, Read as _};

use stall_common::blocked::{DTask, Lock, WAKEKILL};

use super::records::{next, until_nul};
use stall_capture::Holder;

/// A task in D.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub tid: u32,
    pub tgid: u32,
    pub comm: String,
    pub start_boottime_ns: u64,
    pub killable: bool,
    /// Since when it has not run, to within a tick; `None` where the kernel forgot.
    pub since_ns: Option<u64>,
    pub frames: Vec<u64>,
    /// It sleeps in `io_schedule()`.
    pub io_wait: bool,
    /// Addresses of the task and of its stack, 0 where the kernel does not say.
    pub task_at: u64,
    pub stack_at: u64,
    /// Major and minor of the filesystem that has the file of the system call it is in, or of the block device that is this file;
    /// `None` for a call that has no file, or outside of one.
    pub waits_on: Option<(u32, u32)>,
    /// The same of a filesystem that took no writes: that of this file, of its working directory, or of another file it had open.
    pub frozen: Option<(u32, u32)>,
    /// The same of any filesystem that took no writes, when it has no such file.
    pub any_frozen: Option<(u32, u32)>,
    /// Who held what it waited for, as the kernel's memory said.
    pub holder: Option<Holder>,
}

/// Reads the iterator to its end.
///
/// # Errors
///
/// When the kernel ends it early.
pub fn read(mut iterator: File) -> io::Result<Vec<Found>> {
    let mut bytes = Vec::new();
    iterator.read_to_end(&mut bytes)?;
    Ok(decode(&bytes))
}

/// What the iterator wrote; the rest of a task that is cut off is left out.
#[must_use]
pub fn decode(mut bytes: &[u8]) -> Vec<Found> {
    std::iter::from_fn(|| next(&mut bytes))
        .map(|task| found(&task))
        .collect()
}

fn found(task: &DTask) -> Found {
    let depth = (task.depth as usize).min(task.frames.len());
    Found {
        tid: task.tid,
        tgid: task.tgid,
        comm: until_nul(&task.comm),
        start_boottime_ns: task.start_boottime_ns,
        killable: task.state & WAKEKILL != 0,
        since_ns: since(task.now_ns, task.now_sched_ns, task.ran_sched_ns),
        frames: task.frames[..depth].to_vec(),
        io_wait: task.io_wait != 0,
        task_at: task.task_at,
        stack_at: task.stack_at,
        waits_on: number(task.file).filter(|_| takes_file(task.syscall)),
        frozen: number(task.frozen).filter(|_| task.any_frozen == 0),
        any_frozen: number(task.frozen).filter(|_| task.any_frozen != 0),
        holder: holder(task),
    }
}

/// Major and minor.
pub(super) fn number(device: u32) -> Option<(u32, u32)> {
    (device != 0).then_some((device >> 20, device & 0xf_ffff))
}

/// Whether the first argument of a system call is the descriptor of the file it works on.
fn takes_file(syscall: u32) -> bool {
    let number = libc::c_long::from(syscall.cast_signed());
    FILE_FIRST.contains(&number)
}

/// Those that may sleep for the file's own filesystem or device.
const FILE_FIRST: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_readv,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_ioctl,
    libc::SYS_getdents64,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fsetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_splice,
];

/// `None` is nobody known.
fn holder(task: &DTask) -> Option<Holder> {
    let lock = Lock::from_number(task.lock);
    let name = match lock {
        Lock::None => return None,
        Lock::Mutex => "mutex",
        Lock::Semaphore => "semaphore",
        Lock::Rwsem | Lock::RwsemRead => "rwsem",
    };
    Some(Holder {
        tid: task.holder_tid,
        pid: task.holder_tgid,
        comm: until_nul(&task.holder_comm),
        lock: name.to_owned(),
        reader: lock == Lock::RwsemRead,
    })
}

/// The scheduler's clock has another origin than `CLOCK_MONOTONIC`; the difference of two of its
/// readings is an age on both.
fn since(now_ns: u64, now_sched_ns: u64, ran_sched_ns: u64) -> Option<u64> {
    let ran = ran_sched_ns != 0;
    ran.then(|| now_ns.saturating_sub(now_sched_ns.saturating_sub(ran_sched_ns)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_difference_of_scheduler_times() {
        assert_eq!(since(1_000, 400, 100), Some(700));
        // The looker's reading is up to a tick old.
        assert_eq!(since(1_000, 100, 104), Some(1_000));
        assert_eq!(since(1_000, 400, 0), None);
    }

    #[test]
    fn a_device_number_is_taken_apart() {
        assert_eq!(number(7 << 20 | 3), Some((7, 3)));
        assert_eq!(number(45), Some((0, 45)), "an anonymous one");
        assert_eq!(number(0), None);
    }

    #[test]
    fn a_call_without_a_file_waits_on_none() {
        let calls = [libc::SYS_read, libc::SYS_fsync, libc::SYS_ioctl];
        assert!(calls.iter().all(|call| takes_file(*call as u32)));
        let others = [libc::SYS_openat, libc::SYS_futex, libc::SYS_exit_group];
        assert!(others.iter().all(|call| !takes_file(*call as u32)));
        assert!(!takes_file(stall_common::blocked::NO_SYSCALL));
    }

    #[test]
    fn a_cut_record_is_left_out() {
        let whole = vec![0u8; size_of::<DTask>()];
        assert_eq!(decode(&whole).len(), 1);
        assert_eq!(decode(&whole[..60]), []);
        assert_eq!(decode(&[&whole[..], &whole[..60]].concat()).len(), 1);
    }
}
