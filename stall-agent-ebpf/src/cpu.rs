//! The CPU a program runs on, on which it stays to its end.

use aya_ebpf::helpers::bpf_get_smp_processor_id;

/// Its number.
#[inline(always)]
pub(crate) fn current() -> u32 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_smp_processor_id() }
}
