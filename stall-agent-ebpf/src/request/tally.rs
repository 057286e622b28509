//! What an ended request adds to the sums.

use stall_common::disk::{DiskState, Latency, Series};
use stall_common::request::Slot;
use stall_common::uses::{Use, UseKey, owner};

use super::service;
use crate::{counter, cpu, discard, exposure, ktime, series, uses};

/// What an end amounts to.
pub(super) struct End {
    pub(super) now: u64,
    pub(super) cpu: u32,
    /// Whether it was seen being issued.
    issued: bool,
    /// issued - queued; 0 when it was not seen being issued. (An `Option` is read even where it is none, which the
    /// verifier of 5.10 takes for a read of what was never written.)
    pub(super) queue_ns: u64,
    /// completed - issued; likewise.
    pub(super) device_ns: u64,
    pub(super) total_ns: u64,
    /// Time with another request's discard in flight.
    pub(super) overlap_ns: u64,
    /// Time the disk worked for it alone; 0 for the short.
    pub(super) service_ns: u64,
}

impl End {
    /// The whole time of a request that was not seen being issued; of others it is in two parts.
    #[inline(always)]
    fn unissued_ns(&self) -> u64 {
        if self.issued { 0 } else { self.total_ns }
    }
}

#[inline(always)]
pub(super) fn measure(slot: &Slot, state: *mut DiskState, now: u64) -> End {
    let cpu = cpu::current();
    let issued = slot.issued_ns != 0;
    let overlap_ns = if discard::is_discard(slot.op) {
        0
    } else {
        let clock = discard::clock(state, now);
        clock.map_or(0, |clock| clock.saturating_sub(slot.discard_clock_ns))
    };
    let total_ns = ktime::between(slot.queued_ns, now);
    let (mut queue_ns, mut device_ns) = (0, 0);
    if issued {
        queue_ns = ktime::between(slot.queued_ns, slot.issued_ns);
        device_ns = ktime::between(slot.issued_ns, now);
    }
    End {
        now,
        cpu,
        issued,
        queue_ns,
        device_ns,
        total_ns,
        overlap_ns,
        service_ns: service::ended(slot, now, total_ns, cpu),
    }
}

#[inline(always)]
pub(super) fn count_latencies(series: *mut Series, end: &End) {
    // SAFETY: a field of an element of an array map.
    unsafe { counter::raise(&raw mut (*series).slowest_ns, end.total_ns) };
    if end.issued {
        series::observe(series, Latency::Queue, end.queue_ns);
        series::observe(series, Latency::Device, end.device_ns);
    }
    series::observe(series, Latency::Total, end.total_ns);
    if end.overlap_ns > 0 {
        series::observe(series, Latency::Exposed, end.total_ns);
    }
}

/// Counts a request that no row of uses counted; rows are not counted here again.
#[inline(never)]
pub(super) fn count_series(series: *mut Series, slot: &Slot, end: &End) {
    // SAFETY: fields of an element of an array map.
    unsafe {
        counter::add(&raw mut (*series).ops, 1);
        counter::add(&raw mut (*series).bytes, slot.done_bytes.into());
        counter::add(&raw mut (*series).queue_ns, end.queue_ns);
        counter::add(&raw mut (*series).device_ns, end.device_ns);
        counter::add(&raw mut (*series).unissued_ns, end.unissued_ns());
    }
}

/// [`count_use`] did not.
pub(super) const NOT_COUNTED: u64 = u64::MAX;

/// Returns how many slow ones this copy of its row has; [`NOT_COUNTED`] when there is no row for it.
#[inline(always)]
pub(super) fn count_use(slot: &Slot, end: &End, slow: bool) -> u64 {
    let Some((row, place)) = row(slot, end.cpu) else {
        uses::count_lost();
        return NOT_COUNTED;
    };
    // SAFETY: fields of an element of an array map.
    unsafe {
        counter::add(&raw mut (*row).ops, 1);
        counter::add(&raw mut (*row).bytes, slot.done_bytes.into());
        if end.issued {
            counter::add(&raw mut (*row).queue_ns, end.queue_ns);
            counter::add(&raw mut (*row).device_ns, end.device_ns);
        } else {
            counter::add(&raw mut (*row).unissued_ns, end.total_ns);
        }
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
    }
    exposure::observe(place, end.overlap_ns > 0, end.total_ns);
    // SAFETY: as above.
    unsafe { (*row).slow_ops }
}

/// This CPU's copy of the row of a request's actor, and where that is.
#[inline(always)]
fn row(slot: &Slot, cpu: u32) -> Option<(*mut Use, u32)> {
    let owner = owner(UseKey {
        actor: slot.actor,
        disk: slot.disk,
        op: slot.op.into(),
    });
    uses::copy(slot.row, owner, cpu).or_else(|| {
        let number = uses::number(slot.actor, slot.disk, slot.op);
        uses::copy(number, owner, cpu)
    })
}

/// Counts a request whose completion was missed: without a latency.
#[inline(always)]
pub(super) fn count_unseen(slot: &Slot) {
    let cpu = cpu::current();
    if let Some((row, _)) = row(slot, cpu) {
        // SAFETY: fields of an element of an array map.
        unsafe {
            counter::add(&raw mut (*row).ops, 1);
            counter::add(&raw mut (*row).bytes, slot.bytes.into());
        }
    } else if let Some(series) = series::copy(slot.series, cpu) {
        // SAFETY: as above.
        unsafe {
            counter::add(&raw mut (*series).ops, 1);
            counter::add(&raw mut (*series).bytes, slot.bytes.into());
        }
    }
}
