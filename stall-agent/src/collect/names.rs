//! Who the actors and tasks are: what the programs said of them, and what `/proc` adds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stall_common::actor::{FIRST, FLUSH_MACHINERY, UNKNOWN};

use super::records;
use crate::capture::{Actor, NameGap, Process};
use crate::host::procfs::Missing;
use crate::host::{HostRoot, Reader, reader::Answer};

/// `/proc` is waited for at the end no longer than this.
const PATIENCE: Duration = Duration::from_millis(300);
/// Asked for on behalf of a task; actors' ids stay below.
const TASK: u32 = 1 << 31;

/// Names as they come in.
pub struct Names {
    reader: Reader,
    actors: BTreeMap<u32, Process>,
    /// Processes of tasks, by the task's id.
    tasks: BTreeMap<u32, Process>,
    gaps: BTreeMap<Missing, u64>,
}

/// All names, and how many could not be had.
#[derive(Default)]
pub struct Known {
    actors: BTreeMap<u32, Process>,
    tasks: BTreeMap<u32, Process>,
    /// Look-ups given up or refused.
    pub lost: u64,
    /// Look-ups that found nothing, by reason.
    pub gaps: Vec<NameGap>,
}

impl Names {
    /// Starts the thread that reads `/proc`.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(root: HostRoot) -> std::io::Result<Self> {
        Ok(Self {
            reader: Reader::start(root)?,
            actors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            gaps: BTreeMap::new(),
        })
    }

    /// A process that submitted its first request.
    pub fn actor(&mut self, record: &records::Process) {
        let records::Process {
            actor,
            tgid,
            start_boottime_ns,
            kernel_thread,
            comm,
            args,
            args_truncated,
        } = record.clone();
        self.reader.request(actor, tgid, Some(start_boottime_ns));
        let process = Process {
            pid: tgid,
            comm,
            kernel_thread,
            start_boottime_ns,
            args,
            args_truncated,
            ..Process::default()
        };
        self.actors.insert(actor, process);
    }

    /// A task in D that is new.
    pub fn task(&mut self, task: &records::Task) {
        let leader = task.tid == task.tgid;
        let start = leader.then_some(task.start_boottime_ns);
        self.reader.request(TASK | task.task, task.tgid, start);
        let process = Process {
            pid: task.tgid,
            comm: task.comm.clone(),
            kernel_thread: task.kernel_thread,
            start_boottime_ns: start.unwrap_or(0),
            ..Process::default()
        };
        self.tasks.insert(task.task, process);
    }

    /// An actor's group leader exited.
    pub fn exit(&mut self, actor: u32, time_ns: u64) {
        if let Some(process) = self.actors.get_mut(&actor) {
            process.exited_ns = Some(time_ns);
        }
    }

    /// Takes in what `/proc` has said so far.
    pub fn poll(&mut self) {
        for answer in self.reader.answers() {
            if let Err(missing) = take_in(&mut self.actors, &mut self.tasks, answer) {
                *self.gaps.entry(missing).or_default() += 1;
            }
        }
    }

    /// What is known by now; what has been asked for is still awaited.
    #[must_use]
    pub fn so_far(&self) -> Known {
        Known {
            actors: self.actors.clone(),
            tasks: self.tasks.clone(),
            lost: 0,
            gaps: rows(&self.gaps, 0, 0),
        }
    }

    /// Waits a little for what has been asked.
    #[must_use]
    pub fn finish(self) -> Known {
        let Self {
            reader,
            mut actors,
            mut tasks,
            mut gaps,
        } = self;
        let finished = reader.finish(Instant::now() + PATIENCE);
        for answer in finished.answers {
            if let Err(missing) = take_in(&mut actors, &mut tasks, answer) {
                *gaps.entry(missing).or_default() += 1;
            }
        }
        Known {
            actors,
            tasks,
            lost: finished.given_up + finished.refused,
            gaps: rows(&gaps, finished.given_up, finished.refused),
        }
    }
}

impl Known {
    /// The rows of the capture; the two that are no process first.
    #[must_use]
    pub fn actor_rows(&self) -> Vec<Actor> {
        let nobody = [UNKNOWN, FLUSH_MACHINERY].map(|id| Actor { id, process: None });
        let rows = self.actors.iter().map(|(id, process)| Actor {
            id: *id,
            process: Some(process.clone()),
        });
        nobody.into_iter().chain(rows).collect()
    }

    /// The process of a task: what was asked for it, or an actor that is the same process.
    #[must_use]
    pub fn of_task(&self, task: &records::Task) -> Process {
        let own = self.tasks.get(&task.task);
        let described = own.filter(|process| !process.cgroup.is_empty());
        let actor = || self.actors.values().find(|actor| actor.pid == task.tgid);
        described
            .or_else(actor)
            .or(own)
            .cloned()
            .unwrap_or_default()
    }
}

fn take_in(
    actors: &mut BTreeMap<u32, Process>,
    tasks: &mut BTreeMap<u32, Process>,
    answer: Answer,
) -> Result<(), Missing> {
    let Answer { query, process } = answer;
    // Ended or out of reach: what the programs said of it stays.
    let found = process?;
    let known = if query.id & TASK == 0 {
        debug_assert!(query.id >= FIRST);
        actors.get_mut(&query.id)
    } else {
        tasks.get_mut(&(query.id & !TASK))
    };
    if let Some(known) = known {
        *known = merge(known, found);
    }
    Ok(())
}

fn rows(gaps: &BTreeMap<Missing, u64>, given_up: u64, refused: u64) -> Vec<NameGap> {
    let found = gaps.iter().map(|(why, count)| (why.to_string(), *count));
    let own = [
        ("/proc had not answered at the end".to_owned(), given_up),
        ("too many were asked for at once".to_owned(), refused),
    ];
    let all = found.chain(own).filter(|(_, count)| *count > 0);
    all.map(|(reason, count)| NameGap {
        what: "process".to_owned(),
        reason,
        count,
    })
    .collect()
}

/// `/proc` knows more; but an exiting process has no command line any more, and its end is ours
/// to know.
fn merge(known: &Process, found: Process) -> Process {
    let keep_args = found.args.is_empty();
    Process {
        args: if keep_args {
            known.args.clone()
        } else {
            found.args
        },
        args_truncated: if keep_args {
            known.args_truncated
        } else {
            found.args_truncated
        },
        exited_ns: known.exited_ns,
        ..found
    }
}
