//! Numbers that several CPUs change.

use core::arch::asm;

/// Adds to a counter in a map.
///
/// The compiler offers no atomic addition for BPF (`atomic_cas` is off for the target), so it is
/// written out: `BPF_ATOMIC | BPF_ADD`, on all kernels.
///
/// # Safety
///
/// `counter` points into a map value and is aligned.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, value: u64) {
    // SAFETY: by contract.
    unsafe {
        asm!("lock *(u64 *)({to} + 0) += {value}", to = in(reg) counter, value = in(reg) value, options(nostack));
    }
}

/// Adds one to a histogram's bucket.
///
/// # Safety
///
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn increment(counter: *mut u32) {
    // SAFETY: by contract.
    unsafe {
        asm!("lock *(u32 *)({to} + 0) += {one}", to = in(reg) counter, one = in(wreg) 1u32, options(nostack));
    }
}

/// Allocation attempts.
const ATTEMPTS: u32 = 4;

/// Allocates the next number of a counter that only this function increments. `None` when others interfered in every attempt;
/// the numbers tried then stay unused.
///
/// We avoid `BPF_FETCH` atomics: kernels before 5.12 reject any program that contains one. So the counter is read before and
/// after the addition. If it grew by one, this was the only addition, and no other caller sees the same step. Another CPU and an
/// interrupt are the same case.
///
/// # Safety
///
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn take(counter: *mut u64) -> Option<u64> {
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        // SAFETY: by contract; volatile: read anew each time.
        unsafe {
            let before = counter.read_volatile();
            add(counter, 1);
            if counter.read_volatile() == before + 1 {
                return Some(before);
            }
        }
        attempt += 1;
    }
    None
}

/// The value, which is below 1,024, hidden from the compiler's range analysis. The compiler would
/// otherwise test another register than the one it then adds to a pointer, which the verifier
/// refuses. An empty template would put two lines of debugging
/// information on one instruction, which the kernel refuses too.
#[inline(always)]
pub(crate) fn opaque(mut value: u64) -> u64 {
    // SAFETY: changes a register only.
    unsafe { asm!("{value} &= 1023", value = inout(reg) value, options(nomem, nostack)) };
    value
}

/// Raises a maximum. Two CPUs that raise it at once may keep the smaller of two values; BPF has
/// no atomic maximum.
///
/// # Safety
///
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn raise(maximum: *mut u64, value: u64) {
    // SAFETY: by contract.
    unsafe {
        if value > *maximum {
            *maximum = value;
        }
    }
}
