//! Requests that had not ended, and requests in the terms of the capture.

use anyhow::Result;
use stall_common::actor::UNKNOWN;
use stall_common::older::Waiter;
use stall_common::record::EndedRequest;
use stall_common::request::{ACTIVE, CAME_BACK, OLDER, Op as Abi, Slot};

use super::maps::Maps;
use super::stacks::Stacks;
use stall_capture as capture;
use stall_capture::{InFlight, Op, UnfinishedRequest};

/// A request that has not ended, and what led to who waits for it, when its submission was not seen.
pub type Unfinished = (UnfinishedRequest, Option<Waiter>);

/// The requests that were submitted before `end_ns` and have not ended, oldest first. Read when
/// the hooks are detached, so that nothing moves. `in_flight` is what the kernel then counts for a
/// disk: a request that was issued where it counts none has ended without our seeing it; the
/// second is the number of these.
///
/// # Errors
///
/// When the kernel refuses to read the map.
pub fn unfinished(
    maps: &Maps,
    end_ns: u64,
    in_flight: impl Fn(u16) -> Option<InFlight>,
    stacks: &mut Stacks,
) -> Result<(Vec<Unfinished>, u64)> {
    let (mut rows, mut ended) = (Vec::new(), 0);
    for row in &maps.request_numbers {
        let (address, number) = row?;
        let request = maps.requests.get(&number, 0)?;
        if request.flags & ACTIVE == 0 || request.queued_ns >= end_ns {
            continue;
        }
        // An older one was found at the driver, where its time of issue is not known.
        let was_at_driver = request.issued_ns != 0 || request.flags & OLDER != 0;
        // What the driver sent back the kernel does not count.
        let at_driver = was_at_driver && request.flags & CAME_BACK == 0;
        if at_driver && in_flight(request.disk).is_some_and(|n| none(n, request.op)) {
            ended += 1;
        } else {
            let of_nobody = request.actor == UNKNOWN && request.flags & OLDER != 0;
            let waiter = of_nobody.then(|| maps.waiters.get(&address, 0).ok());
            rows.push((unfinished_row(&request, stacks), waiter.flatten()));
        }
    }
    rows.sort_by_key(|(row, _)| row.queued_ns);
    Ok((rows, ended))
}

/// Whether the kernel counts no request of this operation's direction. Flushes it does not count.
fn none(in_flight: InFlight, number: u8) -> bool {
    match op(number) {
        Op::Read | Op::ReadAhead => in_flight.reads == 0,
        Op::Write
        | Op::AsyncWrite
        | Op::Preflush
        | Op::Discard
        | Op::SecureErase
        | Op::WriteZeroes => in_flight.writes == 0,
        Op::Flush | Op::Other => false,
    }
}

/// A recorded request.
#[must_use]
pub fn ended(record: &EndedRequest, stacks: &mut Stacks) -> capture::EndedRequest {
    let EndedRequest {
        header,
        request,
        overlap_ns,
        service_ns,
    } = record;
    capture::EndedRequest {
        actor: request.actor,
        tid: request.tid,
        disk: request.disk,
        op: op(request.op),
        bytes: request.done_bytes.into(),
        sector: sector(request),
        queued_ns: request.queued_ns,
        issued_ns: issued(request),
        completed_ns: header.time_ns,
        overlap_ns: *overlap_ns,
        service_ns: *service_ns,
        stands_for: 1.0,
        requeues: request.requeues,
        older: request.flags & OLDER != 0,
        stack: stacks.index(request.stack),
    }
}

/// The operation of a number of `stall_common::request::Op`.
#[must_use]
pub fn op(number: u8) -> Op {
    let known = Abi::ALL.get(usize::from(number)).copied();
    known.unwrap_or(Abi::Other).into()
}

fn unfinished_row(request: &Slot, stacks: &mut Stacks) -> UnfinishedRequest {
    UnfinishedRequest {
        actor: request.actor,
        tid: request.tid,
        disk: request.disk,
        op: op(request.op),
        bytes: request.bytes.into(),
        sector: sector(request),
        queued_ns: request.queued_ns,
        issued_ns: issued(request),
        requeues: request.requeues,
        older: request.flags & OLDER != 0,
        stack: stacks.index(request.stack),
    }
}

/// All bits set is the kernel's sector of a request that has none (`blk_rq_init()`).
fn sector(request: &Slot) -> Option<u64> {
    (request.sector != u64::MAX).then_some(request.sector)
}

fn issued(request: &Slot) -> Option<u64> {
    (request.issued_ns != 0).then_some(request.issued_ns)
}
