//! What a disk worked for, moment by moment, from the requests that were recorded one by one.
//!
//! A request's service ends with its completion and begins, at the earliest, with the completion before it (in
//! what order is [`super::served`]'s): services of one disk never overlap.

use super::most;
use super::served::{Group, Served, group, served};
use stall_capture::{Capture, EndedRequest};

/// Time the disk worked for one request; of nobody when it stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) group: Option<Group>,
    /// When the disk was given the request, or else when it was submitted.
    pub(super) given_ns: u64,
    /// From its submission to its completion.
    pub(super) latency_ns: u64,
    request: Id,
}

/// Which request: its queueing, its end and its sector.
type Id = (u64, u64, Option<u64>);

impl Service {
    pub(super) fn is_of(&self, request: &EndedRequest) -> bool {
        self.request == id(request)
    }
}

/// The services of one disk, in order.
pub(super) struct Services(Vec<Service>);

impl Services {
    /// Of the recorded requests of one disk, in order of completion.
    pub(super) fn new<'a>(
        requests: impl Iterator<Item = &'a EndedRequest>,
        capture: &Capture,
        disk: u16,
    ) -> Self {
        let served = served(requests);
        let most = most::by_group(&served, capture, disk);
        let cut = |one: &Served<'_>| {
            let most = most.get(&group(one.request));
            cut(one, most.map(|most| most.of(one.request)))
        };
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

/// A disk that stood still for a while serves somebody first when it goes on: what exceeds the usual by far is the
/// disk's own.
fn cut(served: &Served<'_>, most_ns: Option<u64>) -> impl Iterator<Item = Service> + use<> {
    let Served {
        request,
        start_ns,
        end_ns,
    } = *served;
    let from_ns = most_ns.map_or(start_ns, |most| start_ns.max(end_ns.saturating_sub(most)));
    let request_id = id(request);
    let given_ns = request.issued_ns.unwrap_or(request.queued_ns);
    let latency_ns = request.completed_ns.saturating_sub(request.queued_ns);
    let service = move |start_ns, end_ns, group| Service {
        start_ns,
        end_ns,
        group,
        given_ns,
        latency_ns,
        request: request_id,
    };
    let stood_still = (from_ns > start_ns).then(|| service(start_ns, from_ns, None));
    stood_still
        .into_iter()
        .chain([service(from_ns, end_ns, Some(group(request)))])
}

const fn id(request: &EndedRequest) -> Id {
    (request.queued_ns, request.completed_ns, request.sector)
}
