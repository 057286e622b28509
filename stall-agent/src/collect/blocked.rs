//! Tasks that were in D: what ended, what did not, and who they are.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use anyhow::Result;
use stall_common::blocked::{ACTIVE, Sleep};

use super::d_state::Found;
use super::maps::Maps;
use super::records::{self, EndedSleep};
use super::stacks::Stacks;
use stall_capture as capture;
use stall_capture::{Blocked, Holder, Process, UnfinishedSleep};

/// A sleep the hooks say began this much before the task last ran was not one sleep: the wake-up
/// between was not seen. Above the iterator's own error of a tick, at most 10 ms.
const TOLERANCE_NS: u64 = 50_000_000;

/// Tasks kept: as many as the programs follow at a time, twice as many as have rows in their sums.
const MOST: usize = 16_384;

/// Tasks by id, as records told of them or the iterator found them.
#[derive(Default)]
pub struct Tasks {
    known: BTreeMap<u32, records::Task>,
    /// Sleeps whose wake-up was not seen.
    pub missed_wakeups: u64,
}

impl Tasks {
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
                    io_wait: None,
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
pub fn ended(maps: &Maps, stacks: &mut Stacks) -> Result<Vec<Blocked>> {
    let mut rows = Vec::new();
    for row in &maps.blocked {
        let (key, sums) = row?;
        rows.push(Blocked {
            task: key.task,
            stack: stacks.index(key.stack),
            killable: key.killable != 0,
            io_wait: None,
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
pub fn long(record: EndedSleep, stacks: &mut Stacks) -> capture::EndedSleep {
    let EndedSleep {
        end_ns,
        start_ns,
        stack,
        task,
        killable,
        waker,
    } = record;
    capture::EndedSleep {
        task,
        stack: stacks.index(stack),
        killable,
        io_wait: None,
        start_ns,
        end_ns,
        waker,
    }
}

/// Number and sum of the short sleeps, by task.
fn short_sleeps(maps: &Maps) -> Result<BTreeMap<u32, (u64, u64)>> {
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
