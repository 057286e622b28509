//! A trim of a filesystem whose disk takes discards slowly and lets everybody wait, and readers on it: each has about one
//! slow request for each discard, and of few slow requests no verdict is sure.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::outcome::Outcome;
use super::system::mount_at;
use super::trace::{Report, Tracing};
use crate::block_io::load::Load;
use crate::spawned::{Spawned, wait_for_d_state};

/// Time without a trim, for comparison.
const BEFORE_TRIM: Duration = Duration::from_secs(3);
const AFTER_TRIM: Duration = Duration::from_secs(1);
const TRIMMED_WITHIN: Duration = Duration::from_secs(240);
const FILE_BYTES: usize = 8 << 20;
const IN_D_WITHIN: Duration = Duration::from_secs(30);
/// More than it takes.
const ATTACHED_WITHIN: Duration = Duration::from_secs(180);
const READERS: u32 = 5;
/// Longer than any scene: readers are ended.
const READER_SECONDS: &str = "3600";

/// A filesystem on a disk, with a file on it.
pub struct Scene {
    mount: PathBuf,
}

impl Scene {
    /// Mounts it and writes the file.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn set(disk: &str, filesystem: &str) -> Result<Self> {
        let mount = Path::new("/mnt").join(disk);
        mount_at(&format!("/dev/{disk}"), filesystem, &mount)?;
        let scene = Self { mount };
        let mut file = File::create(scene.file())?;
        file.write_all(&vec![7; FILE_BYTES])?;
        file.sync_all()?;
        Ok(scene)
    }

    /// Where it is mounted.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// The file on it.
    pub fn file(&self) -> PathBuf {
        self.mount.join("table")
    }

    fn trim(&self) -> Result<Spawned> {
        Spawned::start(Command::new("/bin/fstrim").arg(&self.mount))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _still_used = nix::mount::umount(&self.mount);
    }
}

/// Processes that read a file or device now and then, until dropped.
///
/// # Errors
///
/// When one does not start.
pub fn readers(path: &Path) -> Result<Vec<Spawned>> {
    let start = |_| Spawned::start(Command::new("/bin/postgres").arg(path).arg(READER_SECONDS));
    (0..READERS).map(start).collect()
}

/// Trims between two times without a trim; how long it took.
///
/// # Errors
///
/// When the trim fails.
pub fn trim_in_between(scene: &Scene) -> Result<Duration> {
    thread::sleep(BEFORE_TRIM);
    let begin = Instant::now();
    let status = scene.trim()?.wait_within(TRIMMED_WITHIN)?;
    ensure!(status.success(), "fstrim: {status}");
    let took = begin.elapsed();
    thread::sleep(AFTER_TRIM);
    Ok(took)
}

/// The trim is to blame, the readers waited, and the counts are the kernel's.
///
/// # Errors
///
/// When the report says otherwise.
pub fn stage(disk: &'static str, filesystem: &'static str) -> Result<Outcome> {
    let scene = Scene::set(disk, filesystem)?;
    // Readers would take half of the CPU while programs are checked.
    let tracing = Tracing::start(&format!("incident-{disk}"), &[disk])?;
    let reading = readers(&scene.file())?;
    let took = trim_in_between(&scene)?;
    // Both ends of the window are looked at one after the other, and a machine that is held up is late with the second look.
    drop(reading);
    let report = tracing.stop()?;
    counts(&report, disk)?;
    names_the_trim(&report, disk, took)
}

/// The verdict is the trim of this disk, and somebody waited.
///
/// # Errors
///
/// When the report says otherwise.
pub fn names_the_trim(report: &Report, disk: &str, trim_took: Duration) -> Result<Outcome> {
    let (verdict, sentence) = (&report.0["verdict"], report.sentence());
    ensure!(
        report.verdict() == "host_trim",
        "{}: {sentence}",
        report.verdict()
    );
    let confidence = verdict["confidence"].as_str().unwrap_or("?");
    ensure!(
        matches!(confidence, "high" | "medium"),
        "{confidence}: {sentence}"
    );
    let culprit = &verdict["culprits"][0]["process"]["comm"];
    ensure!(culprit == "fstrim", "{culprit}: {sentence}");
    ensure!(
        verdict["device"] == disk,
        "{}: {sentence}",
        verdict["device"]
    );
    ensure!(
        report.rows("verdict/waiters").next().is_some(),
        "nobody waited: {sentence}"
    );
    let slept = report.in_d("fstrim");
    ensure!(
        slept >= trim_took / 2,
        "fstrim ran for {trim_took:?} and was in D for {slept:?}"
    );
    let attached = report
        .rows("hooks")
        .filter(|hook| hook["state"] == "attached")
        .count();
    let took = Duration::from_nanos(report.0["agent"]["attach_ns"].as_u64().unwrap_or_default());
    Ok(Outcome::Passed(format!(
        "{confidence}, in D {:.1} of {:.1} s, {attached} of {} hooks after {took:.1?}: {sentence}",
        slept.as_secs_f32(),
        trim_took.as_secs_f32(),
        report.rows("hooks").count(),
    )))
}

/// Reads and discards are as many as the kernel counted, and the readers waited.
fn counts(report: &Report, disk: &str) -> Result<()> {
    for (op, counter) in [("read", "reads"), ("discard", "discards")] {
        let ours = report.count(disk, op, "/ops")?;
        let kernel = &report.device(disk)?["kernel_counters"][counter];
        let kernel = kernel.as_u64().context("no counter")?;
        ensure!(
            ours.abs_diff(kernel) <= 3,
            "{ours} {counter}, the kernel counted {kernel}"
        );
        ensure!(ours > 0, "no {counter} were seen");
    }
    let waiters = report.rows("verdict/waiters");
    let parties = waiters.map(|one| &one["party"]);
    let mut readers = parties.filter(|party| party["name"] == "postgres");
    ensure!(
        readers.any(|party| party["processes"] == READERS),
        "not all readers are among those who waited: {}",
        report.sentence()
    );
    Ok(())
}

/// A discard in flight when the hooks are attached is known to be older than the trace. Discards follow each other without a pause,
/// as it is not known when the hooks are attached: an emulated machine takes up to 20 s to check the programs.
///
/// # Errors
///
/// When the report does not say so.
pub fn from_before(disk: &'static str) -> Result<Outcome> {
    let node = Path::new("/dev").join(disk);
    let trimmer = Load::start_for(
        "trimmer",
        &node,
        &[at_the_end(disk)?.as_str()],
        ATTACHED_WITHIN,
    )?;
    wait_for_d_state(trimmer.pid(), IN_D_WITHIN)?;
    let tracing = Tracing::start("before", &[disk])?;
    thread::sleep(Duration::from_secs(2));
    let report = tracing.stop()?;
    drop(trimmer);
    let mut older = report.rows("requests/older_than_trace");
    let discards = older.find(|one| one["op"] == "discard");
    let discards = discards.context("no discard is older than the trace")?;
    Ok(Outcome::Passed(format!(
        "{} ended, {} unfinished",
        discards["ended"], discards["unfinished"]
    )))
}

/// A discard where the filesystem has nothing yet.
fn at_the_end(disk: &str) -> Result<String> {
    const MIB: u64 = 1 << 20;
    let size = fs::read_to_string(format!("/sys/block/{disk}/size"))?;
    let bytes = size.trim().parse::<u64>()? * 512;
    let from = bytes / MIB * MIB - 48 * MIB;
    Ok(format!("discard:{from}:{}", 32 * MIB))
}
