//! The end of the window: detach, read everything once more, and make the capture.

use std::collections::BTreeMap;
use std::time::Instant;

use stall_common::actor::FIRST;
use stall_common::control::CLOSING;
use stall_common::disk::DiskState;
use stall_common::older::Waiter;

use super::guard::{Guard, Part};
use super::inventory;
use super::session::Session;
use super::sources::{Sources, drain};
use super::waits;
use crate::collect::blocked::Tasks;
use crate::collect::d_state::Found;
use crate::collect::names::Known;
use crate::collect::snapshot::Snapshots;
use crate::collect::uses::Rows;
use crate::collect::{blocked, clock, in_flight, loss, owner, records};
use crate::confine::memory;
use crate::failure::Failure;
use crate::overhead;
use stall_capture::sample::{Key, Sample};
use stall_capture::{
    Actor, Blocked, Capture, Confinement, Discards, Disk, EndedRequest, FORMAT, Holder, Host,
    Overhead, Owner, Process, Stack, UnfinishedRequest, UnfinishedSleep, VERSION,
};
use stall_host::{HostRoot, cgroup_paths, procfs, system};

/// Ends the window now. `interrupted` says that it is before its time.
pub(super) fn finish(
    mut session: Session,
    mut sources: Sources,
    interrupted: bool,
    mut guard: Guard<'_>,
) -> Result<Capture, Failure> {
    let ended = Instant::now();
    session.quiet();
    let found = close(&mut session, &mut sources, interrupted, &mut guard);
    let programs = guard.part(Part::Cost, || overhead::programs(&session.attached.ebpf));
    let programs = programs.unwrap_or_default();
    session.own.recursion_misses = programs
        .iter()
        .map(|program| program.recursion_misses)
        .sum();
    let overhead = Overhead {
        attach_ns: session.attach_ns,
        timed_ns: Some(session.timing.end()),
        map_memory_bytes: overhead::map_memory_bytes(),
        programs,
        ..Overhead::default()
    };
    capture(session, &found, overhead, ended, guard)
        .map_err(|error| Failure::other("the maps cannot be read", &error))
}

/// Detaches everything, and takes in what came until then. Returns the tasks in D when the window ended.
fn close(
    session: &mut Session,
    sources: &mut Sources,
    interrupted: bool,
    guard: &mut Guard<'_>,
) -> Vec<Found> {
    drain(session, sources, guard);
    session.window.end_ns = clock::monotonic_ns();
    session.window.interrupted = interrupted;
    let found = guard.part(Part::Closing, || session.look_at_d_tasks());
    guard.part(Part::Closing, || {
        let threads = session.look_at_writers();
        session.waits.wrote(threads, &session.maps);
    });
    // Without it, requests that begin while the hooks go would count as older ones.
    let _closing = session.maps.switch(CLOSING, true);
    session.attached.detach();
    guard.part(Part::Closing, || {
        session.host_disks.look_again(&session.disks);
        session.host_disks.look_at_states();
    });
    session.inventory.look_again(&session.host_root);
    session.waits.look_again(&session.host_root);
    let end_ns = session.window.end_ns;
    guard.part(Part::Interval, || session.snapshot(end_ns));
    // All of them: with the hooks gone nobody sends any more.
    while drain(session, sources, guard) {}
    found.unwrap_or_default()
}

/// What the maps have of requests and sleeps.
pub(super) struct Ends {
    /// With the task that waits for it, where its submission was not seen.
    pub(super) unfinished_requests: Vec<(UnfinishedRequest, Option<records::Task>)>,
    pub(super) discards: Vec<Discards>,
    pub(super) owners: Vec<Owner>,
    pub(super) blocked: Vec<Blocked>,
    pub(super) unfinished_sleeps: Vec<UnfinishedSleep>,
}

/// `paths` looks up the paths of control groups by their ids.
pub(super) fn ends(
    session: &mut Session,
    found: &[Found],
    paths: impl FnOnce(&HostRoot, &[u64]) -> BTreeMap<u64, String>,
    guard: &mut Guard<'_>,
) -> anyhow::Result<Ends> {
    let (maps, stacks, own) = (&session.maps, &mut session.stacks, &mut session.own);
    let (unfinished_requests, ended_unseen) = guard.rows(Part::Unfinished, || {
        let in_flight = |index| {
            let disk = session.disks.iter().find(|disk| disk.index == index)?;
            session.host_disks.in_flight_at_end(disk)
        };
        in_flight::unfinished(maps, session.window.end_ns, in_flight, stacks)
    })?;
    own.missed_completions = ended_unseen;
    let waiting = |waiter: &Waiter| Tasks::waiting(waiter, found, maps);
    let unfinished_requests = unfinished_requests
        .into_iter()
        .map(|(row, waiter)| (row, waiter.as_ref().and_then(waiting)))
        .collect();
    let discards = guard.rows(Part::Discards, || discards(maps, stacks))?;
    let owners = guard.rows(Part::Owners, || {
        owner::rows(maps, |ids| paths(&session.host_root, ids))
    })?;
    let (blocked, unfinished_sleeps) = guard.rows(Part::Sleeps, || {
        let ended = blocked::ended(maps, stacks, session.tasks.tells_io_wait)?;
        let is_there = exists_in(&session.host_root);
        let unfinished = session.tasks.unfinished(found, maps, stacks, is_there);
        anyhow::Ok((ended, unfinished))
    })?;
    own.missed_wakeups = session.tasks.missed_wakeups;
    let mut ends = Ends {
        unfinished_requests,
        discards,
        owners,
        blocked,
        unfinished_sleeps,
    };
    ends.tell_as(|actor| session.snapshots.rows.actor(actor));
    Ok(ends)
}

impl Ends {
    /// Who has been folded into another is told of by the other's id.
    fn tell_as(&mut self, id: impl Fn(u32) -> u32) {
        let requests = self.unfinished_requests.iter_mut();
        let requests = requests.map(|(row, _)| &mut row.actor);
        let owners = self.owners.iter_mut().map(|row| &mut row.actor);
        let discards = self.discards.iter_mut().map(|row| &mut row.actor);
        for actor in requests.chain(owners).chain(discards) {
            *actor = id(*actor);
        }
    }
}

/// The actors, with those that wait for requests whose submission was not seen and for which they then stand.
pub(super) fn with_waiters(
    unfinished: Vec<(UnfinishedRequest, Option<records::Task>)>,
    names: &Known,
) -> (Vec<Actor>, Vec<UnfinishedRequest>) {
    let mut actors = names.actor_rows();
    let rows = unfinished.into_iter().map(|(row, waiter)| match waiter {
        None => row,
        Some(task) => UnfinishedRequest {
            actor: actor_of(&mut actors, &names.of_task(&task)),
            tid: task.tid,
            ..row
        },
    });
    let rows = rows.collect();
    (actors, rows)
}

/// The actor that is a process; a new one when it had submitted nothing in the window.
fn actor_of(actors: &mut Vec<Actor>, process: &Process) -> u32 {
    let is_it = |actor: &&Actor| {
        let known = actor.process.as_ref();
        known.is_some_and(|known| known.pid == process.pid && known.exited_ns.is_none())
    };
    if let Some(actor) = actors.iter().find(is_it) {
        return actor.id;
    }
    let last = actors.iter().map(|actor| actor.id).max();
    let id = last.map_or(FIRST, |last| last + 1);
    actors.push(Actor {
        id,
        process: Some(process.clone()),
        ..Actor::default()
    });
    id
}

/// All stacks that rows refer to; without names where the kernel gives none.
fn resolved(session: &mut Session, guard: &mut Guard<'_>) -> Vec<Stack> {
    let (maps, root) = (&session.maps, &session.host_root);
    let stacks = std::mem::take(&mut session.stacks);
    let resolved = guard.part(Part::Stacks, || stacks.resolve(maps, root));
    let (stacks, symbols) = resolved.unwrap_or_default();
    session.own.stacks_without_symbols = if symbols { 0 } else { stacks.len() as u64 };
    stacks
}

fn capture(
    mut session: Session,
    found: &[Found],
    overhead: Overhead,
    ended: Instant,
    mut guard: Guard<'_>,
) -> anyhow::Result<Capture> {
    let ends = ends(&mut session, found, cgroup_paths::paths, &mut guard)?;
    let gaps = session.gaps();
    let stacks = resolved(&mut session, &mut guard);
    let (maps, own) = (&session.maps, &mut session.own);
    let names = guard.part(Part::Names, || session.names.finish());
    let names = names.unwrap_or_default();
    own.names_given_up = names.lost;
    let (actors, unfinished_requests) = with_waiters(ends.unfinished_requests, &names);
    let tasks = guard.rows(Part::Sleeps, || {
        session.tasks.rows(maps, |task| names.of_task(task))
    })?;
    let snapshots = session.snapshots;
    let (slow_requests, discard_requests, dropped) = samples(
        session.slow_requests,
        session.discard_requests,
        &snapshots.rows,
    );
    let (long_sleeps, sleeps_dropped) = session.long_sleeps.into_rows();
    own.records_not_kept = dropped + sleeps_dropped;
    let inventory = guard.part(Part::Inventory, || session.inventory.end(&names.gaps));
    let mut inventory = inventory.unwrap_or_default();
    let states = guard.rows(Part::Sums, || states(maps))?;
    let disks = guard.part(Part::Disks, || {
        let wanted = inventory::disks_of(&inventory);
        let gaps = &mut inventory.name_gaps;
        session
            .host_disks
            .rows(&session.disks, &wanted, gaps, |disk| {
                read_clock(disk, &snapshots, &states);
            })
    });
    let host_waits = guard.part(Part::Waits, || {
        let known = waits::Known {
            actors: &actors,
            tasks: &tasks,
            others: &inventory.processes,
        };
        let (root, end_ns) = (&session.host_root, session.window.end_ns);
        let gaps = &mut inventory.name_gaps;
        session.waits.end(root, &known, end_ns, gaps)
    });
    let sums = guard.part(Part::Sums, || {
        (snapshots.use_rows(maps), snapshots.series_rows(&states))
    });
    let (uses, series) = sums.unwrap_or_default();
    let lost = guard.rows(Part::Losses, || loss::kernels(maps))?;
    own.internal_errors = guard.failed;
    Ok(Capture {
        format: FORMAT.to_owned(),
        version: VERSION,
        agent_version: env!("STALL_AGENT_VERSION").to_owned(),
        host: host(session.host, &session.host_root),
        settings: session.settings,
        window: session.window,
        hooks: std::mem::take(&mut session.attached.hooks),
        gaps,
        disks: disks.unwrap_or_default(),
        actors,
        uses,
        owners: ends.owners,
        series,
        discards: ends.discards,
        slow_requests,
        discard_requests,
        unfinished_requests,
        tasks,
        blocked: ends.blocked,
        long_sleeps,
        unfinished_sleeps: ends.unfinished_sleeps,
        stacks,
        loss: loss::rows(&lost, own),
        intervals: snapshots.intervals.into_rows(),
        inventory,
        host_waits: host_waits.unwrap_or_default(),
        overhead: complete(overhead, ended),
        confinement: session.confinement.map(measured),
    })
}

/// As it was at the start, with the load of now.
fn host(host: Host, root: &HostRoot) -> Host {
    Host {
        load: system::load(root),
        ..host
    }
}

fn measured(confinement: Confinement) -> Confinement {
    Confinement {
        memory_locked_bytes: memory::locked_bytes(),
        ..confinement
    }
}

/// Slow requests and discards that were recorded, what each stands for, and how many are not kept.
pub(super) fn samples(
    slow: Sample,
    discards: Sample,
    rows: &Rows,
) -> (Vec<EndedRequest>, Vec<EndedRequest>, u64) {
    let all = rows.all();
    let all = all.iter().map(|(key, sums)| {
        let op = in_flight::op(key.op as u8);
        ((key.disk, key.actor, op), (sums.slow_ops, sums.ops))
    });
    let all: BTreeMap<_, _> = all.collect();
    let of = |key: &Key| all.get(key).copied().unwrap_or_default();
    let (slow, slow_dropped) = slow.into_rows(|key| of(key).0);
    let (discards, discards_dropped) = discards.into_rows(|key| of(key).1);
    (slow, discards, slow_dropped + discards_dropped)
}

/// Whether there is such a thread. Of a worker, `/proc` has more behind the name.
fn exists_in(root: &HostRoot) -> impl Fn(&Holder) -> bool {
    |holder| {
        let comm = procfs::thread_comm(root, holder.pid, holder.tid);
        comm.is_some_and(|comm| !holder.comm.is_empty() && comm.starts_with(&holder.comm))
    }
}

/// Last of all, so that nothing is left out.
fn complete(overhead: Overhead, ended: Instant) -> Overhead {
    let process = overhead::of_process();
    Overhead {
        finish_ns: ended.elapsed().as_nanos() as u64,
        cpu_user_ns: process.cpu_user_ns,
        cpu_system_ns: process.cpu_system_ns,
        peak_rss_bytes: process.peak_rss_bytes,
        ..overhead
    }
}

/// The discard clock of a disk.
pub(super) fn read_clock(disk: &mut Disk, snapshots: &Snapshots, states: &[DiskState]) {
    let Some(index) = disk.index else { return };
    let state = states.get(usize::from(index));
    disk.discard_busy_ns = snapshots.discard_busy_ns(index);
    disk.discards_in_flight_at_end = state.map_or(0, |state| state.discards_in_flight as u32);
}

/// Of every index, given or not: a disk's record may have been lost.
pub(super) fn states(maps: &crate::collect::maps::Maps) -> anyhow::Result<Vec<DiskState>> {
    let indices = 0..maps.disk_states.len();
    let states = indices.map(|index| maps.disk_states.get(&index, 0));
    Ok(states.collect::<Result<_, _>>()?)
}

fn discards(
    maps: &crate::collect::maps::Maps,
    stacks: &mut crate::collect::stacks::Stacks,
) -> anyhow::Result<Vec<Discards>> {
    let mut rows = Vec::new();
    for row in &maps.discards {
        let (key, sums) = row?;
        rows.push(Discards {
            actor: key.actor,
            disk: key.disk,
            op: in_flight::op(key.op as u8),
            stack: stacks.index(key.stack),
            ops: sums.ops,
            bytes: sums.bytes,
            queue_ns: sums.queue_ns,
            device_ns: sums.device_ns,
            slowest_ns: sums.slowest_ns,
            first_queued_ns: sums.first_queued_ns,
            last_completed_ns: sums.last_completed_ns,
        });
    }
    rows.sort_by_key(|row| (row.disk, row.first_queued_ns));
    Ok(rows)
}
