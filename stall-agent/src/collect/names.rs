//! Who the actors and tasks are: what the programs said of them, and what `/proc` adds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stall_common::actor::{FIRST, FLUSH_MACHINERY, UNKNOWN};

use super::packed::{Groups, Packed};
use super::records;
use stall_capture::{Actor, NameGap, Process};
use stall_host::procfs::Missing;
use stall_host::{HostRoot, Reader, reader::Answer};

/// `/proc` is waited for at the end no longer than this.
const PATIENCE: Duration = Duration::from_millis(300);
/// Asked for on behalf of a task; actors' ids stay below.
const TASK: u32 = 1 << 31;
/// An actor that is asked for a second time.
const AGAIN: u32 = 1 << 30;
/// Those asked for again, the newest first.
const MOST_AGAIN: usize = 1024;
/// Actors kept, and tasks. Who starts processes faster than that gets no more of the agent's memory.
const MOST: usize = 16_384;
/// `/proc` tells starts in ticks of 10 ms.
const SAME_START_NS: u64 = 20_000_000;

/// Names as they come in.
pub struct Names {
    reader: Reader,
    found: Found,
}

/// What is known so far.
#[derive(Default)]
struct Found {
    actors: BTreeMap<u32, Packed>,
    /// Of actors, the control group that the programs told.
    cgroup_ids: BTreeMap<u32, u64>,
    /// The actor that stands for all ended ones of a program and control group, and for how many others.
    alike: HashMap<Alike, u32>,
    others: BTreeMap<u32, u64>,
    tasks: Tasks,
    groups: Groups,
    gaps: BTreeMap<Missing, u64>,
    /// Actors and tasks beyond [`MOST`].
    not_kept: u64,
}

/// What processes have in common that are told of as one: name and control group, by its id where that tells groups apart.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    comm: String,
    kernel_thread: bool,
    cgroup_id: u64,
    cgroup: Vec<String>,
}

/// Processes of tasks.
#[derive(Default)]
struct Tasks {
    /// By the task's id.
    of: BTreeMap<u32, Arc<Packed>>,
    /// The newest by pid: a process of ten thousand threads is kept once.
    newest: BTreeMap<u32, Arc<Packed>>,
}

/// All names, and how many could not be had.
#[derive(Default)]
pub struct Known {
    actors: BTreeMap<u32, Arc<Process>>,
    /// How many others an actor stands for.
    others: BTreeMap<u32, u64>,
    /// The newest by pid.
    actors_by_pid: BTreeMap<u32, Arc<Process>>,
    /// By the task's id.
    tasks: BTreeMap<u32, Arc<Process>>,
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
            found: Found::default(),
        })
    }

    /// A process that submitted its first request.
    pub fn actor(&mut self, record: &records::Process) {
        if self.found.actors.len() >= MOST {
            self.found.not_kept += 1;
            return;
        }
        let records::Process {
            actor,
            tgid,
            start_boottime_ns,
            cgroup,
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
        let process = self.found.groups.pack(process);
        self.found.actors.insert(actor, process);
        self.found.cgroup_ids.insert(actor, cgroup);
    }

    /// Ended actors that from now on are told of as one for each program and control group: by whose id each is. The first of a kind
    /// stands for it, with what is known of the last.
    pub fn fold(&mut self, actors: &[u32]) -> BTreeMap<u32, u32> {
        let Found {
            actors: known,
            cgroup_ids,
            alike,
            others,
            ..
        } = &mut self.found;
        let mut to = BTreeMap::new();
        for id in actors {
            let Some(packed) = known.get(id) else {
                continue;
            };
            let process = packed.unpack();
            let cgroup_id = cgroup_ids.get(id).copied().unwrap_or(0);
            let kind = Alike::of(&process, cgroup_id);
            let stands = *alike.entry(kind).or_insert(*id);
            if stands == *id {
                continue;
            }
            let last = known.remove(id).filter(|_| !process.cgroup.is_empty());
            if let Some(last) = last {
                known.insert(stands, last);
            }
            cgroup_ids.remove(id);
            *others.entry(stands).or_default() += 1 + others.remove(id).unwrap_or(0);
            to.insert(*id, stands);
        }
        to
    }

    /// A task in D that is new.
    pub fn task(&mut self, task: &records::Task) {
        if self.found.tasks.of.len() >= MOST {
            self.found.not_kept += 1;
            return;
        }
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
        let process = self.found.groups.pack(process);
        self.found.tasks.keep(task.task, task.tgid, process);
    }

    /// An actor's group leader exited. Its name then is its last: the first may be of the shell that read it from the
    /// disk.
    pub fn exit(&mut self, exit: &records::Exit) {
        self.found.change(exit.actor, |mut process| {
            process.exited_ns = Some(exit.time_ns);
            if !process.kernel_thread {
                rename(&mut process, &exit.comm);
            }
            process
        });
    }

    /// Takes in what `/proc` has said so far.
    pub fn poll(&mut self) {
        for answer in self.reader.answers() {
            self.found.take_in(answer);
        }
    }

    /// What is known by now; what has been asked for is still awaited.
    #[must_use]
    pub fn so_far(&self) -> Known {
        Known::of(&self.found, 0, self.found.rows(0, 0))
    }

    /// Waits a little for what has been asked. Actors that live on are asked for again: they may have become another
    /// program since.
    #[must_use]
    pub fn finish(mut self) -> Known {
        self.poll();
        let Self { reader, mut found } = self;
        let again = found.living().into_iter();
        let asked = again.map(|(id, pid, start)| reader.request(AGAIN | id, pid, Some(start)));
        let (asked, refused): (Vec<_>, Vec<_>) = asked.partition(|taken| *taken);
        let finished = reader.finish(Instant::now() + PATIENCE);
        let mut answered = 0;
        for answer in finished.answers {
            answered += usize::from(is_again(&answer));
            found.take_in(answer);
        }
        // What was asked a second time and is not answered leaves the first answer.
        let given_up = finished.given_up - (asked.len() - answered) as u64;
        let refused = finished.refused - refused.len() as u64;
        let gaps = found.rows(given_up, refused);
        Known::of(&found, given_up + refused + found.not_kept, gaps)
    }
}

/// The root of the unified hierarchy, where nothing lies on hosts that do not use it.
const ROOT_CGROUP: u64 = 1;

impl Alike {
    fn of(process: &Process, cgroup_id: u64) -> Self {
        let tells = cgroup_id > ROOT_CGROUP;
        // `kworker/3:1-events`: which of them did it is chance.
        let comm = match process.comm.split_once('/') {
            Some((kind, _)) if process.kernel_thread => kind,
            _ => &process.comm,
        };
        Self {
            comm: comm.to_owned(),
            kernel_thread: process.kernel_thread,
            cgroup_id: if tells { cgroup_id } else { 0 },
            cgroup: if tells {
                Vec::new()
            } else {
                process.cgroup.clone()
            },
        }
    }
}

impl Found {
    /// Actors that are programs and have not ended, as far as is known: id, pid and start.
    fn living(&self) -> Vec<(u32, u32, u64)> {
        let newest = self.actors.iter().rev();
        let newest = newest.map(|(id, process)| (*id, process.unpack()));
        newest
            .filter(|(_, process)| process.exited_ns.is_none() && !process.kernel_thread)
            .take(MOST_AGAIN)
            .map(|(id, process)| (id, process.pid, process.start_boottime_ns))
            .collect()
    }

    fn change(&mut self, actor: u32, change: impl FnOnce(Process) -> Process) {
        if let Some(known) = self.actors.get_mut(&actor) {
            *known = self.groups.pack(change(known.unpack()));
        }
    }

    fn take_in(&mut self, answer: Answer) {
        let again = is_again(&answer);
        let Answer { query, process } = answer;
        match process {
            Ok(found) if query.id & TASK == 0 => self.actor_is(query.id & !AGAIN, found),
            Ok(found) => self.task_is(query.id & !TASK, found),
            // Ended or out of reach: what the programs said of it stays, or the first answer.
            Err(missing) if !again => *self.gaps.entry(missing).or_default() += 1,
            Err(_) => {}
        }
    }

    fn actor_is(&mut self, id: u32, found: Process) {
        debug_assert!(id >= FIRST);
        self.change(id, |known| merge(&known, found));
    }

    /// Names that could not be had, by reason.
    fn rows(&self, given_up: u64, refused: u64) -> Vec<NameGap> {
        let found = self.gaps.iter();
        let found = found.map(|(why, count)| (why.to_string(), *count));
        let own = [
            ("/proc had not answered at the end".to_owned(), given_up),
            ("too many were asked for at once".to_owned(), refused),
            (format!("more than {MOST}, which are kept"), self.not_kept),
        ];
        let all = found.chain(own).filter(|(_, count)| *count > 0);
        all.map(|(reason, count)| NameGap {
            what: "process".to_owned(),
            reason,
            count,
        })
        .collect()
    }

    fn task_is(&mut self, task: u32, found: Process) {
        if let Some(known) = self.tasks.of.get(&task) {
            let process = merge(&known.unpack(), found);
            let pid = process.pid;
            self.tasks.keep(task, pid, self.groups.pack(process));
        }
    }
}

impl Known {
    fn of(found: &Found, lost: u64, gaps: Vec<NameGap>) -> Self {
        let actors = found.actors.iter();
        let actors = actors.map(|(id, process)| (*id, Arc::new(process.unpack())));
        let actors: BTreeMap<_, _> = actors.collect();
        let by_pid = actors
            .values()
            .map(|process| (process.pid, Arc::clone(process)));
        Self {
            actors_by_pid: by_pid.collect(),
            others: found.others.clone(),
            actors,
            tasks: found.tasks.unpacked(),
            lost,
            gaps,
        }
    }

    /// The rows of the capture; the two that are no process first.
    #[must_use]
    pub fn actor_rows(&self) -> Vec<Actor> {
        let nobody = [UNKNOWN, FLUSH_MACHINERY].map(|id| Actor {
            id,
            ..Actor::default()
        });
        let rows = self.actors.iter().map(|(id, process)| Actor {
            id: *id,
            process: Some(Process::clone(process)),
            ended_alike: self.others.get(id).copied().unwrap_or(0),
        });
        nobody.into_iter().chain(rows).collect()
    }

    /// The process of a task: what was asked for it, or an actor that is the same process and of which more is known, or
    /// something newer.
    #[must_use]
    pub fn of_task(&self, task: &records::Task) -> Arc<Process> {
        let own = self.tasks.get(&task.task);
        let described = own.filter(|own| !own.cgroup.is_empty());
        let actor = self.actors_by_pid.get(&task.tgid);
        let better = actor.filter(|actor| described.is_none_or(|own| is_newer(actor, own)));
        better.or(own).cloned().unwrap_or_default()
    }
}

/// The same process, by another name.
fn is_newer(actor: &Process, own: &Process) -> bool {
    let apart = actor.start_boottime_ns.abs_diff(own.start_boottime_ns);
    apart <= SAME_START_NS && actor.comm != own.comm
}

impl Tasks {
    /// Shares the allocation with an identical process of another task.
    fn keep(&mut self, task: u32, pid: u32, process: Packed) {
        let newest = self.newest.get(&pid);
        let same = newest.filter(|newest| ***newest == process).cloned();
        let process = same.unwrap_or_else(|| Arc::new(process));
        self.newest.insert(pid, Arc::clone(&process));
        self.of.insert(task, process);
    }

    /// Those in one piece still are.
    fn unpacked(&self) -> BTreeMap<u32, Arc<Process>> {
        let mut once = HashMap::new();
        let tasks = self.of.iter().map(|(task, packed)| {
            let process = once.entry(Arc::as_ptr(packed));
            let process = process.or_insert_with(|| Arc::new(packed.unpack()));
            (*task, Arc::clone(process))
        });
        tasks.collect()
    }
}

fn is_again(answer: &Answer) -> bool {
    answer.query.id & (TASK | AGAIN) == AGAIN
}

/// `/proc` knows more; but an exiting process has no command line any more, and its end and its name then are ours
/// to know.
fn merge(known: &Process, mut found: Process) -> Process {
    found.exited_ns = known.exited_ns;
    if found.args.is_empty() {
        found.args.clone_from(&known.args);
        found.args_truncated = known.args_truncated;
    }
    if known.exited_ns.is_some() && !known.kernel_thread {
        rename(&mut found, &known.comm);
    }
    found
}

/// A process of another name runs another program than before, whose file is not known.
fn rename(process: &mut Process, comm: &str) {
    if process.comm != comm {
        comm.clone_into(&mut process.comm);
        process.exe = None;
    }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
