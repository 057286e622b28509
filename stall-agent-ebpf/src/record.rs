//! The ring buffer of rare records, and how many may be sent per interval.

use aya_ebpf::{
    helpers::generated::bpf_get_prandom_u32,
    macros::map,
    maps::{Array, RingBuf},
};
use stall_common::loss::Loss;
use stall_common::record::{self, Budget, Header, Kind};

use crate::{counter, ktime, loss};

/// Sized by user space before load.
#[map]
static RECORDS: RingBuf = RingBuf::with_byte_size(1 << 19, 0);

/// By kind of record; set by user space.
#[map]
static BUDGETS: Array<Budget> = Array::with_max_entries(record::BUDGETS, 0);

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

/// Whether the interval's budget of a kind allows another record; takes it if so. What is rare is not thinned out. CPUs that ask at
/// once may each get the last one: a few too many are sent, for which the ring has room.
#[inline(always)]
pub(crate) fn within_budget(kind: u32, is_rare: bool) -> bool {
    let Some(budget) = BUDGETS.get_ptr_mut(kind) else {
        return false;
    };
    // SAFETY: a pointer to an element of an array map, which other CPUs and user space write.
    let Budget { sent, most, one_of } = unsafe { budget.read_volatile() };
    // SAFETY: the helper takes nothing.
    let is_drawn = is_rare || one_of <= 1 || unsafe { bpf_get_prandom_u32() } % one_of == 0;
    if sent >= u64::from(most) || !is_drawn {
        loss::count(Loss::RecordBudget);
        return false;
    }
    // SAFETY: as above.
    unsafe { counter::add(&raw mut (*budget).sent, 1) };
    true
}
