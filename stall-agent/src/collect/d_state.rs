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
        holder: holder(task),
    }
}

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
    fn a_cut_record_is_left_out() {
        let whole = vec![0u8; size_of::<DTask>()];
        assert_eq!(decode(&whole).len(), 1);
        assert_eq!(decode(&whole[..60]), []);
        assert_eq!(decode(&[&whole[..], &whole[..60]].concat()).len(), 1);
    }
}
