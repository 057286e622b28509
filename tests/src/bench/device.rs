//! The disk that is read: the fastest there is that has requests.
//!
//! What is given; else a null_blk disk where there is one, or a loop device with direct I/O on a file in memory, whose
//! requests go through a kernel thread each.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::fio::{Engine, Job, Pattern};
use crate::loop_device::{self, LoopDevice};

const NULL_BLK: &str = "/dev/nullb0";
const MEMORY: &str = "/dev/shm";
const BLOCK: usize = 4096;
/// Bytes of the disk in memory; of each, where there are many.
const SIZE: u64 = 256 << 20;
const SMALL: u64 = 8 << 20;

/// The disk.
pub(super) struct Device {
    path: PathBuf,
    attached: Option<LoopDevice>,
    /// Whether the kernel had to make one more for it.
    added: bool,
}

impl Device {
    /// Takes or makes it.
    pub(super) fn of(given: Option<&Path>) -> Result<Self> {
        let null = Path::new(NULL_BLK);
        let there = given.or_else(|| null.exists().then_some(null));
        there.map_or_else(|| Self::in_memory(SIZE), |path| Ok(Self::at(path)))
    }

    fn at(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            attached: None,
            added: false,
        }
    }

    /// So many more, for a host with many.
    pub(super) fn many(count: usize) -> Result<Vec<Self>> {
        (0..count).map(|_| Self::in_memory(SMALL)).collect()
    }

    fn in_memory(bytes: u64) -> Result<Self> {
        let mut file =
            tempfile::NamedTempFile::new_in(MEMORY).context("making a file in memory")?;
        // Whole, so that reading does not allocate.
        let zeros = vec![0; 1 << 20];
        for _ in 0..bytes / zeros.len() as u64 {
            file.write_all(&zeros).context("filling a file in memory")?;
        }
        let before = loop_device::names();
        let attached = LoopDevice::attach(file.path(), BLOCK as u32)?;
        // The device keeps the file, whose name may go.
        Ok(Self {
            path: attached.path(),
            added: !before.iter().any(|name| name == attached.name()),
            attached: Some(attached),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `a file on vda, scheduler [mq-deadline] none`
    pub(super) fn describe(&self) -> String {
        let name = disk_of(&self.path).unwrap_or_default();
        let scheduler = fs::read_to_string(format!("/sys/block/{name}/queue/scheduler"));
        let scheduler = scheduler.unwrap_or_default();
        let kind = match &self.attached {
            Some(_) => "a loop device with direct I/O on a file in memory".to_owned(),
            None if self.path.starts_with("/dev") => name,
            None => format!("a file on {name}"),
        };
        format!("{kind}, scheduler {}", scheduler.trim())
    }

    /// Random reads of 4 KiB.
    pub(super) fn load(&self, depth: u32, time: Duration) -> Job {
        reads(&self.path.display().to_string(), depth, time)
    }

    /// To read a block now and then.
    pub(super) fn probe(&self) -> Result<Probe> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(&self.path);
        Ok(Probe {
            file: file.with_context(|| format!("opening {}", self.path.display()))?,
            memory: vec![0; 2 * BLOCK],
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(mut attached) = self.attached.take() {
            let detached = attached.detach();
            let removed = detached.and_then(|()| match self.added {
                true => loop_device::remove(&attached),
                false => Ok(()),
            });
            if let Err(error) = removed {
                eprintln!("bench: {error:#}");
            }
        }
    }
}

/// The name of the disk that a path is, or is on.
fn disk_of(path: &Path) -> Option<String> {
    let found = fs::metadata(path).ok()?;
    let number = if found.file_type().is_block_device() {
        found.rdev()
    } else {
        found.dev()
    };
    let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
    let link = fs::read_link(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

/// Random reads of 4 KiB on one or several, joined by colons.
pub(super) fn reads(files: &str, depth: u32, time: Duration) -> Job {
    Job::new(Pattern::RandRead, Path::new(files))
        .engine(Engine::IoUring)
        .depth(depth)
        .runtime(time)
        .option("norandommap", "1")
}

/// An open disk.
pub(super) struct Probe {
    file: File,
    /// Twice as much as is read, so that an aligned part is in it.
    memory: Vec<u8>,
}

impl Probe {
    /// Reads the first block, past the page cache.
    pub(super) fn read(&mut self) -> Result<()> {
        use std::io::Read as _;
        let from = self.memory.as_ptr().align_offset(BLOCK);
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_exact(&mut self.memory[from..from + BLOCK])?;
        Ok(())
    }
}
