//! What goes on while the agent is watched: a busy disk, processes that start and end fast, disks that come and go.
//!
//! Contract: everything ends with `stop`, or when it is dropped.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::outcome::Done;
use crate::block_io::load::Load as Reader;
use crate::fio::{Engine, Job, Pattern, Running};
use crate::loop_device::LoopDevice;
use crate::scratch::Scratch;
use crate::spawned::find_program;
use crate::staged::StagedDisk;

/// Programs that are started by each of two threads, at most, per second.
const STARTS: u32 = 500;
/// From one disk that comes to the next: few enough that an hour's readers fit into the maps.
const DISK_EVERY: Duration = Duration::from_secs(2);

pub(super) struct Load {
    fio: Running,
    over: Arc<AtomicBool>,
    starting: Vec<JoinHandle<Result<u64>>>,
    disks: JoinHandle<Result<u64>>,
    begun: Instant,
}

impl Load {
    pub(super) fn start(disk: &StagedDisk, duration: Duration) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let job = Job::new(Pattern::RandReadWrite, &disk.device())
            .called("busy")
            .engine(Engine::Libaio)
            .depth(16)
            .size(512 << 20)
            .runtime(duration + Duration::from_secs(600));
        let starting = (0..2).map(|_| begin(&over, programs));
        Ok(Self {
            fio: job.start()?,
            starting: starting.collect(),
            disks: begin(&over, disks),
            begun: Instant::now(),
            over,
        })
    }

    pub(super) fn stop(self) -> Result<Done> {
        self.over.store(true, Ordering::Relaxed);
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut programs = 0;
        for thread in self.starting {
            programs += joined(thread)?;
        }
        let disks = joined(self.disks)?;
        self.fio.stop()?;
        Ok(Done {
            programs,
            programs_per_second: programs as f64 / seconds,
            disks,
        })
    }
}

fn begin(over: &Arc<AtomicBool>, work: fn(&AtomicBool) -> Result<u64>) -> JoinHandle<Result<u64>> {
    let over = Arc::clone(over);
    thread::spawn(move || work(&over))
}

fn joined(thread: JoinHandle<Result<u64>>) -> Result<u64> {
    match thread.join() {
        Ok(done) => done,
        Err(_) => bail!("a thread panicked"),
    }
}

/// Starts programs that do nothing, one after another.
fn programs(over: &AtomicBool) -> Result<u64> {
    let program = find_program("true")?;
    let (begin, mut count) = (Instant::now(), 0u32);
    while !over.load(Ordering::Relaxed) {
        let status = Command::new(&program).stdin(Stdio::null()).status()?;
        ensure!(status.success(), "true: {status}");
        count += 1;
        let due = Duration::from_secs(1) * count / STARTS;
        thread::sleep(due.saturating_sub(begin.elapsed()));
    }
    Ok(count.into())
}

/// Attaches loop devices, has each read, and detaches them.
fn disks(over: &AtomicBool) -> Result<u64> {
    let folder = Scratch::new()?;
    let image = folder.path().join("image");
    File::create(&image)?.set_len(16 << 20)?;
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        let mut device = LoopDevice::attach(&image, 4096)?;
        Reader::run("passer-by", &device.path(), &["read:0:4096:10"])?;
        device.detach()?;
        count += 1;
        thread::sleep(DISK_EVERY);
    }
    Ok(count)
}
