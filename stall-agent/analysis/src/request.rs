//! Single requests: those that had not ended, those older than the trace, the slowest.

use std::collections::BTreeMap;

use super::names::Names;
use stall_capture as capture;
use stall_capture::{Capture, Op};
use stall_report::model::{OlderRequests, Request, Requests, UnfinishedRequest};

/// Slow requests shown one by one.
const SHOWN: usize = 50;

pub(super) fn requests(capture: &Capture, names: &Names<'_>) -> Requests {
    Requests {
        unfinished: unfinished(capture, names),
        older_than_trace: older(capture, names),
        slowest: slowest(capture, names),
        slow_recorded: capture.slow_requests.len() as u64,
    }
}

fn unfinished(capture: &Capture, names: &Names<'_>) -> Vec<UnfinishedRequest> {
    let end_ns = capture.window.end_ns;
    let told = !capture.lacks_program("block_rq_requeue");
    let mut requests: Vec<_> = capture
        .unfinished_requests
        .iter()
        .map(|request| {
            let row = unfinished_request(names, end_ns, request);
            UnfinishedRequest {
                requeues: row.requeues.filter(|_| told),
                ..row
            }
        })
        .collect();
    requests.sort_by_key(|request| request.queued_ns);
    requests
}

fn unfinished_request(
    names: &Names<'_>,
    end_ns: u64,
    request: &capture::UnfinishedRequest,
) -> UnfinishedRequest {
    UnfinishedRequest {
        device: names.device(request.disk),
        actor: request.actor,
        tid: request.tid,
        op: request.op,
        bytes: request.bytes,
        sector: request.sector,
        queued_ns: request.queued_ns,
        issued_ns: request.issued_ns,
        age_ns: end_ns.saturating_sub(request.queued_ns),
        requeues: Some(request.requeues),
        older: request.older,
        stack: request.stack,
    }
}

fn older(capture: &Capture, names: &Names<'_>) -> Vec<OlderRequests> {
    let mut counts = BTreeMap::<(u16, Op), (u64, u64)>::new();
    for series in capture
        .series
        .iter()
        .filter(|series| series.older_requests > 0)
    {
        let ended = &mut counts.entry((series.disk, series.op)).or_default().0;
        *ended = ended.saturating_add(series.older_requests);
    }
    for request in capture
        .unfinished_requests
        .iter()
        .filter(|request| request.older)
    {
        counts.entry((request.disk, request.op)).or_default().1 += 1;
    }
    let row = |((disk, op), (ended, unfinished))| OlderRequests {
        device: names.device(disk),
        op,
        ended,
        unfinished,
    };
    counts.into_iter().map(row).collect()
}

fn slowest(capture: &Capture, names: &Names<'_>) -> Vec<Request> {
    let told = !capture.lacks_program("block_rq_requeue");
    let mut requests: Vec<_> = capture
        .slow_requests
        .iter()
        .map(|request| {
            let row = ended(names, request);
            Request {
                requeues: row.requeues.filter(|_| told),
                ..row
            }
        })
        .collect();
    requests.sort_by_key(|request| std::cmp::Reverse(request.total_ns));
    requests.truncate(SHOWN);
    requests
}

fn ended(names: &Names<'_>, request: &capture::EndedRequest) -> Request {
    let queue_ns = request
        .issued_ns
        .map(|issued| issued.saturating_sub(request.queued_ns));
    Request {
        device: names.device(request.disk),
        actor: request.actor,
        tid: request.tid,
        op: request.op,
        bytes: request.bytes,
        sector: request.sector,
        queued_ns: request.queued_ns,
        queue_ns,
        device_ns: request
            .issued_ns
            .map(|issued| request.completed_ns.saturating_sub(issued)),
        total_ns: request.completed_ns.saturating_sub(request.queued_ns),
        overlap_ns: request.overlap_ns,
        requeues: Some(request.requeues),
        older: request.older,
    }
}
