//! The clock, and differences that do not wrap.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use stall_common::loss::Loss;

use crate::loss;

/// Now, ns of `CLOCK_MONOTONIC`.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and can be called anywhere.
    unsafe { bpf_ktime_get_ns() }
}

/// `end - start`; 0 and counted when the end is before the start, as can be when two CPUs' clocks
/// or the kernel's cached stamps disagree.
#[inline(always)]
pub(crate) fn between(start: u64, end: u64) -> u64 {
    if end < start {
        loss::count(Loss::NegativeTime);
        return 0;
    }
    end - start
}
