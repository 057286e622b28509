//! The ring buffer of rare records, and how many may be sent per interval.

use aya_ebpf::{
    macros::map,
    maps::{Array, RingBuf},
};
use stall_common::loss::Loss;
use stall_common::record::{Header, Kind};

use crate::{counter, ktime, loss, params};

/// Sized by user space before load.
#[map]
static RECORDS: RingBuf = RingBuf::with_byte_size(1 << 19, 0);

/// Records sent in this interval; user space sets it back to 0.
#[map]
static RECORDS_SENT: Array<u64> = Array::with_max_entries(1, 0);

/// Sends a record that `fill` completes. What `fill` does not write is undefined.
#[inline(always)]
pub(crate) fn send<T: 'static>(kind: Kind, fill: impl FnOnce(*mut T)) {
    let Some(mut entry) = RECORDS.reserve::<T>(0) else {
        loss::count(Loss::RingFull);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: reserved for a `T`, which begins with a `Header`.
    unsafe {
        record.cast::<Header>().write(Header {
            kind: kind as u32,
            reserved: 0,
            time_ns: ktime::now(),
        });
    }
    fill(record);
    entry.submit(0);
}

/// Whether the interval's budget allows another record; takes it if so. CPUs that ask at once may each get the last one: a few too
/// many are sent, for which the ring has room.
#[inline(always)]
pub(crate) fn within_budget() -> bool {
    let Some(sent) = RECORDS_SENT.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: a pointer to an element of an array map.
    let before = unsafe { sent.read_volatile() };
    if before >= u64::from(params::record_budget()) {
        loss::count(Loss::RecordBudget);
        return false;
    }
    // SAFETY: as above.
    unsafe { counter::add(sent, 1) };
    true
}
