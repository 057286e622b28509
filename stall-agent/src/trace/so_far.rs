//! What has been collected until now, as a capture of its own, while the window is open.
//!
//! Contract: nothing is taken out of the session, so that the capture the run ends with is what it would have been. The
//! kernel's sums go on while they are read: a row may be newer than the one before it. What takes long and needs no map,
//! the names of stacks and of control groups, is left to whoever looks at it.

use std::collections::{BTreeMap, HashMap};

use super::finish::{self, Ends};
use super::guard::{Guard, Part};
use super::inventory;
use super::session::Session;
use crate::collect::d_state::Found;
use crate::collect::loss;
use crate::collect::names::Known;
use crate::live::Look;
use stall_capture::{Capture, FORMAT, HostWaits, Overhead, VERSION, Window};

/// Addresses of the stacks that were read before, by their ids in the map.
pub(super) type Frames = HashMap<u64, Vec<u64>>;

/// The capture up to the last snapshot; `found` are the tasks that were in D then.
///
/// # Errors
///
/// When the kernel refuses to read a map.
pub(super) fn so_far(
    session: &mut Session,
    found: &[Found],
    frames: &mut Frames,
) -> anyhow::Result<Look> {
    let last = session.snapshots.intervals.last();
    session.window.end_ns = last.map_or(session.window.start_ns, |last| last.end_ns);
    session.host_disks.look_again(&session.disks);
    // What the last look at these counts and adds is of this look, and not of the end.
    let before = (
        session.stacks.clone(),
        session.own,
        session.tasks.missed_wakeups,
    );
    let mut nobody = |_: Part| {};
    let mut guard = Guard::new(&mut nobody);
    let ends = finish::ends(session, found, |_, _| BTreeMap::new(), &mut guard);
    let stacks = std::mem::replace(&mut session.stacks, before.0);
    let own = std::mem::replace(&mut session.own, before.1);
    session.tasks.missed_wakeups = before.2;
    let maps = &session.maps;
    Ok(Look {
        stacks: stacks.addresses(maps, frames),
        capture: capture(session, ends?, &loss::rows(&loss::kernels(maps)?, &own))?,
    })
}

fn capture(session: &Session, ends: Ends, loss: &[stall_capture::Loss]) -> anyhow::Result<Capture> {
    let maps = &session.maps;
    let (slow_requests, discard_requests, _) = finish::samples(
        session.slow_requests.clone(),
        session.discard_requests.clone(),
        &session.snapshots.rows,
    );
    let states = finish::states(maps)?;
    let names = session.names.so_far();
    let mut frame = with(session, &names)?;
    for disk in &mut frame.disks {
        finish::read_clock(disk, &session.snapshots, &states);
    }
    let (actors, unfinished_requests) = finish::with_waiters(ends.unfinished_requests, &names);
    Ok(Capture {
        actors,
        uses: session.snapshots.use_rows(maps),
        owners: ends.owners,
        series: session.snapshots.series_rows(&states),
        discards: ends.discards,
        slow_requests,
        discard_requests,
        unfinished_requests,
        blocked: ends.blocked,
        long_sleeps: session.long_sleeps.clone().into_rows().0,
        unfinished_sleeps: ends.unfinished_sleeps,
        loss: loss.to_vec(),
        intervals: session.snapshots.intervals.so_far(),
        ..frame
    })
}

/// Who and what there is, without anything that was done.
///
/// # Errors
///
/// When the kernel refuses to read a map.
pub(super) fn frame(session: &Session) -> anyhow::Result<Capture> {
    with(session, &session.names.so_far())
}

fn with(session: &Session, names: &Known) -> anyhow::Result<Capture> {
    let inventory = session.inventory.so_far(&names.gaps);
    let wanted = inventory::disks_of(&inventory);
    let disks = session.host_disks.rows_so_far(&session.disks, &wanted);
    Ok(Capture {
        format: FORMAT.to_owned(),
        version: VERSION,
        agent_version: env!("STALL_AGENT_VERSION").to_owned(),
        host: session.host.clone(),
        settings: session.settings.clone(),
        window: Window {
            interrupted: false,
            ..session.window.clone()
        },
        hooks: session.attached.hooks.clone(),
        gaps: session.gaps(),
        disks,
        actors: names.actor_rows(),
        uses: Vec::new(),
        owners: Vec::new(),
        series: Vec::new(),
        discards: Vec::new(),
        slow_requests: Vec::new(),
        discard_requests: Vec::new(),
        unfinished_requests: Vec::new(),
        tasks: session
            .tasks
            .rows(&session.maps, |task| names.of_task(task))?,
        blocked: Vec::new(),
        long_sleeps: Vec::new(),
        unfinished_sleeps: Vec::new(),
        stacks: Vec::new(),
        loss: Vec::new(),
        intervals: Vec::new(),
        inventory,
        host_waits: HostWaits::default(),
        overhead: Overhead::default(),
        confinement: session.confinement.clone(),
    })
}
