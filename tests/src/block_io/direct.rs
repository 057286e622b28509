//! Exact I/O on a block device or file: one call, one request, nothing cached.
//!
//! Contract: reads and writes are O_DIRECT from an aligned buffer; offsets and lengths must be
//! multiples of the logical block size.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};

/// More than any device asks for.
const ALIGNMENT: usize = 4096;

// The kernel's header says _IO(0x12, ...) although they take a pointer to two u64.
nix::ioctl_write_ptr_bad!(blkdiscard, nix::request_code_none!(0x12, 119), [u64; 2]);
nix::ioctl_write_ptr_bad!(blkzeroout, nix::request_code_none!(0x12, 127), [u64; 2]);

/// A device or file, opened past the page cache.
#[derive(Debug)]
pub struct Direct {
    file: File,
    buffer: Vec<u8>,
}

impl Direct {
    /// Opens for reading and writing.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)
            .with_context(|| format!("opening {}", path.display()))?;
        Ok(Self {
            file,
            buffer: Vec::new(),
        })
    }

    /// Reads so many bytes; returns them.
    pub fn read(&mut self, offset: u64, length: usize) -> Result<&[u8]> {
        let buffer = aligned(&mut self.buffer, length);
        self.file
            .read_exact_at(buffer, offset)
            .with_context(|| format!("reading {length} bytes at {offset}"))?;
        Ok(buffer)
    }

    /// Writes so many bytes of a value.
    pub fn write(&mut self, offset: u64, length: usize, value: u8) -> Result<()> {
        let buffer = aligned(&mut self.buffer, length);
        buffer.fill(value);
        self.file
            .write_all_at(buffer, offset)
            .with_context(|| format!("writing {length} bytes at {offset}"))
    }

    /// Flushes what was written (fdatasync).
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().context("syncing")
    }

    /// Discards a range of a block device (BLKDISCARD).
    pub fn discard(&self, offset: u64, length: u64) -> Result<()> {
        let range = [offset, length];
        // SAFETY: the pointer is to two u64, alive during the call.
        unsafe { blkdiscard(self.file.as_raw_fd(), &raw const range) }
            .with_context(|| format!("discarding {length} bytes at {offset}"))?;
        Ok(())
    }

    /// Zeroes a range of a block device (BLKZEROOUT).
    pub fn zero(&self, offset: u64, length: u64) -> Result<()> {
        let range = [offset, length];
        // SAFETY: the pointer is to two u64, alive during the call.
        unsafe { blkzeroout(self.file.as_raw_fd(), &raw const range) }
            .with_context(|| format!("zeroing {length} bytes at {offset}"))?;
        Ok(())
    }
}

/// An aligned part of the buffer, which grows as needed.
fn aligned(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    let room = length + ALIGNMENT;
    if buffer.len() < room {
        buffer.resize(room, 0);
    }
    let skip = buffer.as_ptr().align_offset(ALIGNMENT);
    &mut buffer[skip..skip + length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_also_after_growing() {
        let mut buffer = Vec::new();
        for length in [512, 65536, 4096] {
            let part = aligned(&mut buffer, length);
            assert_eq!(
                (part.as_ptr() as usize % ALIGNMENT, part.len()),
                (0, length)
            );
        }
    }
}
