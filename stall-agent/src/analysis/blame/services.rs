//! What a disk worked for, moment by moment, from the requests that were recorded one by one.
//!
//! A request's service ends with its completion and begins, at the earliest, with the completion before it: services
//! of one disk never overlap.

use std::collections::HashMap;

use crate::capture::{EndedRequest, Op};

/// Services a group must have for its own to be usual; with fewer none is cut.
const USUAL_COUNT: usize = 8;
/// How many times the group's upper quartile a service may be.
const USUAL_FACTOR: u64 = 4;

/// Whose requests, and what they asked for.
pub(super) type Group = (u32, Op);

/// Time the disk worked for one request; of nobody when it stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) group: Option<Group>,
    /// Which request: its queueing and its sector.
    request: (u64, u64),
}

impl Service {
    pub(super) fn is_of(&self, request: &EndedRequest) -> bool {
        self.end_ns == request.completed_ns && self.request == (request.queued_ns, request.sector)
    }
}

/// The services of one disk, in order.
pub(super) struct Services(Vec<Service>);

impl Services {
    /// Of the recorded requests of one disk.
    pub(super) fn new<'a>(requests: impl Iterator<Item = &'a EndedRequest>) -> Self {
        let served: Vec<&EndedRequest> = requests.filter(|one| one.service_ns > 0).collect();
        let most = most_by_group(&served);
        let cut = |request: &&EndedRequest| cut(request, most.get(&group(request)).copied());
        let mut services: Vec<Service> = served.iter().flat_map(cut).collect();
        services.sort_by_key(|service| (service.end_ns, service.start_ns));
        Self(services)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that have a part in a span of time.
    pub(super) fn within(&self, start_ns: u64, end_ns: u64) -> impl Iterator<Item = &Service> {
        let first = self.0.partition_point(|service| service.end_ns <= start_ns);
        self.0[first..]
            .iter()
            .take_while(move |service| service.start_ns < end_ns)
    }
}

pub(super) const fn group(request: &EndedRequest) -> Group {
    (request.actor, request.op)
}

/// A disk that stood still for a while serves somebody first when it goes on: what exceeds the usual by far is the
/// disk's own.
fn cut(request: &EndedRequest, most_ns: Option<u64>) -> impl Iterator<Item = Service> + use<> {
    let end_ns = request.completed_ns;
    let start_ns = end_ns.saturating_sub(request.service_ns);
    let from_ns = most_ns.map_or(start_ns, |most| start_ns.max(end_ns.saturating_sub(most)));
    let service = |start_ns, end_ns, group| Service {
        start_ns,
        end_ns,
        group,
        request: (request.queued_ns, request.sector),
    };
    let stood_still = (from_ns > start_ns).then(|| service(start_ns, from_ns, None));
    stood_still
        .into_iter()
        .chain([service(from_ns, end_ns, Some(group(request)))])
}

fn most_by_group(served: &[&EndedRequest]) -> HashMap<Group, u64> {
    let mut by_group: HashMap<Group, Vec<u64>> = HashMap::new();
    for request in served {
        by_group
            .entry(group(request))
            .or_default()
            .push(request.service_ns);
    }
    let enough = by_group
        .into_iter()
        .filter(|(_, services)| services.len() >= USUAL_COUNT);
    enough
        .map(|(group, mut services)| {
            services.sort_unstable();
            let quartile = services[services.len() * 3 / 4];
            (group, quartile.saturating_mul(USUAL_FACTOR))
        })
        .collect()
}
