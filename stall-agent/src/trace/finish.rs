//! The end of the window: detach, read everything once more, and make the capture.

use std::time::Instant;

use stall_common::control::CLOSING;
use stall_common::disk::DiskState;

use super::inventory;
use super::other;
use super::session::{Kept, Session};
use super::start::{Sources, host};
use crate::capture::{Capture, Discards, Disk, FORMAT, Holder, Overhead, VERSION};
use crate::collect::d_state::Found;
use crate::collect::loss::Own;
use crate::collect::snapshot::Snapshots;
use crate::collect::{blocked, clock, in_flight, loss, owner};
use crate::failure::Failure;
use crate::host::{HostRoot, cgroup_paths, procfs};
use crate::overhead;

/// Ends the window now. `interrupted` says that it is before its time.
pub(super) fn finish(
    mut session: Session,
    mut sources: Sources,
    interrupted: bool,
) -> Result<Capture, Failure> {
    let ended = Instant::now();
    session.quiet();
    session.drain(sources.records.get_mut());
    let found = close(&mut session, interrupted);
    session.drain(sources.records.get_mut());
    let programs = overhead::programs(&session.attached.ebpf);
    session.own.recursion_misses = programs
        .iter()
        .map(|program| program.recursion_misses)
        .sum();
    drop(session.timed.take());
    let overhead = Overhead {
        attach_ns: session.attach_ns,
        map_memory_bytes: overhead::map_memory_bytes(),
        programs,
        ..Overhead::default()
    };
    capture(session, &found, overhead, ended)
        .map_err(|error| other("the maps cannot be read", &error))
}

/// Detaches everything. Returns the tasks in D when the window ended.
fn close(session: &mut Session, interrupted: bool) -> Vec<Found> {
    session.window.end_ns = clock::monotonic_ns();
    session.window.interrupted = interrupted;
    let found = session.look_at_d_tasks();
    // Without it, requests that begin while the hooks go would count as older ones.
    let _closing = session.maps.switch(CLOSING, true);
    session.attached.detach();
    session.inventory.look_again(&session.host_root);
    session.host_disks.look_again(&session.disks);
    session.snapshot(session.window.end_ns);
    found
}

fn capture(
    mut session: Session,
    found: &[Found],
    overhead: Overhead,
    ended: Instant,
) -> anyhow::Result<Capture> {
    let (maps, stacks, own) = (&session.maps, &mut session.stacks, &mut session.own);
    let (unfinished_requests, ended_unseen) = in_flight::unfinished(
        maps,
        session.window.end_ns,
        |index| {
            let disk = session.disks.iter().find(|disk| disk.index == index)?;
            session.host_disks.in_flight_at_end(disk)
        },
        stacks,
    )?;
    own.missed_completions = ended_unseen;
    let discards = discards(maps, stacks)?;
    let owners = owner::rows(maps, |ids| cgroup_paths::paths(&session.host_root, ids))?;
    let blocked = blocked::ended(maps, stacks)?;
    let is_there = exists_in(&session.host_root);
    let unfinished_sleeps = session.tasks.unfinished(found, maps, stacks, is_there);
    own.missed_wakeups = session.tasks.missed_wakeups;
    let names = session.names.finish();
    own.names_given_up = names.lost;
    let tasks = session.tasks.rows(maps, |task| names.of_task(task))?;
    let states = states(maps)?;
    let (stacks, symbols) = std::mem::take(stacks).resolve(maps, &session.host_root);
    own.stacks_without_symbols = if symbols { 0 } else { stacks.len() as u64 };
    let slow_requests = kept(own, session.slow_requests, |row| row.completed_ns);
    let discard_requests = kept(own, session.discard_requests, |row| row.completed_ns);
    let long_sleeps = kept(own, session.long_sleeps, |row| row.end_ns);
    let snapshots = session.snapshots;
    let inventory = session.inventory.end(&names.gaps);
    let wanted = inventory::disks_of(&inventory);
    let disks = session.host_disks.rows(&session.disks, &wanted, |disk| {
        read_clock(disk, &snapshots, &states);
    });
    Ok(Capture {
        format: FORMAT.to_owned(),
        version: VERSION,
        agent_version: env!("STALL_AGENT_VERSION").to_owned(),
        host: host(&session.host_root),
        settings: session.settings,
        window: session.window,
        hooks: std::mem::take(&mut session.attached.hooks),
        disks,
        actors: names.actor_rows(),
        uses: snapshots.use_rows(),
        owners,
        series: snapshots.series_rows(&states),
        discards,
        slow_requests,
        discard_requests,
        unfinished_requests,
        tasks,
        blocked,
        long_sleeps,
        unfinished_sleeps,
        stacks,
        loss: loss::rows(maps, own)?,
        intervals: snapshots.intervals,
        inventory,
        overhead: complete(overhead, ended),
    })
}

/// The recorded ones in order of their end.
fn kept<T>(own: &mut Own, rows: Kept<T>, end_ns: fn(&T) -> u64) -> Vec<T> {
    let (rows, dropped) = rows.into_rows(end_ns);
    own.records_not_kept += dropped;
    rows
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
fn read_clock(disk: &mut Disk, snapshots: &Snapshots, states: &[DiskState]) {
    let Some(index) = disk.index else { return };
    let state = states.get(usize::from(index));
    disk.discard_busy_ns = snapshots.discard_busy_ns(index);
    disk.discards_in_flight_at_end = state.map_or(0, |state| state.discards_in_flight as u32);
}

/// Of every index, given or not: a disk's record may have been lost.
fn states(maps: &crate::collect::maps::Maps) -> anyhow::Result<Vec<DiskState>> {
    let indices = 0..stall_common::disk::MAX_DISKS as u32;
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
