//! A virtual machine that reads its disk, one block after the other, and says on its console how long each read took by
//! its own clock.
//!
//! Contract: process 1, until the machine is ended from outside. A line is [`READ`] and nanoseconds.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::cast::{Aligned, BLOCK};
use super::system;

/// What a line begins with.
pub const READ: &str = "@@ read ";

const DISK: &str = "vda";
/// From the end of a read to the next one.
const PAUSE: Duration = Duration::from_millis(10);
/// Blocks between one read and the next: nothing to merge with, nothing to read ahead.
const STRIDE: u64 = 997;

/// Reads until the machine is ended.
///
/// # Errors
///
/// When there is no disk, or it cannot be read.
pub fn run() -> Result<()> {
    system::set_up(&[DISK])?;
    let path = format!("/dev/{DISK}");
    let disk = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(&path)
        .with_context(|| format!("opening {path}"))?;
    let bytes = std::fs::read_to_string(format!("/sys/block/{DISK}/size"))?;
    let blocks = bytes.trim().parse::<u64>()? * 512 / BLOCK as u64;
    let mut buffer = Box::new(Aligned([0; BLOCK]));
    let mut block = 0;
    loop {
        let begin = Instant::now();
        disk.read_exact_at(&mut buffer.0, block % blocks * BLOCK as u64)?;
        println!("{READ}{}", begin.elapsed().as_nanos());
        block += STRIDE;
        thread::sleep(PAUSE);
    }
}
