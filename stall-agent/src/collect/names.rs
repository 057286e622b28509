//! Who the actors and tasks are: what the programs said of them, and what `/proc` adds.

use std::collections::BTreeMap;
use std::sync::Arc;
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
    tasks: Tasks,
    gaps: BTreeMap<Missing, u64>,
}

/// Processes of tasks.
#[derive(Clone, Default)]
struct Tasks {
    /// By the task's id.
    of: BTreeMap<u32, Arc<Process>>,
    /// The newest by pid: a process of ten thousand threads is kept once.
    newest: BTreeMap<u32, Arc<Process>>,
}

/// All names, and how many could not be had.
#[derive(Default)]
pub struct Known {
    actors: BTreeMap<u32, Process>,
    tasks: Tasks,
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
            tasks: Tasks::default(),
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
        self.tasks.keep(task.task, process);
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
    pub fn of_task(&self, task: &records::Task) -> Arc<Process> {
        let own = self.tasks.of.get(&task.task);
        if let Some(described) = own.filter(|own| !own.cgroup.is_empty()) {
            return Arc::clone(described);
        }
        let actor = self.actors.values().find(|one| one.pid == task.tgid);
        let actor = actor.cloned().map(Arc::new);
        actor.or_else(|| own.cloned()).unwrap_or_default()
    }
}

impl Tasks {
    /// In one piece with the process of another task, where it is the same to the last word.
    fn keep(&mut self, task: u32, process: Process) {
        let newest = self.newest.get(&process.pid);
        let same = newest.filter(|newest| ***newest == process).cloned();
        let process = same.unwrap_or_else(|| Arc::new(process));
        self.newest.insert(process.pid, Arc::clone(&process));
        self.of.insert(task, process);
    }
}

fn take_in(
    actors: &mut BTreeMap<u32, Process>,
    tasks: &mut Tasks,
    answer: Answer,
) -> Result<(), Missing> {
    let Answer { query, process } = answer;
    // Ended or out of reach: what the programs said of it stays.
    let found = process?;
    if query.id & TASK == 0 {
        debug_assert!(query.id >= FIRST);
        if let Some(known) = actors.get_mut(&query.id) {
            *known = merge(known, found);
        }
    } else {
        let task = query.id & !TASK;
        if let Some(known) = tasks.of.get(&task).cloned() {
            tasks.keep(task, merge(&known, found));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, comm: &str) -> Process {
        Process {
            pid,
            comm: comm.to_owned(),
            ..Process::default()
        }
    }

    #[test]
    fn tasks_of_one_process_share_it_and_another_of_the_same_pid_does_not() {
        let mut tasks = Tasks::default();
        tasks.keep(1, process(7, "qemu"));
        tasks.keep(2, process(7, "qemu"));
        tasks.keep(3, process(7, "other"));
        assert!(Arc::ptr_eq(&tasks.of[&1], &tasks.of[&2]));
        assert_eq!(tasks.of[&3].comm, "other");
        assert_eq!(tasks.of[&1].comm, "qemu");
    }
}
