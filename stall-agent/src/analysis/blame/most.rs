//! How long the disk may have worked for one request, by what is usual for its actor and operation: what is beyond
//! was a pause of the disk, and nobody's.

use std::collections::HashMap;

use stall_common::request::SERVICE_MIN_NS;

use super::services::{Group, group};
use crate::capture::{EndedRequest, Op, Use};

/// Requests a group must have for one of them to be usual; with fewer none is cut.
const USUAL_COUNT: usize = 8;
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
    served: &[&EndedRequest],
    uses: impl Iterator<Item = &'a Use>,
) -> HashMap<Group, Most> {
    let mut services: HashMap<Group, Vec<u64>> = HashMap::new();
    for request in served {
        let of_group = services.entry(group(request)).or_default();
        of_group.push(request.service_ns);
    }
    let sums: HashMap<Group, &Use> = uses.map(|sum| ((sum.actor, sum.op), sum)).collect();
    let most = services.into_iter().filter_map(|(group, services)| {
        let sum = sums.get(&group).copied();
        Some((group, most(services, sum)?))
    });
    most.collect()
}

fn most(services: Vec<u64>, sum: Option<&Use>) -> Option<Most> {
    match sum.filter(|sum| slow_is_rare(sum)) {
        Some(sum) => Some(as_the_fast(&services, sum)),
        None => as_the_slow(services),
    }
}

/// Discards are all recorded, slow or not, and how long a flush takes depends on what was written before it.
fn slow_is_rare(sum: &Use) -> bool {
    let of_data = matches!(sum.op, Op::Read | Op::Write);
    of_data && sum.ops >= USUAL_COUNT as u64 && sum.slow_ops < sum.ops / SLOW_IS_USUAL
}

/// What was not recorded one by one is known as a sum.
fn as_the_fast(services: &[u64], sum: &Use) -> Most {
    let recorded_ns = services.iter().fold(0u64, |a, b| a.saturating_add(*b));
    let others = sum.ops.saturating_sub(services.len() as u64).max(1);
    let mean_ns = sum.service_ns.saturating_sub(recorded_ns) / others;
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
