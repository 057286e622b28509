//! What user space says while the programs run.

use aya_ebpf::{macros::map, maps::Array};
use stall_common::control::SWITCHES;

#[map]
static CONTROL: Array<u32> = Array::with_max_entries(SWITCHES, 0);

/// Whether a switch of `stall_common::control` is on.
#[inline(always)]
pub(crate) fn is_on(switch: u32) -> bool {
    // SAFETY: a pointer to an element of an array map.
    CONTROL
        .get_ptr(switch)
        .is_some_and(|on| unsafe { on.read_volatile() } != 0)
}
