//! What an ended request adds to the sums.

use stall_common::disk::{DiskState, Latency, Series};
use stall_common::request::Request as Slot;

use super::service;
use crate::{actor, counter, discard, exposure, ktime, series};

/// What an end amounts to.
pub(super) struct End {
    pub(super) now: u64,
    /// issued - queued; `None` when it was not seen being issued.
    pub(super) queue_ns: Option<u64>,
    /// completed - issued; likewise.
    pub(super) device_ns: Option<u64>,
    pub(super) total_ns: u64,
    /// Time with another request's discard in flight.
    pub(super) overlap_ns: u64,
    /// Time the disk worked for it alone; 0 for the short.
    pub(super) service_ns: u64,
}

#[inline(always)]
pub(super) fn measure(slot: &Slot, state: *mut DiskState, now: u64) -> End {
    let issued = slot.issued_ns != 0;
    let overlap_ns = if discard::is_discard(slot.op) {
        0
    } else {
        let clock = discard::clock(state, now);
        clock.map_or(0, |clock| clock.saturating_sub(slot.discard_clock_ns))
    };
    let total_ns = ktime::between(slot.queued_ns, now);
    End {
        now,
        queue_ns: issued.then(|| ktime::between(slot.queued_ns, slot.issued_ns)),
        device_ns: issued.then(|| ktime::between(slot.issued_ns, now)),
        total_ns,
        overlap_ns,
        service_ns: service::ended(slot, now, total_ns),
    }
}

#[inline(always)]
pub(super) fn count_series(series: *mut Series, slot: &Slot, end: &End) {
    // SAFETY: fields of an element of an array map.
    unsafe {
        counter::add(&raw mut (*series).ops, 1);
        counter::add(&raw mut (*series).bytes, slot.done_bytes);
        counter::add(&raw mut (*series).total_ns, end.total_ns);
        counter::raise(&raw mut (*series).slowest_ns, end.total_ns);
        if let Some(queue_ns) = end.queue_ns {
            counter::add(&raw mut (*series).queue_ns, queue_ns);
            series::observe(series, Latency::Queue, queue_ns);
        }
        if let Some(device_ns) = end.device_ns {
            counter::add(&raw mut (*series).device_ns, device_ns);
            series::observe(series, Latency::Device, device_ns);
        }
    }
    series::observe(series, Latency::Total, end.total_ns);
    if end.overlap_ns > 0 {
        series::observe(series, Latency::Exposed, end.total_ns);
    }
}

#[inline(always)]
pub(super) fn count_use(slot: &Slot, end: &End, slow: bool) {
    let Some(row) = actor::row(slot.actor, slot.disk, slot.op) else {
        return;
    };
    // SAFETY: fields of an element of a hash map that is never deleted.
    unsafe {
        counter::add(&raw mut (*row).ops, 1);
        counter::add(&raw mut (*row).bytes, slot.done_bytes);
        counter::add(&raw mut (*row).queue_ns, end.queue_ns.unwrap_or(0));
        counter::add(&raw mut (*row).device_ns, end.device_ns.unwrap_or(0));
        counter::add(&raw mut (*row).total_ns, end.total_ns);
        counter::raise(&raw mut (*row).slowest_ns, end.total_ns);
        if slow {
            counter::add(&raw mut (*row).slow_ops, 1);
            counter::add(&raw mut (*row).slow_total_ns, end.total_ns);
        }
        if end.service_ns > 0 {
            counter::add(&raw mut (*row).service_ns, end.service_ns);
        }
        if end.overlap_ns > 0 {
            counter::add(&raw mut (*row).exposed_ops, 1);
            counter::add(&raw mut (*row).exposed_slow_ops, slow.into());
            counter::add(&raw mut (*row).exposed_total_ns, end.total_ns);
            counter::add(&raw mut (*row).overlap_ns, end.overlap_ns);
        }
        exposure::observe((*row).sides, end.overlap_ns > 0, end.total_ns);
    }
}
