//! Files a thread has open, and its working directory (include/linux/fdtable.h, fs.h, fs_struct.h).
//!
//! Nothing is locked and no reference taken: structures of a thread other than the running one may be freed while they are
//! read. Everything is copied by a helper that does not fault; at worst a stale device is reported.

use aya_ebpf::bindings::task_struct;
use aya_ebpf::helpers::generated::bpf_task_pt_regs;
use stall_common::blocked::NO_SYSCALL;
use stall_common::layout::ABSENT;
use stall_common::task_io::{DEVICES, Devices, FILES};

use super::reach::Reach;
use super::{Task, Typed, bytes, layout, u32_at, u64_at};
use crate::counter;

const STDERR: u32 = 2;
/// `FMODE_WRITE`
const WRITE: u32 = 2;
/// `S_IFMT`
const KIND: u16 = 0o170_000;
/// `S_IFREG`
const REGULAR: u16 = 0o100_000;
/// `S_IFDIR`
const DIRECTORY: u16 = 0o040_000;
/// `S_IFBLK`
const BLOCK_DEVICE: u16 = 0o060_000;

/// On which filesystem a file is, or which block device it is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    /// `major << 20 | minor`; 0 when there is no such file.
    pub(crate) device: u32,
    /// `super_block.s_writers.frozen`: 0 when it takes writes.
    state: u16,
}

/// A thread's open files.
#[derive(Clone, Copy)]
pub(crate) struct Files {
    count: u32,
    /// Addresses of the files, by descriptor.
    table: *const u8,
}

/// An open file.
#[derive(Clone, Copy)]
pub(crate) struct File(*const u8);

impl<R: Reach> Task<R> {
    /// Its open files; `None` for a thread of the kernel.
    #[inline(always)]
    pub(crate) fn files(self) -> Option<Files> {
        if layout!(task_files) == ABSENT {
            return None;
        }
        let files = u64_at(self.0, layout!(task_files)) as *const u8;
        if files.is_null() {
            return None;
        }
        let table = u64_at(files, layout!(files_fdt)) as *const u8;
        Some(Files {
            count: u32_at(table, layout!(fdtable_max_fds)),
            table: u64_at(table, layout!(fdtable_fd)) as *const u8,
        })
    }

    /// Where its working directory is.
    #[inline(always)]
    pub(crate) fn working_directory(self) -> Place {
        if layout!(task_files) == ABSENT {
            return Place::default();
        }
        let fs = u64_at(self.0, layout!(task_fs)) as *const u8;
        if fs.is_null() {
            return Place::default();
        }
        let dentry = u64_at(fs, layout!(fs_pwd_dentry)) as *const u8;
        place(u64_at(dentry, layout!(dentry_sb)) as *const u8)
    }
}

impl Task<Typed> {
    /// The system call that a thread of a program is in, and its first argument.
    #[inline(always)]
    pub(crate) fn system_call(self) -> (u32, u32) {
        if layout!(helper_task_pt_regs) == ABSENT {
            return (NO_SYSCALL, 0);
        }
        let task: *mut task_struct = self.as_ptr();
        // SAFETY: a task that the verifier knows to be one.
        let registers = unsafe { bpf_task_pt_regs(task) } as *const u8;
        (
            u32_at(registers, layout!(regs_syscall)),
            u32_at(registers, layout!(regs_first)),
        )
    }
}

impl Files {
    #[inline(always)]
    pub(crate) fn get(self, descriptor: u32) -> Option<File> {
        if descriptor >= self.count {
            return None;
        }
        let file = u64_at(self.table.wrapping_add(descriptor as usize * 8), 0) as *const u8;
        (!file.is_null()).then_some(File(file))
    }

    /// The device of a filesystem of one of them that takes no writes.
    #[inline(always)]
    pub(crate) fn frozen(self) -> Option<u32> {
        let mut descriptor = 0;
        while descriptor < FILES && descriptor < self.count {
            let file = self.get(descriptor);
            if let Some(device) = file.and_then(|file| file.place().frozen()) {
                return Some(device);
            }
            descriptor += 1;
        }
        None
    }

    /// The devices of those open for writing, from descriptor `first` on; the caller skips stderr, which is for messages.
    ///
    /// The count is kept in memory, whose content the verifier does not track: it would otherwise follow each count through
    /// all remaining files.
    #[inline(always)]
    pub(crate) fn written(self, first: u32, to: *mut Devices) {
        // SAFETY: fields of a buffer; the place is within the array.
        unsafe {
            (&raw mut (*to).count).write_volatile(0);
            let mut descriptor = first;
            while descriptor < FILES && descriptor < self.count {
                let device = if descriptor == STDERR {
                    0
                } else {
                    self.written_device(descriptor)
                };
                let count = (&raw const (*to).count).read_volatile();
                let place = counter::opaque(u64::from(count)) as usize % DEVICES;
                (&raw mut (*to).devices[place]).write_volatile(device);
                (&raw mut (*to).count).write_volatile(count + u32::from(device != 0));
                descriptor += 1;
            }
        }
    }

    /// 0 when it is not open for writing.
    #[inline(always)]
    fn written_device(self, descriptor: u32) -> u32 {
        let file = self.get(descriptor);
        let file = file.filter(|file| u32_at(file.0, layout!(file_mode)) & WRITE != 0);
        file.map_or(0, |file| file.place().device)
    }
}

impl Place {
    /// The device of a filesystem that takes no writes.
    #[inline(always)]
    pub(crate) fn frozen(self) -> Option<u32> {
        (self.state != 0 && self.device != 0).then_some(self.device)
    }
}

impl File {
    /// Of a regular file or directory the filesystem's, of a block device its own.
    #[inline(always)]
    pub(crate) fn place(self) -> Place {
        let inode = u64_at(self.0, layout!(file_inode)) as *const u8;
        let kind = u16::from_ne_bytes(bytes(inode, layout!(inode_mode))) & KIND;
        if kind == BLOCK_DEVICE {
            return Place {
                device: u32_at(inode, layout!(inode_rdev)),
                state: 0,
            };
        }
        if kind != REGULAR && kind != DIRECTORY {
            return Place::default();
        }
        place(u64_at(inode, layout!(inode_sb)) as *const u8)
    }
}

#[inline(always)]
pub(super) fn place(superblock: *const u8) -> Place {
    // `MINORBITS` of `dev_t` is 20: it is `major << 20 | minor` as it is.
    let device = u32_at(superblock, layout!(sb_dev));
    let state = u16::from_ne_bytes(bytes(superblock, layout!(sb_frozen)));
    Place { device, state }
}
