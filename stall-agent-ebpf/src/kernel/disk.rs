//! `struct gendisk` (include/linux/blkdev.h).

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use stall_common::disk::{NAME_LEN, dev};

use super::{distance, layout, load, u32_at};

/// A disk a request belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Gendisk(*const u8);

impl Gendisk {
    /// Wraps a pointer loaded from a request or its queue.
    ///
    /// # Safety
    ///
    /// `pointer` is a `struct gendisk *` the verifier can type, or null.
    #[inline(always)]
    pub(crate) unsafe fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }

    /// Its distance from a fixed address: a number that identifies the disk. The verifier allows no other arithmetic on a
    /// kernel pointer.
    #[inline(always)]
    pub(crate) fn distance<T>(self, from: *const T) -> u64 {
        distance(self.0, from)
    }

    /// `major << 20 | minor`; 0 for a hidden disk (the paths of NVMe multipath) and for null.
    #[inline(always)]
    pub(crate) fn dev(self) -> u32 {
        // SAFETY: both are ints of a gendisk.
        let (major, minor): (u32, u32) = unsafe {
            (
                load(self.0, layout!(disk_major)),
                load(self.0, layout!(disk_first_minor)),
            )
        };
        dev(major, minor)
    }
}

/// [`Gendisk::dev`] of a disk that is known by its address only.
#[inline(always)]
pub(crate) fn dev_of(disk: u64) -> u32 {
    let at = |offset| u32_at(disk as *const u8, offset);
    dev(at(layout!(disk_major)), at(layout!(disk_first_minor)))
}

/// Copies the name of a disk, by its address, up to and including its NUL. The kernel's bytes after the NUL are leftovers of
/// formatting the name (`virtblk_name_format`, `sd_format_disk_name`); the bytes after it in `to` are not touched.
#[inline(always)]
pub(crate) fn copy_disk_name(disk: u64, to: *mut [u8; NAME_LEN]) {
    // SAFETY: `disk_name` has DISK_NAME_LEN = 32 bytes, and so has `to`; the helper refuses an address that is none.
    unsafe {
        bpf_probe_read_kernel_str(
            to.cast(),
            NAME_LEN as u32,
            (disk + u64::from(layout!(disk_name))) as *const core::ffi::c_void,
        );
    }
}
