//! What user space set before load.

use stall_common::params::Params;

#[unsafe(no_mangle)]
static PARAMS: Params = Params {
    slow_ns: 0,
    stack_min_ns: 0,
    filter: 0,
    copies_mask: 0,
    noted: 0,
    typed_current: 0,
    rows: 0,
    reserved: 0,
};

macro_rules! param {
    ($name:ident => $field:ident: $type:ty) => {
        #[inline(always)]
        pub(crate) fn $name() -> $type {
            // SAFETY: a field of a static that user space replaced before load and that is frozen
            // since; volatile, so that the compiler does not take the initial value for granted.
            unsafe { core::ptr::read_volatile(&raw const PARAMS.$field) }
        }
    };
}

param!(slow_ns => slow_ns: u64);
param!(stack_min_ns => stack_min_ns: u64);
param!(copies_mask => copies_mask: u32);
param!(rows => rows: u32);

/// Whether submitters are noted by bio. The verifier knows that it is constant and skips the code that depends on it, a
/// quarter of the load time.
#[inline(always)]
pub(crate) fn noted() -> bool {
    // SAFETY: as for the others.
    unsafe { core::ptr::read_volatile(&raw const PARAMS.noted) != 0 }
}

/// Whether the running task can be had as a pointer of a type.
#[inline(always)]
pub(crate) fn has_typed_current() -> bool {
    // SAFETY: as above.
    unsafe { core::ptr::read_volatile(&raw const PARAMS.typed_current) != 0 }
}

/// Whether only the disks in `DISK_FILTER` are traced.
#[inline(always)]
pub(crate) fn filtered() -> bool {
    // SAFETY: as above.
    unsafe { core::ptr::read_volatile(&raw const PARAMS.filter) != 0 }
}
