//! Tasks in D right now, from the task iterator.

use std::fs::File;
use std::io::{self, Read as _};

use bytes::Buf as _;
use stall_common::actor::COMM_LEN;
use stall_common::blocked::{DTask, Lock, WAKEKILL};
use stall_common::stack::DEPTH;

use super::records::until_nul;
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
    Ok(bytes
        .chunks_exact(size_of::<DTask>())
        .filter_map(decode)
        .collect())
}

pub(crate) fn decode(mut bytes: &[u8]) -> Option<Found> {
    let bytes = &mut bytes;
    let now_ns = bytes.try_get_u64_ne().ok()?;
    let ran_sched_ns = bytes.try_get_u64_ne().ok()?;
    let now_sched_ns = bytes.try_get_u64_ne().ok()?;
    let start_boottime_ns = bytes.try_get_u64_ne().ok()?;
    let tid = bytes.try_get_u32_ne().ok()?;
    let tgid = bytes.try_get_u32_ne().ok()?;
    let state = bytes.try_get_u32_ne().ok()?;
    let depth = bytes.try_get_u32_ne().ok()? as usize;
    let comm = until_nul(bytes.get(..COMM_LEN)?);
    bytes.advance(COMM_LEN);
    let holder = holder(bytes)?;
    let frames = (0..depth.min(DEPTH)).map(|_| bytes.try_get_u64_ne());
    let frames = frames.collect::<Result<_, _>>().ok()?;
    Some(Found {
        tid,
        tgid,
        comm,
        start_boottime_ns,
        killable: state & WAKEKILL != 0,
        since_ns: since(now_ns, now_sched_ns, ran_sched_ns),
        frames,
        holder,
    })
}

/// The inner `None` is nobody known.
fn holder(bytes: &mut &[u8]) -> Option<Option<Holder>> {
    let tid = bytes.try_get_u32_ne().ok()?;
    let pid = bytes.try_get_u32_ne().ok()?;
    let lock = Lock::from_number(bytes.try_get_u32_ne().ok()?);
    let _reserved = bytes.try_get_u32_ne().ok()?;
    let comm = until_nul(bytes.get(..COMM_LEN)?);
    bytes.advance(COMM_LEN);
    let name = match lock {
        Lock::None => return Some(None),
        Lock::Mutex => "mutex",
        Lock::Semaphore => "semaphore",
        Lock::Rwsem | Lock::RwsemRead => "rwsem",
    };
    Some(Some(Holder {
        tid,
        pid,
        comm,
        lock: name.to_owned(),
        reader: lock == Lock::RwsemRead,
    }))
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
        assert!(decode(&whole).is_some());
        assert_eq!(decode(&whole[..60]), None);
    }
}
