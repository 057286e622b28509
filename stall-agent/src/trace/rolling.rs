//! A run without an end, in slices: what the sums grew by from one look to the next, and what ended one by one meanwhile.
//!
//! Contract: what is recorded one by one, and the intervals, are taken out of the session, so that nothing in it grows with the
//! time. A look reads all maps; the snapshot of each second, which reads what grew, tells whether one is worth it.

use std::collections::{BTreeMap, BTreeSet};

use super::finish;
use super::guard::{Guard, Part};
use super::session::Session;
use super::so_far::{Frames, frame};
use crate::collect::d_state::Found;
use crate::collect::{blocked, clock, loss};
use crate::record::cut::Frame;
use crate::record::slice::{Counted, Records, Slice, Sums};
use crate::record::{Short, watch};
use stall_capture::{EndedRequest, Op};

/// A task that has been in D for so long may be waited for.
const LONG_IN_D_NS: u64 = 500_000_000;

/// What is kept from look to look.
pub(super) struct Rolling {
    frames: Frames,
    before: Sums,
    last_ns: u64,
    /// Actors told of by another's id since the last look.
    folded: BTreeMap<u32, u32>,
}

impl Rolling {
    /// The window begins at `start_ns`.
    pub(super) fn new(start_ns: u64) -> Self {
        Self {
            frames: Frames::new(),
            before: Sums::default(),
            last_ns: start_ns,
            folded: BTreeMap::new(),
        }
    }

    /// Actors are told of by another's id from now on.
    pub(super) fn fold(&mut self, to: BTreeMap<u32, u32>) {
        for known in self.folded.values_mut() {
            if let Some(now) = to.get(known) {
                *known = *now;
            }
        }
        self.folded.extend(to);
    }

    /// What happened since the last look, up to the last snapshot, and who is told of by another's id since then.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to read a map; nothing is lost then.
    pub(super) fn look(
        &mut self,
        session: &mut Session,
        found: &[Found],
    ) -> anyhow::Result<(Slice, BTreeMap<u32, u32>)> {
        let last = session.snapshots.intervals.last();
        let end_ns = last.map_or(self.last_ns, |last| last.end_ns);
        session.window.end_ns = end_ns;
        session.host_disks.look_again(&session.disks);
        // What the last look at these counts is of that look.
        let own = (session.own, session.tasks.missed_wakeups);
        let mut nobody = |_: Part| {};
        let mut guard = Guard::new(&mut nobody);
        let ends = finish::ends(session, found, |_, _| BTreeMap::new(), &mut guard);
        let counted = std::mem::replace(&mut session.own, own.0);
        session.tasks.missed_wakeups = own.1;
        let ends = ends?;
        let maps = &session.maps;
        let states = finish::states(maps)?;
        let short = blocked::short_sleeps(maps)?;
        let now = Sums {
            uses: session.snapshots.use_rows(maps),
            owners: ends.owners,
            series: session.snapshots.series_rows(&states),
            discards: ends.discards,
            blocked: ends.blocked,
            short: short
                .into_iter()
                .map(|(task, (sleeps, ns))| Short { task, sleeps, ns })
                .collect(),
            loss: loss::rows(&loss::kernels(maps)?, &counted),
        };
        let folded = std::mem::take(&mut self.folded);
        self.before.rename(&folded);
        let mut sums = now.clone().since(&self.before);
        self.before = now;
        // Of an actor that was told of by another's id once, and is not any more, the old sums are not new.
        sums.discards
            .retain(|row| row.last_completed_ns > self.last_ns);
        let used: BTreeSet<_> = sums
            .uses
            .iter()
            .map(|row| (row.disk, row.actor, row.op))
            .collect();
        sums.owners
            .retain(|row| used.contains(&(row.disk, row.actor, row.op)));
        let unfinished = ends.unfinished_requests.into_iter();
        let records = Records {
            unfinished_requests: unfinished.map(|(row, _)| row).collect(),
            unfinished_sleeps: ends.unfinished_sleeps,
            ..Records::default()
        };
        let slice = self.taken(session, (self.last_ns, end_ns), sums, records);
        self.last_ns = end_ns;
        Ok((slice, folded))
    }

    /// Who and what there is now.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to read a map.
    pub(super) fn frame(&mut self, session: &Session) -> anyhow::Result<Frame> {
        Ok(Frame {
            capture: frame(session)?,
            stacks: session.stacks.addresses(&session.maps, &mut self.frames),
        })
    }

    /// With what is taken out of the session.
    fn taken(&self, session: &mut Session, at: (u64, u64), sums: Sums, records: Records) -> Slice {
        let intervals = std::mem::take(&mut session.snapshots.intervals).into_rows();
        let mut grown = BTreeMap::<(u16, u32, Op), (u64, u64)>::new();
        for used in intervals.iter().flat_map(|row| &row.uses) {
            let sum = grown.entry((used.disk, used.actor, used.op)).or_default();
            sum.0 += used.waited.map_or(0, |waited| waited.slow_ops);
            sum.1 += used.ops;
        }
        let grown = |key: &(u16, u32, Op)| grown.get(key).copied().unwrap_or_default();
        let slow = std::mem::take(&mut session.slow_requests);
        let discards = std::mem::take(&mut session.discard_requests);
        let told = |mut rows: Vec<EndedRequest>| {
            for row in &mut rows {
                row.actor = session.snapshots.rows.actor(row.actor);
            }
            rows
        };
        let slow_requests = told(slow.into_rows(|key| grown(key).0).0);
        let discard_requests = told(discards.into_rows(|key| grown(key).1).0);
        let counted = session.disks.iter();
        let counted = counted.filter_map(|disk| {
            let (in_flight, stat) = session.host_disks.counted(disk)?;
            Some(Counted {
                disk: disk.index,
                in_flight,
                stat,
            })
        });
        let counted = counted.collect();
        let records = Records {
            slow_requests,
            discard_requests,
            long_sleeps: std::mem::take(&mut session.long_sleeps).into_rows().0,
            ..records
        };
        Slice {
            wall_less_monotonic_ns: clock::realtime_ns()
                .saturating_sub_unsigned(clock::monotonic_ns()),
            counted,
            ..Slice::new(at, intervals, sums, records)
        }
    }
}

/// Whether the last snapshot leaves it possible that somebody waits.
pub(super) fn is_suspicious(session: &Session, found: &[Found]) -> bool {
    let Some(last) = session.snapshots.intervals.last() else {
        return false;
    };
    let long = last.end_ns.saturating_sub(LONG_IN_D_NS);
    let is_long = |task: &Found| task.since_ns.is_some_and(|since| since <= long);
    watch::is_suspicious(last) || found.iter().any(is_long)
}
