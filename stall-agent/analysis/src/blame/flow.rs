//! One actor's slow requests of one operation on one disk, and what they waited for.

use std::collections::BTreeMap;

use stall_common::actor::UNKNOWN;

use super::background::Background;
use super::served::Group;
use super::services::Services;
use stall_capture::{EndedRequest, Op, is_discard};

/// Services of one group that the disk was given after a request, and ended before it.
#[derive(Clone, Copy, Default)]
struct Overtaken {
    ns: u64,
    longest_ns: u64,
}

/// What slow requests waited for; the sum of all but `own_discards_ns` and `flush_ns` is the time they took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) device_ns: u64,
    pub(super) own_ns: u64,
    /// Part of `own_ns`.
    pub(super) own_discards_ns: u64,
    pub(super) unexplained_ns: u64,
    pub(super) by: BTreeMap<Group, u64>,
    pub(super) flush_ns: u64,
    pub(super) requests: u64,
}

impl Parts {
    /// Takes a request's time apart. At least `usual_ns` of it is the device's.
    pub(super) fn add(
        &mut self,
        request: &EndedRequest,
        usual_ns: u64,
        services: &Services,
        background: &Background,
    ) {
        let total_ns = request.completed_ns.saturating_sub(request.queued_ns);
        let mut one = Self::of(request, services, background);
        let others_ns = one.sum_without_device();
        let most_ns = total_ns.saturating_sub(usual_ns);
        if others_ns > most_ns {
            one.scale(most_ns, others_ns);
        }
        one.device_ns = total_ns.saturating_sub(one.sum_without_device());
        one.requests = 1;
        if request.op == Op::Preflush {
            one.flush_ns = one.flush_ns.saturating_add(usual_ns);
        }
        one.flush_ns = one.flush_ns.min(total_ns);
        self.merge(&one);
    }

    /// Whatever is no other request's stays for the device.
    ///
    /// A request waits behind what the disk was given before it. What was given later delays it only where the disk
    /// does not serve in turn; then the others wait in the same queue, and they are charged at most as long as their own
    /// requests took. So a busy neighbor whose requests are served at once is not charged for a request that is
    /// slow by itself.
    fn of(request: &EndedRequest, services: &Services, background: &Background) -> Self {
        let mut parts = Self::default();
        let mut overtaken = BTreeMap::<Group, Overtaken>::new();
        let given_ns = request.issued_ns.unwrap_or(request.queued_ns);
        // What was not recorded ended before it was slow: of what was there before, nothing is left after that time.
        let behind_fast_until = request.queued_ns.saturating_add(background.fast_ns);
        let mut free_from = request.queued_ns;
        let free = |parts: &mut Self, from: u64, to: u64| {
            let to = to.min(behind_fast_until);
            if to > from {
                background.split(from, to, |group, ns| parts.attribute(request, group, ns));
            }
        };
        for service in services.within(request.queued_ns, request.completed_ns) {
            let start_ns = service.start_ns.max(request.queued_ns);
            let end_ns = service.end_ns.min(request.completed_ns);
            free(&mut parts, free_from, start_ns);
            free_from = free_from.max(end_ns);
            let Some(group) = service.group.filter(|_| !service.is_of(request)) else {
                continue;
            };
            let ns = end_ns.saturating_sub(start_ns);
            if service.given_ns <= given_ns {
                parts.attribute(request, group, ns);
            } else {
                let sum = overtaken.entry(group).or_default();
                sum.ns = sum.ns.saturating_add(ns);
                sum.longest_ns = sum.longest_ns.max(service.latency_ns);
            }
        }
        free(&mut parts, free_from, request.completed_ns);
        for (group, sum) in overtaken {
            let charged_ns = sum.ns.min(sum.longest_ns);
            parts.attribute(request, group, charged_ns);
        }
        parts
    }

    fn attribute(&mut self, request: &EndedRequest, (actor, op): Group, ns: u64) {
        if op == Op::Flush {
            self.flush_ns = self.flush_ns.saturating_add(ns);
        }
        if is_discard(op) && actor == request.actor && actor != UNKNOWN {
            self.own_discards_ns = self.own_discards_ns.saturating_add(ns);
        }
        let sum = match actor {
            UNKNOWN => &mut self.unexplained_ns,
            _ if actor == request.actor => &mut self.own_ns,
            _ => self.by.entry((actor, op)).or_default(),
        };
        *sum = sum.saturating_add(ns);
    }

    fn sum_without_device(&self) -> u64 {
        let by = self
            .by
            .values()
            .fold(0, |sum: u64, ns| sum.saturating_add(*ns));
        by.saturating_add(self.own_ns)
            .saturating_add(self.unexplained_ns)
    }

    /// The sum of all parts.
    pub(super) fn sum(&self) -> u64 {
        self.sum_without_device().saturating_add(self.device_ns)
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let add = |sum: &mut u64, ns: u64| *sum = sum.saturating_add(ns);
        add(&mut self.device_ns, other.device_ns);
        add(&mut self.own_ns, other.own_ns);
        add(&mut self.own_discards_ns, other.own_discards_ns);
        add(&mut self.unexplained_ns, other.unexplained_ns);
        add(&mut self.flush_ns, other.flush_ns);
        add(&mut self.requests, other.requests);
        for (group, ns) in &other.by {
            add(self.by.entry(*group).or_default(), *ns);
        }
    }

    /// As if the slow requests, of which only some were recorded, had taken `whole_ns` together; what rounding
    /// takes away is the device's.
    pub(super) fn stand_for(&mut self, whole_ns: u64) {
        let recorded_ns = self.sum();
        if recorded_ns == 0 {
            self.unexplained_ns = whole_ns;
            return;
        }
        self.scale(whole_ns, recorded_ns);
        self.device_ns = whole_ns.saturating_sub(self.sum_without_device());
    }

    fn scale(&mut self, to_ns: u64, from_ns: u64) {
        let scale = |ns: &mut u64| {
            let scaled = u128::from(*ns) * u128::from(to_ns) / u128::from(from_ns.max(1));
            *ns = u64::try_from(scaled).unwrap_or(u64::MAX);
        };
        scale(&mut self.own_ns);
        scale(&mut self.own_discards_ns);
        scale(&mut self.unexplained_ns);
        scale(&mut self.flush_ns);
        self.by.values_mut().for_each(scale);
    }
}
