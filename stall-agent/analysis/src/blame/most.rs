//! How long the disk may have worked for one request, by what is usual for its actor and operation: what is beyond
//! was a pause of the disk, and nobody's.

use std::collections::HashMap;

use stall_common::request::SERVICE_MIN_NS;

use super::served::{Group, Served, group};
use crate::total::Total as _;
use stall_capture::{Capture, EndedRequest, IntervalUse, Op, is_discard};

/// Requests or intervals that are enough to tell what is usual; with fewer none is cut.
const USUAL_COUNT: usize = 8;
/// Completions of one group this close are one service.
const AT_ONCE_NS: u64 = 300_000;
/// How many times what is usual a service may be.
const USUAL_FACTOR: u64 = 4;

/// The longest service of a group's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Most {
    service_ns: u64,
    /// A larger request may take longer, in proportion. 0: any may take as long.
    bytes: u64,
}

impl Most {
    /// Of this request.
    pub(super) fn of(self, request: &EndedRequest) -> u64 {
        let times = request.bytes.checked_div(self.bytes).unwrap_or(1).max(1);
        self.service_ns.saturating_mul(times)
    }
}

/// For each group for which it can be told: from the interval of its middle request, as a slow phase serves few, or else
/// that of all requests of the operation. Discards, and what there are no intervals of, are held against their own recorded services.
pub(super) fn by_group(
    served: &[Served<'_>],
    capture: &Capture,
    disk: u16,
) -> HashMap<Group, Most> {
    let mut services: HashMap<Group, Recorded> = HashMap::new();
    for one in served {
        let of_group = services.entry(group(one.request)).or_default();
        match of_group.services.last_mut() {
            // Merged requests end at one moment: one has the whole service, the others have none.
            Some(last) if one.end_ns.saturating_sub(of_group.end_ns) <= AT_ONCE_NS => {
                *last = last.saturating_add(one.service_ns());
            }
            _ => of_group.services.push(one.service_ns()),
        }
        of_group.end_ns = one.end_ns;
    }
    let calm = Calm::new(capture, disk);
    let most = services.into_iter().filter_map(|(group, recorded)| {
        let usual = calm.most(group);
        Some((group, usual.or_else(|| as_the_slow(recorded.services))?))
    });
    most.collect()
}

/// Of one group.
#[derive(Default)]
struct Recorded {
    services: Vec<u64>,
    /// Of the last one.
    end_ns: u64,
}

/// Mean services in the intervals, by group, and by operation of whoever.
struct Calm {
    by_group: HashMap<Group, Vec<Mean>>,
    by_op: HashMap<Op, Vec<Mean>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mean {
    service_ns: u64,
    bytes: u64,
    ops: u64,
}

impl Calm {
    fn new(capture: &Capture, disk: u16) -> Self {
        let (mut by_group, mut by_op) = (HashMap::new(), HashMap::new());
        for interval in &capture.intervals {
            let mut of_op = HashMap::<Op, Vec<&IntervalUse>>::new();
            for used in interval.uses.iter().filter(|used| used.disk == disk) {
                let means: &mut Vec<Mean> = by_group.entry((used.actor, used.op)).or_default();
                means.extend(Mean::of(&[used]));
                of_op.entry(used.op).or_default().push(used);
            }
            for (op, uses) in of_op {
                let means: &mut Vec<Mean> = by_op.entry(op).or_default();
                means.extend(Mean::of(&uses));
            }
        }
        Self { by_group, by_op }
    }

    fn most(&self, group: Group) -> Option<Most> {
        if is_discard(group.1) {
            return None;
        }
        let enough = |means: &&Vec<Mean>| means.len() >= USUAL_COUNT;
        let means = self.by_group.get(&group).filter(enough);
        let mut means = means
            .or_else(|| self.by_op.get(&group.1).filter(enough))?
            .clone();
        means.sort_unstable();
        let half = means.iter().map(|mean| mean.ops).total() / 2;
        let mut before = 0u64;
        let usual = means.iter().find(|mean| {
            before = before.saturating_add(mean.ops);
            before > half
        })?;
        Some(Most {
            service_ns: usual
                .service_ns
                .max(SERVICE_MIN_NS)
                .saturating_mul(USUAL_FACTOR),
            bytes: usual.bytes,
        })
    }
}

impl Mean {
    fn of(uses: &[&IntervalUse]) -> Option<Self> {
        let sum = |field: fn(&IntervalUse) -> u64| uses.iter().map(|used| field(used)).total();
        let ops = sum(|used| used.ops);
        Some(Self {
            service_ns: sum(|used| used.service_ns).checked_div(ops)?,
            bytes: sum(|used| used.bytes) / ops,
            ops,
        })
    }
}

fn as_the_slow(mut services: Vec<u64>) -> Option<Most> {
    services.sort_unstable();
    let quartile = *services.get(services.len() * 3 / 4)?;
    (services.len() >= USUAL_COUNT).then(|| Most {
        service_ns: quartile.saturating_mul(USUAL_FACTOR),
        bytes: 0,
    })
}
