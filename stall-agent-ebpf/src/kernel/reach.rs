//! How the fields of a task are read: by a direct load, or by a copying helper for the running task on kernels that give only
//! its address.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::bpf_get_current_task;
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_probe_read_kernel};

use super::load;
use crate::params;

/// One of the ways.
pub(crate) trait Reach: Copy {
    /// The running task.
    fn current() -> *const u8;

    /// Loads a field of type `T`.
    ///
    /// # Safety
    ///
    /// `base` is reached in this way, and `offset` is that of a field of `T`'s size, of which every value is one.
    unsafe fn field<T: Copy>(base: *const u8, offset: u32) -> T;
}

/// A pointer the verifier can type: what tracepoints and iterators pass, and the running task on 5.11 and later.
#[derive(Clone, Copy)]
pub(crate) struct Typed;

/// The running task, in the way this kernel has. The verifier knows which, and leaves out the other.
#[derive(Clone, Copy)]
pub(crate) struct Either;

impl Reach for Typed {
    #[inline(always)]
    fn current() -> *const u8 {
        // SAFETY: the helper takes nothing.
        unsafe { bpf_get_current_task_btf() }.cast()
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn field<T: Copy>(base: *const u8, offset: u32) -> T {
        // SAFETY: by contract.
        unsafe { load(base, offset) }
    }
}

impl Reach for Either {
    #[inline(always)]
    fn current() -> *const u8 {
        if params::has_typed_current() {
            return Typed::current();
        }
        // SAFETY: the helper takes nothing.
        (unsafe { bpf_get_current_task() }) as *const u8
    }

    // SAFETY: as the trait says.
    #[inline(always)]
    unsafe fn field<T: Copy>(base: *const u8, offset: u32) -> T {
        if params::has_typed_current() {
            // SAFETY: by contract.
            return unsafe { Typed::field(base, offset) };
        }
        let mut value = MaybeUninit::<T>::zeroed();
        // SAFETY: as many bytes as the value has; the helper writes zeros when the read fails, and zeros are a value.
        unsafe {
            bpf_probe_read_kernel(
                value.as_mut_ptr().cast(),
                size_of::<T>() as u32,
                base.add(offset as usize).cast(),
            );
            value.assume_init()
        }
    }
}
