//! Who plays in the guest: a reader and a trim, each this program under another name.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// What direct I/O asks for on any of the disks.
pub(super) const BLOCK: usize = 4096;

/// A buffer that direct I/O takes.
#[repr(align(4096))]
pub(super) struct Aligned(pub(super) [u8; BLOCK]);

mod ioctl {
    //! `FITRIM` (include/uapi/linux/fs.h).

    /// `struct fstrim_range`
    #[repr(C)]
    pub(super) struct Range {
        pub(super) start: u64,
        pub(super) len: u64,
        pub(super) minlen: u64,
    }

    nix::ioctl_readwrite!(fitrim, b'X', 121, Range);
}

/// `postgres FILE SECONDS`: reads a block now and then, past the page cache.
///
/// # Errors
///
/// When the file cannot be read.
pub fn read(words: &[String]) -> Result<()> {
    let (path, seconds) = (word(words, 0)?, word(words, 1)?.parse()?);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .with_context(|| format!("opening {path}"))?;
    let blocks = (file.metadata()?.len() / BLOCK as u64).max(1);
    let mut buffer = Box::new(Aligned([0; BLOCK]));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut block = 0;
    while Instant::now() < end {
        file.read_exact_at(&mut buffer.0, block % blocks * BLOCK as u64)?;
        // Far from the one before: nothing to merge with.
        block += 997;
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// `fstrim DIRECTORY`: as util-linux does it.
///
/// # Errors
///
/// When the filesystem cannot be trimmed.
pub fn trim(words: &[String]) -> Result<()> {
    let path = word(words, 0)?;
    let directory = File::open(path).with_context(|| format!("opening {path}"))?;
    let mut range = ioctl::Range {
        start: 0,
        len: u64::MAX,
        minlen: 0,
    };
    // SAFETY: the descriptor is open, and the range lives as long as the call.
    unsafe { ioctl::fitrim(directory.as_raw_fd(), &raw mut range) }
        .with_context(|| format!("trimming {path}"))?;
    println!("{} bytes trimmed", range.len);
    Ok(())
}

fn word(words: &[String], index: usize) -> Result<&str> {
    let word = words.get(index).map(String::as_str);
    word.context("too few words")
}
