//! The staged disk: slow disk, loop device, file system, mount, as one thing that goes away.
//!
//! Contract: `start` gives a disk that is as slow as asked for, from a state that does not depend
//! on who used the loop device before; dropping it, a panic, SIGINT or SIGTERM take everything
//! down in the right order, also when parts are broken or a step failed.

pub mod control;
pub mod counters;
mod parts;
pub mod queue;
pub mod sweep;
pub mod trim;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use anyhow::{Context as _, Result};

pub use self::control::Daemon;
pub use self::counters::{InFlight, KernelCounters};
use self::parts::{Parts, Standing};
use self::queue::Queue;
use self::sweep::{disk_folder, mount_folder};
use crate::interrupt::{self, TakeDown as _};
pub use crate::mounted::FileSystem;
use crate::slow_disk::command::Setting;
use crate::slow_disk::daemon::Options;
use crate::slow_disk::{Delay, FILE_NAME, LockMode, Op};
use crate::spawned::program_beside;

/// What makes queue settings independent of who used the loop device before.
const QUEUE_DEFAULTS: [(&str, &str); 11] = [
    ("scheduler", "none"),
    // The driver's tags keep a depth set once after a change of scheduler has put the number back, and only
    // another number changes them.
    ("nr_requests", "127"),
    ("nr_requests", "128"),
    ("max_sectors_kb", "512"),
    ("read_ahead_kb", "128"),
    ("wbt_lat_usec", "2000"),
    ("nomerges", "0"),
    ("rq_affinity", "1"),
    ("iostats", "1"),
    ("rotational", "0"),
    ("discard_max_bytes", "67108864"),
];

/// How to stage a disk.
#[derive(Clone, Debug)]
pub struct Builder {
    size: u64,
    threads: u16,
    block_size: u32,
    file_system: Option<FileSystem>,
    mount_options: String,
    settings: Vec<Setting>,
    queue: Vec<(String, String)>,
    program: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            size: 4 << 30,
            threads: 136,
            block_size: 4096,
            file_system: None,
            mount_options: String::new(),
            settings: Vec::new(),
            queue: Vec::new(),
            program: None,
        }
    }
}

impl Builder {
    /// Size in bytes; it takes memory only for what is written.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = bytes;
        self
    }

    /// How many operations can be at the disk at once; by default more than the queue has tags, so
    /// that the log knows each from the moment the driver has it.
    pub fn threads(mut self, threads: u16) -> Self {
        self.threads = threads;
        self
    }

    /// The loop device's logical block size.
    pub fn block_size(mut self, bytes: u32) -> Self {
        self.block_size = bytes;
        self
    }

    /// Makes and mounts a file system; without, the disk is bare.
    pub fn file_system(mut self, file_system: FileSystem) -> Self {
        self.file_system = Some(file_system);
        self
    }

    /// Mount options of the file system, such as `discard`.
    pub fn mount_options(mut self, options: &str) -> Self {
        options.clone_into(&mut self.mount_options);
        self
    }

    /// The time of one kind of operation, set when everything stands.
    pub fn delay(self, op: Op, delay: Delay) -> Self {
        self.setting(Setting::Delay(op, delay))
    }

    /// What excludes what.
    pub fn lock(self, mode: LockMode) -> Self {
        self.setting(Setting::Lock(mode))
    }

    /// Any setting of the disk, set when everything stands.
    pub fn setting(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }

    /// Most bytes of one discard request.
    pub fn discard_max(self, bytes: u64) -> Self {
        self.queue("discard_max_bytes", &bytes.to_string())
    }

    /// A queue setting, in addition to the defaults or in place of one.
    pub fn queue(mut self, name: &str, value: &str) -> Self {
        self.queue.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The slow disk's program, when it is not beside this one.
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_path_buf());
        self
    }

    /// Stages the disk.
    pub fn start(&self) -> Result<StagedDisk> {
        sweep_once()?;
        let parts = Arc::new(Parts::default());
        interrupt::register(&parts)?;
        // From here on, dropping takes down whatever stands.
        let disk = Raised { parts };
        let folder = disk.parts.step(make_folder)?;
        let daemon = disk.parts.step(|s| self.start_daemon(s, &folder))?;
        let (name, dev) = disk.parts.step(|s| self.attach(s, &folder))?;
        disk.parts.step(|s| self.set_queue(s, &name))?;
        if let Some(file_system) = self.file_system {
            disk.parts
                .step(|s| self.make_file_system(s, file_system, &folder))?;
        }
        daemon.set(self.settings.clone())?;
        Ok(StagedDisk {
            mount: mount_folder(&folder),
            daemon,
            name,
            dev,
            file_system: self.file_system,
            mount_options: self.mount_options.clone(),
            raised: disk,
        })
    }

    fn start_daemon(&self, standing: &mut Standing, folder: &Path) -> Result<Arc<Daemon>> {
        let program = match &self.program {
            Some(path) => path.clone(),
            None => program_beside("slow-disk")?,
        };
        let options = Options {
            mount: disk_folder(folder),
            size: self.size,
            threads: self.threads,
        };
        let daemon = Arc::new(Daemon::start(&program, &options)?);
        standing.daemon = Some(Arc::clone(&daemon));
        Ok(daemon)
    }

    fn attach(&self, standing: &mut Standing, folder: &Path) -> Result<(String, u64)> {
        let backing = disk_folder(folder).join(FILE_NAME);
        let device = crate::loop_device::LoopDevice::attach(&backing, self.block_size)?;
        let identity = (device.name().to_owned(), device.dev());
        standing.tell_daemon(&device.path())?;
        standing.loop_device = Some(device);
        Ok(identity)
    }

    fn set_queue(&self, standing: &mut Standing, name: &str) -> Result<()> {
        let queue = standing.queue.insert(Queue::of(name));
        for (name, value) in QUEUE_DEFAULTS {
            queue.set(name, value)?;
        }
        for (name, value) in &self.queue {
            queue.set(name, value)?;
        }
        Ok(())
    }

    fn make_file_system(
        &self,
        standing: &mut Standing,
        file_system: FileSystem,
        folder: &Path,
    ) -> Result<()> {
        let device = standing.device_path()?;
        file_system.make(&device)?;
        let mount = mount_folder(folder);
        file_system.mount(&device, &mount, &self.mount_options)?;
        standing.tell_daemon(&mount)?;
        standing.mounted = Some((file_system, mount));
        Ok(())
    }
}

/// What others left is gone before the first disk of this process stands.
fn sweep_once() -> Result<()> {
    static SWEPT: Once = Once::new();
    let mut result = Ok(0);
    SWEPT.call_once(|| result = sweep::sweep(&std::env::temp_dir()));
    match result? {
        0 => {}
        count => eprintln!("staged disk: took down what {count} that died had left"),
    }
    Ok(())
}

fn make_folder(standing: &mut Standing) -> Result<PathBuf> {
    let folder = tempfile::Builder::new()
        .prefix(sweep::PREFIX)
        .tempdir()
        .context("making a folder for the staged disk")?;
    let path = folder.path().to_path_buf();
    standing.claim = sweep::Claim::take(&path)?;
    standing.folder = Some(folder);
    fs::create_dir(disk_folder(&path))?;
    fs::create_dir(mount_folder(&path))?;
    Ok(path)
}

/// Takes the parts down when dropped.
#[derive(Debug)]
struct Raised {
    parts: Arc<Parts>,
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.parts.take_down();
    }
}

/// A disk that stands until it is dropped.
#[derive(Debug)]
pub struct StagedDisk {
    mount: PathBuf,
    daemon: Arc<Daemon>,
    name: String,
    dev: u64,
    file_system: Option<FileSystem>,
    mount_options: String,
    raised: Raised,
}

impl StagedDisk {
    /// How to stage one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The device's name: `loop3`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device's path: `/dev/loop3`.
    pub fn device(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// The device's number, as in `st_rdev`.
    pub fn dev(&self) -> u64 {
        self.dev
    }

    /// The device's number as major and minor.
    pub fn major_minor(&self) -> (u64, u64) {
        (
            nix::sys::stat::major(self.dev),
            nix::sys::stat::minor(self.dev),
        )
    }

    /// Where its file system is mounted; an empty folder of a bare disk.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// What can be done to it while it runs.
    pub fn control(&self) -> &Daemon {
        &self.daemon
    }

    /// The kernel's counters of it now.
    pub fn counters(&self) -> Result<KernelCounters> {
        KernelCounters::read(&self.name)
    }

    /// The kernel's count of requests that its driver has now.
    pub fn in_flight(&self) -> Result<InFlight> {
        InFlight::read(&self.name)
    }

    /// Unmounts and mounts again: ext4 forgets which groups were trimmed, caches are empty.
    pub fn remount(&self) -> Result<()> {
        self.raised.parts.step(|standing| {
            let Some((file_system, folder)) = standing.mounted.take() else {
                return Ok(());
            };
            crate::mounted::unmount(&folder, parts::UNMOUNT_WITHIN)?;
            file_system.mount(&self.device(), &folder, &self.mount_options)?;
            standing.mounted = Some((file_system, folder));
            Ok(())
        })
    }

    /// Writes a queue setting; what was there before comes back at the end.
    pub fn set_queue(&self, name: &str, value: &str) -> Result<()> {
        self.raised
            .parts
            .step(|standing| match &mut standing.queue {
                Some(queue) => queue.set(name, value),
                None => Ok(()),
            })
    }

    /// The file system on it.
    pub fn file_system(&self) -> Option<FileSystem> {
        self.file_system
    }
}

impl Standing {
    fn device_path(&self) -> Result<PathBuf> {
        let device = self.loop_device.as_ref().context("no loop device stands")?;
        Ok(device.path())
    }

    /// Tells the daemon what stands on it, in case that we are killed.
    fn tell_daemon(&self, path: &Path) -> Result<()> {
        let daemon = self.daemon.as_ref().context("no slow disk stands")?;
        daemon
            .send(&crate::slow_disk::command::Command::Attach(
                path.to_path_buf(),
            ))
            .map(drop)
    }
}
