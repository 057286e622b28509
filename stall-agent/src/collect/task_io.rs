//! Who wrote in the window: what threads had written when it began and when it ended, and those that ended meanwhile.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};

use anyhow::Result;
use stall_common::task_io::{DEVICES, Devices, EndedIo, OTHERS, ProcessKey, ThreadIo};

use super::d_state::number;
use super::maps::Maps;
use super::records::{next, until_nul};

/// Processes kept.
const MOST: usize = 64;

/// A thread that lives, and has written something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    process: (u32, u64),
    /// Less what was thrown away unwritten.
    bytes: i128,
    kernel_thread: bool,
    comm: String,
    devices: Vec<(u32, u32)>,
}

/// A process that wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// 0 for all that ended beyond those that are kept.
    pub pid: u32,
    pub start_boottime_ns: u64,
    pub comm: String,
    pub kernel_thread: bool,
    pub bytes: u64,
    /// What it had open for writing.
    pub devices: Vec<(u32, u32)>,
    /// Of one that has ended: who started it, and its group's id in the unified hierarchy.
    pub ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub parent_pid: u32,
    pub cgroup: u64,
}

/// Reads the iterator to its end.
///
/// # Errors
///
/// When the kernel ends it early.
pub fn read(mut iterator: File) -> io::Result<Vec<Thread>> {
    let mut bytes = Vec::new();
    iterator.read_to_end(&mut bytes)?;
    Ok(decode(&bytes))
}

/// What the iterator wrote; the rest of a thread that is cut off is left out.
fn decode(mut bytes: &[u8]) -> Vec<Thread> {
    std::iter::from_fn(|| next::<ThreadIo>(&mut bytes))
        .map(|io| Thread {
            process: (io.tgid, io.start_boottime_ns),
            bytes: i128::from(io.written) - i128::from(io.cancelled),
            kernel_thread: io.kernel_thread != 0,
            comm: until_nul(&io.comm),
            devices: devices(&io.open),
        })
        .collect()
}

fn devices(open: &Devices) -> Vec<(u32, u32)> {
    let count = (open.count as usize).min(DEVICES);
    let numbers = open.devices.iter().take(count);
    let mut numbers: Vec<_> = numbers.filter_map(|device| number(*device)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Makes room for the sum of all that end beyond those that are kept.
///
/// # Errors
///
/// When the kernel refuses.
pub fn make_room(maps: &mut Maps) -> Result<()> {
    Ok(maps.ended_io.insert(OTHERS, EndedIo::default(), 0)?)
}

/// Who wrote most between two looks, most first. `ended` are threads that ended between them, or after the hooks were attached.
#[must_use]
pub fn written(start: &[Thread], end: Vec<Thread>, ended: &Maps) -> Vec<Written> {
    let ended = ended.ended_io.iter().flatten();
    between(start, end, ended.collect())
}

fn between(start: &[Thread], end: Vec<Thread>, ended: Vec<(ProcessKey, EndedIo)>) -> Vec<Written> {
    let mut bytes: HashMap<(u32, u64), i128> = HashMap::new();
    let mut rows: HashMap<(u32, u64), Written> = HashMap::new();
    for thread in start {
        *bytes.entry(thread.process).or_default() -= thread.bytes;
    }
    for (key, io) in ended {
        let process = (key.tgid, key.start_boottime_ns);
        *bytes.entry(process).or_default() += i128::from(io.written) - i128::from(io.cancelled);
        rows.insert(
            process,
            Written {
                comm: until_nul(&io.comm),
                kernel_thread: io.kernel_thread != 0,
                devices: devices(&io.open),
                ended: Some(Ended {
                    parent_pid: io.parent,
                    cgroup: io.cgroup,
                }),
                ..Written::default()
            },
        );
    }
    // It lives: threads of it that ended are not its end.
    for thread in end {
        *bytes.entry(thread.process).or_default() += thread.bytes;
        let row = rows.entry(thread.process).or_default();
        row.comm = thread.comm;
        row.kernel_thread = thread.kernel_thread;
        row.ended = None;
        row.devices.extend(thread.devices);
        row.devices.sort_unstable();
        row.devices.dedup();
    }
    let mut rows: Vec<_> = rows
        .into_iter()
        .filter_map(|((pid, start_boottime_ns), row)| {
            let bytes = *bytes.get(&(pid, start_boottime_ns))?;
            Some(Written {
                pid,
                start_boottime_ns,
                bytes: u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)?,
                ..row
            })
        })
        .collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.bytes), row.pid));
    rows.truncate(MOST);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(pid: u32, bytes: i128) -> Thread {
        Thread {
            process: (pid, 1),
            bytes,
            comm: format!("p{pid}"),
            devices: vec![(8, 0)],
            ..Thread::default()
        }
    }

    fn ended(pid: u32, written: u64, cancelled: u64) -> (ProcessKey, EndedIo) {
        let key = ProcessKey {
            start_boottime_ns: 1,
            tgid: pid,
            reserved: 0,
        };
        let io = EndedIo {
            written,
            cancelled,
            parent: 1,
            ..EndedIo::default()
        };
        (key, io)
    }

    fn told(rows: &[Written]) -> Vec<(u32, u64, bool)> {
        let rows = rows.iter();
        rows.map(|row| (row.pid, row.bytes, row.ended.is_some()))
            .collect()
    }

    #[test]
    fn what_was_written_before_the_window_is_not_of_it() {
        let rows = between(&[thread(7, 100)], vec![thread(7, 130)], vec![]);
        assert_eq!(told(&rows), [(7, 30, false)]);
    }

    #[test]
    fn who_begins_and_ends_in_the_window_is_seen() {
        let rows = between(&[], vec![thread(7, 5)], vec![ended(9, 400, 0)]);
        assert_eq!(told(&rows), [(9, 400, true), (7, 5, false)]);
    }

    #[test]
    fn threads_that_ended_count_for_their_process_which_lives() {
        let start = [thread(7, 100), thread(7, 50)];
        let rows = between(&start, vec![thread(7, 110)], vec![ended(7, 90, 0)]);
        assert_eq!(told(&rows), [(7, 50, false)]);
    }

    #[test]
    fn who_threw_away_more_than_it_wrote_is_left_out() {
        let rows = between(&[], vec![], vec![ended(9, 10, 400), ended(10, 400, 10)]);
        assert_eq!(told(&rows), [(10, 390, true)]);
    }

    #[test]
    fn those_who_wrote_most_are_kept() {
        let all = (1..1000).map(|pid| thread(pid, i128::from(pid)));
        let rows = between(&[], all.collect(), vec![]);
        assert_eq!(rows.len(), MOST);
        assert_eq!(rows[0].pid, 999);
    }

    #[test]
    fn a_cut_record_is_left_out() {
        let whole = vec![0u8; size_of::<ThreadIo>()];
        assert_eq!(decode(&whole).len(), 1);
        assert_eq!(decode(&whole[..70]), []);
    }
}
