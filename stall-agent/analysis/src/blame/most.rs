//! How long the disk may have worked for one request, by what is usual for its actor and operation: what is beyond
//! was a pause of the disk, and nobody's.

use std::collections::HashMap;

use stall_common::request::SERVICE_MIN_NS;

use super::served::{Group, Served, group};
use stall_capture::{EndedRequest, Op, Use};

/// Requests a group must have for one of them to be usual; with fewer none is cut.
const USUAL_COUNT: usize = 8;
/// Completions of one group this close are one service.
const AT_ONCE_NS: u64 = 300_000;
/// How many times what is usual a service may be.
const USUAL_FACTOR: u64 = 4;
/// From this part of slow requests on (a half, a third, ... as 1 / it) being slow is usual.
const SLOW_IS_USUAL: u64 = 4;

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

/// For each group for which it can be told, from its recorded services and the sums of all its requests.
pub(super) fn by_group<'a>(
    served: &[Served<'_>],
    uses: impl Iterator<Item = &'a Use>,
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
        of_group.measured_ns = of_group.measured_ns.saturating_add(one.request.service_ns);
    }
    let sums: HashMap<Group, &Use> = uses.map(|sum| ((sum.actor, sum.op), sum)).collect();
    let most = services.into_iter().filter_map(|(group, services)| {
        let sum = sums.get(&group).copied();
        Some((group, most(services, sum)?))
    });
    most.collect()
}

/// Of one group.
#[derive(Default)]
struct Recorded {
    services: Vec<u64>,
    /// Of the last one.
    end_ns: u64,
    /// Their sum as the kernel measured it, which is in the group's sum of all.
    measured_ns: u64,
}

fn most(recorded: Recorded, sum: Option<&Use>) -> Option<Most> {
    match sum.filter(|sum| slow_is_rare(sum)) {
        Some(sum) => Some(as_the_fast(&recorded, sum)),
        None => as_the_slow(recorded.services),
    }
}

/// Discards are all recorded, slow or not, and how long a flush takes depends on what was written before it.
fn slow_is_rare(sum: &Use) -> bool {
    let of_data = matches!(sum.op, Op::Read | Op::Write);
    of_data && sum.ops >= USUAL_COUNT as u64 && sum.slow_ops < sum.ops / SLOW_IS_USUAL
}

/// What was not recorded one by one is known as a sum.
fn as_the_fast(recorded: &Recorded, sum: &Use) -> Most {
    let others = sum
        .ops
        .saturating_sub(recorded.services.len() as u64)
        .max(1);
    let mean_ns = sum.service_ns.saturating_sub(recorded.measured_ns) / others;
    Most {
        service_ns: mean_ns.max(SERVICE_MIN_NS).saturating_mul(USUAL_FACTOR),
        bytes: sum.bytes / sum.ops.max(1),
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
