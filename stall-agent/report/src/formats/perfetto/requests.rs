//! Requests that are known one by one, and which of them waited for which.

use std::collections::BTreeMap;

use stall_capture::{Capture, EndedRequest, Op, is_discard, is_waited_for};

use crate::Report;
use crate::model::{Request, UnfinishedRequest};

/// One request.
pub(super) struct Slice {
    pub(super) device: String,
    pub(super) label: String,
    pub(super) op: Op,
    pub(super) is_discard: bool,
    pub(super) actor: u32,
    pub(super) tid: u32,
    pub(super) bytes: u64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) state: &'static str,
    /// Arrows to those that waited for it, and from the one it waited for.
    pub(super) begins: Vec<u64>,
    pub(super) ends: Vec<u64>,
}

/// The slice of a request of the capture or the report: each has these fields by these names.
macro_rules! slice {
    ($request:expr, $device:expr, $label:expr, $end_ns:expr, $state:expr) => {
        Slice {
            device: $device,
            label: $label($request.actor),
            op: $request.op,
            is_discard: is_discard($request.op),
            actor: $request.actor,
            tid: $request.tid,
            bytes: $request.bytes,
            start_ns: $request.queued_ns,
            end_ns: $end_ns,
            state: $state,
            begins: Vec::new(),
            ends: Vec::new(),
        }
    };
}

/// All of them, in the order of their submission, with the arrows from what the culprits sent to what waited for it.
pub(super) fn slices(report: &Report) -> Vec<Slice> {
    let labels: BTreeMap<u32, &str> = report
        .actors
        .iter()
        .map(|actor| (actor.id, actor.label.as_str()))
        .collect();
    let label = |actor: u32| (*labels.get(&actor).unwrap_or(&"?")).to_owned();
    let capture = report.capture.as_ref();
    let capture = capture.and_then(|packed| packed.capture().ok());
    let mut slices: Vec<Slice> = match &capture {
        Some(capture) => recorded(report, capture, &label),
        None => report
            .requests
            .slowest
            .iter()
            .map(|request: &Request| {
                let end_ns = request.queued_ns.saturating_add(request.total_ns);
                slice!(request, request.device.clone(), label, end_ns, "ended")
            })
            .collect(),
    };
    let unfinished = report.requests.unfinished.iter();
    slices.extend(unfinished.map(|request: &UnfinishedRequest| {
        let end_ns = request.queued_ns.saturating_add(request.age_ns);
        let device = request.device.clone();
        slice!(request, device, label, end_ns, "had not ended")
    }));
    slices.sort_by_key(|slice| (slice.start_ns, slice.end_ns));
    arrows(report, &mut slices);
    slices
}

fn recorded(report: &Report, capture: &Capture, label: &impl Fn(u32) -> String) -> Vec<Slice> {
    let id = |disk: u16| {
        let mut rows = capture.disks.iter();
        let row = rows.find(|row| row.index == Some(disk))?;
        let mut devices = report.devices.iter();
        let device = devices.find(|one| (one.major, one.minor) == (row.major, row.minor));
        device.map(|device| device.id.clone())
    };
    let all = capture
        .slow_requests
        .iter()
        .chain(&capture.discard_requests);
    let slice = |request: &EndedRequest| {
        let end_ns = request.completed_ns;
        Some(slice!(request, id(request.disk)?, label, end_ns, "ended"))
    };
    all.filter_map(slice).collect()
}

/// To each request of others on the verdict's disk, from the culprits' request that was there with it the longest.
fn arrows(report: &Report, slices: &mut [Slice]) {
    let verdict = &report.verdict;
    let Some(device) = &verdict.device else {
        return;
    };
    let named = verdict.culprits.iter().filter_map(|culprit| culprit.actor);
    let judged = verdict
        .hypotheses
        .first()
        .into_iter()
        .flat_map(|one| &one.actors);
    let culprits: Vec<u32> = match verdict.culprits.is_empty() {
        true => return,
        false => named.chain(judged.copied()).collect(),
    };
    let on_it = |slice: &Slice| slice.device == *device;
    let causes: Vec<usize> = (0..slices.len())
        .filter(|index| on_it(&slices[*index]) && culprits.contains(&slices[*index].actor))
        .collect();
    let mut next = 0;
    for victim in 0..slices.len() {
        let one = &slices[victim];
        if !on_it(one) || !is_waited_for(one.op) || culprits.contains(&one.actor) {
            continue;
        }
        let together = |cause: &usize| {
            let cause = &slices[*cause];
            let end = cause.end_ns.min(one.end_ns);
            end.saturating_sub(cause.start_ns.max(one.start_ns))
        };
        let longest = causes.iter().copied().max_by_key(together);
        if let Some(cause) = longest.filter(|cause| together(cause) > 0) {
            next += 1;
            slices[cause].begins.push(next);
            slices[victim].ends.push(next);
        }
    }
}
