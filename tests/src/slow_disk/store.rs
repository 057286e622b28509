//! What the slow disk's file holds: a sparse file in memory.
//!
//! Contract: of fixed size; holes read as zeroes; a discarded range is a hole again.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result};
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// The disk's bytes.
#[derive(Debug)]
pub struct Store {
    file: File,
    size: u64,
}

impl Store {
    /// An empty store.
    pub fn new(size: u64) -> Result<Self> {
        let fd = memfd_create(c"slow-disk", MFdFlags::MFD_CLOEXEC).context("creating a memfd")?;
        let file = File::from(fd);
        file.set_len(size).context("sizing the memfd")?;
        Ok(Self { file, size })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads into the buffer; returns how many bytes there are before the end.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let there = self.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        self.file.read_exact_at(&mut buffer[..there], offset)?;
        Ok(there)
    }

    /// Writes all of the bytes.
    pub fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    /// Makes the range a hole.
    pub fn punch(&self, offset: u64, length: u64) -> std::io::Result<()> {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let range = (i64::try_from(offset), i64::try_from(length));
        let (Ok(offset), Ok(length)) = range else {
            return Err(std::io::ErrorKind::InvalidInput.into());
        };
        Ok(fallocate(&self.file, flags, offset, length)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_punched_reads_as_zeroes() {
        let store = Store::new(1 << 20).unwrap();
        let mut buffer = [0xff; 4];
        store.write(8192, b"data").unwrap();
        assert_eq!(store.read(8192, &mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"data");
        store.punch(8192, 4096).unwrap();
        store.read(8192, &mut buffer).unwrap();
        assert_eq!(buffer, [0; 4]);
    }

    #[test]
    fn reads_end_at_the_end() {
        let store = Store::new(4096).unwrap();
        assert_eq!(store.read(4094, &mut [0; 8]).unwrap(), 2);
        assert_eq!(store.read(9000, &mut [0; 8]).unwrap(), 0);
    }
}
