//! When the disk worked for each recorded request: the time before its completion. Completions reported by one interrupt
//! ([`batch`]) are reordered by issue time.

use super::super::batch;
use stall_capture::{EndedRequest, Op};

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
        if let Some(earlier) = earliest_issued(&served[ended..]) {
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
fn earliest_issued(served: &[Served<'_>]) -> Option<usize> {
    let (first, rest) = served.split_first()?;
    let given_ns = given_ns(first)?;
    let within_ns = batch::within_ns(first.service_ns());
    let until_ns = first.end_ns.saturating_add(within_ns);
    let together = rest.iter().take_while(|one| one.end_ns <= until_ns);
    let waited = together
        .enumerate()
        .filter(|(_, one)| one.request.queued_ns <= first.start_ns);
    let given = waited.filter_map(|(place, one)| Some((self::given_ns(one)?, place)));
    let (_, earliest) = given.filter(|(earlier, _)| *earlier < given_ns).min()?;
    Some(earliest + 1)
}

/// `None` for what the disk was not given (an fsync request), and for a flush: it is never reported with others, as it has
/// an `end_io` of its own (`blk_mq_add_to_batch` in include/linux/blk-mq.h).
fn given_ns(served: &Served<'_>) -> Option<u64> {
    let alone = matches!(served.request.op, Op::Flush | Op::Preflush);
    served.request.issued_ns.filter(|_| !alone)
}

fn exchange(served: &mut [Served<'_>], one: usize, other: usize) {
    let requests = [one, other].map(|place| served[place].request);
    [served[other].request, served[one].request] = requests;
}

/// Whose requests, and what they asked for.
pub(super) type Group = (u32, Op);

pub(super) const fn group(request: &EndedRequest) -> Group {
    (request.actor, request.op)
}

#[cfg(test)]
mod tests {
    use super::super::super::test_capture::{MS, START, ended};
    use super::*;

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
