//! The unsafe boundary: typed handles over kernel pointers.
//!
//! A handle wraps a pointer the verifier knows the type of (a tracepoint's argument, or one loaded
//! from such). A field is read by a direct load at an offset that user space took from the running
//! kernel's BTF and that the verifier sees as a constant, so a wrong offset is refused at load. A
//! load through a null pointer of this kind reads 0; it does not fault.

mod args;
mod bio;
mod cgroup;
pub(crate) mod devices;
mod disk;
mod file;
pub(crate) mod lock;
mod reach;
mod request;
pub(crate) mod tags;
mod task;
mod task_iterator;

use core::arch::asm;

pub(crate) use bio::Bio;
pub(crate) use disk::{Gendisk, copy_disk_name, dev_of};
pub(crate) use file::File;
pub(crate) use reach::{Either, Reach, Typed};
pub(crate) use request::Request;
use stall_common::layout::Layout;
pub(crate) use task::Task;
pub(crate) use task_iterator::Context;

/// Replaced by user space before load.
#[unsafe(no_mangle)]
static LAYOUT: Layout = Layout::UNRESOLVED;

/// A value of [`LAYOUT`]. One field at a time: loading the whole struct costs an instruction per
/// field.
macro_rules! layout {
    ($field:ident) => {
        $crate::kernel::frozen(&raw const $crate::kernel::LAYOUT.$field)
    };
}
use layout;

/// Reads a part of a static that is frozen before load; volatile, so that the compiler does not
/// take the initial value for granted.
#[inline(always)]
fn frozen(value: *const u32) -> u32 {
    // SAFETY: only `layout!` calls this, with the address of a field of `LAYOUT`.
    unsafe { core::ptr::read_volatile(value) }
}

/// Loads a field of type `T`.
///
/// # Safety
///
/// `base` is a pointer the verifier can type, and `offset` comes from [`LAYOUT`] for a field of
/// `T`'s size in that type.
#[inline(always)]
unsafe fn load<T: Copy>(base: *const u8, offset: u32) -> T {
    // SAFETY: by contract; what is wrong all the same is refused by the verifier.
    unsafe { core::ptr::read_volatile(base.add(offset as usize).cast::<T>()) }
}

/// The distance of a kernel pointer from a fixed address: a number that identifies it. The verifier allows no other arithmetic
/// on a kernel pointer.
#[inline(always)]
fn distance<T>(of: *const u8, from: *const T) -> u64 {
    let mut address = of as u64;
    // SAFETY: changes a register only.
    unsafe {
        asm!("{address} -= {from}", address = inout(reg) address, from = in(reg) from as u64, options(nomem, nostack));
    }
    address
}

/// Copies `N` bytes of a field.
///
/// # Safety
///
/// As for [`load`], for a field of at least `N` bytes; `to` points to `N` writable bytes.
#[inline(always)]
unsafe fn copy<const N: usize>(base: *const u8, offset: u32, to: *mut [u8; N]) {
    // SAFETY: by contract. The helper writes zeros when the read fails.
    unsafe {
        aya_ebpf::helpers::generated::bpf_probe_read_kernel(
            to.cast(),
            N as u32,
            base.add(offset as usize).cast(),
        );
    }
}

/// A field of eight bytes; as [`bytes`].
#[inline(always)]
fn u64_at(base: *const u8, offset: u32) -> u64 {
    u64::from_ne_bytes(bytes(base, offset))
}

/// A field of four bytes; as [`bytes`].
#[inline(always)]
fn u32_at(base: *const u8, offset: u32) -> u32 {
    u32::from_ne_bytes(bytes(base, offset))
}

/// Copies a field that is behind a number, not behind a pointer the verifier can type; zeros when there
/// is nothing to read.
#[inline(always)]
fn bytes<const N: usize>(base: *const u8, offset: u32) -> [u8; N] {
    let mut bytes = [0; N];
    // SAFETY: as many bytes as there are; the helper refuses an address that is none.
    unsafe { copy(base, offset, &raw mut bytes) };
    bytes
}
