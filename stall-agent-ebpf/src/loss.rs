//! What was not measured.

use aya_ebpf::{macros::map, maps::Array};
use stall_common::loss::{LOSSES as CAUSES, Loss};

use crate::counter;

#[map]
static LOSSES: Array<u64> = Array::with_max_entries(CAUSES as u32, 0);

/// Counts one loss.
#[inline(always)]
pub(crate) fn count(cause: Loss) {
    if let Some(counter) = LOSSES.get_ptr_mut(cause as u32) {
        // SAFETY: a pointer to an element of an array map.
        unsafe { counter::add(counter, 1) };
    }
}
