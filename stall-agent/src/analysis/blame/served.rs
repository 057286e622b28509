//! When the disk worked for each recorded request: the time before its end, and where several ends were told together,
//! in the order in which the disk was given the requests.
//!
//! A driver handles all that ended by one interrupt at once, and not in the order in which the disk ended them: up to Linux
//! 6.13 NVMe's goes through them backwards (`rq_list_add` in `nvme_add_to_batch`, drivers/nvme/host/pci.c, since 5.16). Two
//! CPUs that handle an end each are no better.

use crate::capture::EndedRequest;

/// Ends this close to that of a long service may be of one interrupt.
const TOGETHER_NS: u64 = 4_000_000;
/// And no further from it than this part of the service, as 1 / it: what the disk serves in turn ends further apart.
const PART_OF_SERVICE: u64 = 16;

/// A request and the time the disk worked for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Served<'a> {
    pub(super) request: &'a EndedRequest,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
}

/// Of the requests that have a service, which are in order of completion; what is served all in all stays the same.
pub(super) fn served<'a>(requests: impl Iterator<Item = &'a EndedRequest>) -> Vec<Served<'a>> {
    let mut served: Vec<Served<'_>> = requests
        .filter(|one| one.service_ns > 0)
        .map(as_measured)
        .collect();
    for ended in 0..served.len() {
        if let Some(earlier) = given_earlier(&served[ended..]) {
            exchange(&mut served, ended, ended + earlier);
        }
    }
    served
}

impl Served<'_> {
    pub(super) const fn service_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

fn as_measured(request: &EndedRequest) -> Served<'_> {
    let end_ns = request.completed_ns;
    Served {
        request,
        start_ns: end_ns.saturating_sub(request.service_ns),
        end_ns,
    }
}

/// Of those that ended together with the first of these, which one the disk was given first, if it was before that.
fn given_earlier(served: &[Served<'_>]) -> Option<usize> {
    let (first, rest) = served.split_first()?;
    let within_ns = TOGETHER_NS.min(first.service_ns() / PART_OF_SERVICE);
    let until_ns = first.end_ns.saturating_add(within_ns);
    let together = rest.iter().take_while(|one| one.end_ns <= until_ns);
    let waited = |one: &Served<'_>| {
        given_ns(one) < given_ns(first) && one.request.queued_ns <= first.start_ns
    };
    let earlier = together.enumerate().filter(|(_, one)| waited(one));
    let earliest = earlier.min_by_key(|(_, one)| given_ns(one))?;
    Some(earliest.0 + 1)
}

/// When the disk was given it, at the earliest.
fn given_ns(served: &Served<'_>) -> u64 {
    served.request.issued_ns.unwrap_or(served.request.queued_ns)
}

fn exchange(served: &mut [Served<'_>], one: usize, other: usize) {
    let request = served[one].request;
    served[one].request = served[other].request;
    served[other].request = request;
}

#[cfg(test)]
mod tests {
    use super::super::super::test_capture::{MS, START, ended};
    use super::*;
    use crate::capture::Op;

    const VM: u32 = 2;
    const TRIM: u32 = 3;

    /// In microseconds since the start.
    fn request(actor: u32, (from, to): (u64, u64), service: u64) -> EndedRequest {
        let us = |us: u64| START + us * (MS / 1_000);
        EndedRequest {
            service_ns: us(service) - START,
            ..ended(actor, Op::Read, (us(from), us(to)))
        }
    }

    fn actors(requests: &[EndedRequest]) -> Vec<u32> {
        let served = served(requests.iter());
        served.iter().map(|one| one.request.actor).collect()
    }

    #[test]
    fn ends_told_backwards_are_put_in_order() {
        let requests = [
            request(VM, (9_000, 1_500_000), 1_400_000),
            request(VM, (8_000, 1_500_300), 300),
            request(TRIM, (1_000, 1_500_400), 100),
        ];
        assert_eq!(actors(&requests), [TRIM, VM, VM]);
        let whole: u64 = served(requests.iter()).iter().map(Served::service_ns).sum();
        assert_eq!(whole, 1_400_400 * (MS / 1_000));
    }

    #[test]
    fn what_the_disk_serves_in_turn_stays_with_whom_it_was_measured() {
        let far = [
            request(VM, (9_000, 1_500_000), 1_400_000),
            request(TRIM, (1_000, 1_504_001), 4_001),
        ];
        assert_eq!(actors(&far), [VM, TRIM]);
        let short = [
            request(VM, (9_000, 10_000), 1_000),
            request(TRIM, (8_000, 10_100), 100),
        ];
        assert_eq!(actors(&short), [VM, TRIM]);
    }

    #[test]
    fn who_came_later_gets_nothing_of_it() {
        let later = [
            request(VM, (9_000, 1_500_000), 1_400_000),
            request(TRIM, (9_500, 1_500_100), 100),
        ];
        assert_eq!(actors(&later), [VM, TRIM]);
    }
}
