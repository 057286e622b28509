//! Tasks that were in D: what ended, what did not, and who they are.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use anyhow::Result;
use stall_common::blocked::{ACTIVE, KIND_IO_WAIT, KIND_KILLABLE, Sleep};
use stall_common::record::EndedSleep;

use stall_common::older::Waiter;

use super::d_state::Found;
use super::maps::Maps;
use super::records::{self, until_nul};
use super::stacks::Stacks;
use stall_capture as capture;
use stall_capture::{Blocked, Holder, Process, UnfinishedSleep, Waker};

/// A sleep the hooks say began this much before the task last ran was not one sleep: the wake-up
/// between was not seen. Above the iterator's own error of a tick, at most 10 ms.
const TOLERANCE_NS: u64 = 50_000_000;

/// `THREAD_SIZE` on x86_64 and arm64 with pages of 4 or 16 KiB; the stacks of others are longer.
const STACK_BYTES: u64 = 16 << 10;

/// Tasks kept: as many as the programs follow at a time, twice as many as have rows in their sums.
const MOST: usize = 16_384;
/// Filesystems and disks kept of each.
const PLACES: usize = 4;

/// Tasks by id, as records told of them or the iterator found them.
#[derive(Default)]
pub struct Tasks {
    known: BTreeMap<u32, records::Task>,
    /// What they were seen to wait on.
    places: BTreeMap<u32, Vec<(u32, u32)>>,
    /// Sleeps whose wake-up was not seen.
    pub missed_wakeups: u64,
    /// Whether the kernel tells who sleeps in `io_schedule()`.
    pub tells_io_wait: bool,
}

impl Tasks {
    /// None known yet.
    #[must_use]
    pub fn new(tells_io_wait: bool) -> Self {
        Self {
            tells_io_wait,
            ..Self::default()
        }
    }

    /// The task that waits for a request, by what led to it.
    #[must_use]
    pub fn waiting(waiter: &Waiter, found: &[Found], maps: &Maps) -> Option<records::Task> {
        let stack = |task: &Found| task.stack_at..task.stack_at.saturating_add(STACK_BYTES);
        let task = found.iter().find(|it| waiter.is(it.task_at, stack(it)))?;
        let sleep = maps.sleeps.get(&task.tid, 0).ok()?;
        Some(task_of(task, sleep.task))
    }

    /// Takes in a record, as long as there is room.
    pub fn introduce(&mut self, task: records::Task) {
        if self.known.len() < MOST {
            self.known.insert(task.task, task);
        }
    }

    /// Takes in tasks the iterator found, where the programs follow them. Returns the new ones.
    pub fn found(&mut self, found: &[Found], maps: &Maps) -> Vec<records::Task> {
        let mut new = Vec::new();
        for task in found {
            let Ok(sleep) = maps.sleeps.get(&task.tid, 0) else {
                continue;
            };
            if let Some(place) = task.waits_on {
                let places = self.places.entry(sleep.task).or_default();
                if places.len() < PLACES && !places.contains(&place) {
                    places.push(place);
                }
            }
            let task = task_of(task, sleep.task);
            if let Entry::Vacant(place) = self.known.entry(task.task) {
                place.insert(task.clone());
                new.push(task);
            }
        }
        new
    }

    /// The tasks in D at the end, longest first. `is_there` says whether a holder that memory spoke of
    /// exists: one that only read may be gone.
    pub fn unfinished(
        &mut self,
        found: &[Found],
        maps: &Maps,
        stacks: &mut Stacks,
        is_there: impl Fn(&Holder) -> bool,
    ) -> Vec<UnfinishedSleep> {
        let mut rows = Vec::new();
        for task in found {
            let Ok(sleep) = maps.sleeps.get(&task.tid, 0) else {
                continue;
            };
            if let Some(start_ns) = self.start(task, &sleep) {
                rows.push(UnfinishedSleep {
                    task: sleep.task,
                    stack: stacks.index_of(&task.frames),
                    killable: task.killable,
                    io_wait: self.tells_io_wait.then_some(task.io_wait),
                    start_ns,
                    holder: task.holder.clone().filter(|holder| is_there(holder)),
                });
            }
        }
        rows.sort_by_key(|row| row.start_ns);
        rows
    }

    /// The rows of the capture: every task known, with the process it belongs to.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to read the map.
    pub fn rows(
        &self,
        maps: &Maps,
        mut process: impl FnMut(&records::Task) -> Arc<Process>,
    ) -> Result<Vec<capture::Task>> {
        let short = short_sleeps(maps)?;
        let rows = self.known.values().map(|task| {
            let (short_sleeps, short_ns) = short.get(&task.task).copied().unwrap_or((0, 0));
            let process = process(task);
            capture::Task {
                id: task.task,
                tid: task.tid,
                comm: name(task, &process).to_owned(),
                start_boottime_ns: task.start_boottime_ns,
                process,
                short_sleeps,
                short_ns,
                waits_on: self.places.get(&task.task).cloned().unwrap_or_default(),
            }
        });
        Ok(rows.collect())
    }

    /// When a sleep that goes on began; `None` when it ended while the iterator looked.
    fn start(&mut self, task: &Found, sleep: &Sleep) -> Option<u64> {
        if sleep.flags & ACTIVE == 0 {
            return None;
        }
        match task.since_ns {
            Some(ran) if sleep.start_ns + TOLERANCE_NS < ran => {
                self.missed_wakeups += 1;
                Some(ran)
            }
            _ => Some(sleep.start_ns),
        }
    }
}

/// Ended sleeps by task and stack.
///
/// # Errors
///
/// When the kernel refuses to read the map.
pub fn ended(maps: &Maps, stacks: &mut Stacks, tells_io_wait: bool) -> Result<Vec<Blocked>> {
    let mut rows = Vec::new();
    for row in &maps.blocked {
        let (key, sums) = row?;
        rows.push(Blocked {
            task: key.task,
            stack: stacks.index(key.stack),
            killable: key.kind & KIND_KILLABLE != 0,
            // What is summed up of an ended task's short sleeps does not say it.
            io_wait: (tells_io_wait && key.stack != 0).then_some(key.kind & KIND_IO_WAIT != 0),
            sleeps: sums.sleeps,
            blocked_ns: sums.blocked_ns,
            before_ns: sums.before_ns,
            longest_ns: sums.longest_ns,
        });
    }
    rows.sort_by_key(|row| (row.task, std::cmp::Reverse(row.blocked_ns)));
    Ok(rows)
}

/// A recorded sleep.
#[must_use]
pub fn long(record: &EndedSleep, stacks: &mut Stacks, tells_io_wait: bool) -> capture::EndedSleep {
    capture::EndedSleep {
        task: record.task,
        stack: stacks.index(record.stack),
        killable: record.kind & KIND_KILLABLE != 0,
        io_wait: tells_io_wait.then_some(record.kind & KIND_IO_WAIT != 0),
        start_ns: record.start_ns,
        end_ns: record.header.time_ns,
        waker: waker(record),
    }
}

/// `None` is an idle CPU.
fn waker(record: &EndedSleep) -> Option<Waker> {
    (record.waker_tid != 0).then(|| Waker {
        tid: record.waker_tid,
        pid: record.waker_tgid,
        comm: until_nul(&record.waker_comm),
        start_boottime_ns: record.waker_start_boottime_ns,
        kernel_thread: record.waker_kernel_thread != 0,
    })
}

/// Number and sum of the short sleeps, by task.
///
/// # Errors
///
/// When the kernel refuses to read the map.
pub fn short_sleeps(maps: &Maps) -> Result<BTreeMap<u32, (u64, u64)>> {
    let mut short = BTreeMap::new();
    for row in &maps.sleeps {
        let (_, sleep) = row?;
        short.insert(sleep.task, (sleep.short_sleeps, sleep.short_ns));
    }
    Ok(short)
}

fn task_of(found: &Found, task: u32) -> records::Task {
    records::Task {
        task,
        tid: found.tid,
        tgid: found.tgid,
        start_boottime_ns: found.start_boottime_ns,
        // What /proc says of it decides; this is for when it has ended before.
        kernel_thread: false,
        comm: found.comm.clone(),
    }
}
/// The first thread of a process is called what the process is, by the newer of the two names.
fn name<'a>(task: &'a records::Task, process: &'a Process) -> &'a str {
    if task.tid == process.pid && !process.kernel_thread {
        &process.comm
    } else {
        &task.comm
    }
}
