//! A volume as Longhorn serves it: tgt's target over a file on the slow disk, open-iscsi's initiator, on this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::incident::{Scene, names_the_trim, readers, trim_in_between};
use super::outcome::Outcome;
use super::system::{disk_of, load_with, loopback_up, said_by};
use super::trace::Tracing;
use crate::spawned::{Spawned, wait_until};

const TARGET: &str = "iqn.2014-09.io.longhorn:lab-volume";
const INITIATOR: &str = "iqn.2014-09.io.longhorn:lab-host";
const THERE_WITHIN: Duration = Duration::from_secs(90);
/// Most of what a discard of the disk below takes.
const SLOW: Duration = Duration::from_millis(350);
const VOLUME_BYTES: usize = 32 << 20;

/// The trim on the disk below is found, for the volume's reader above: its requests are slow because the disk's are.
///
/// # Errors
///
/// When the report says otherwise.
pub fn volume(disk: &'static str) -> Result<Outcome> {
    if !load_with("iscsi_tcp", "")? {
        return Ok(Outcome::Skipped("this kernel has no iscsi_tcp".to_owned()));
    }
    let scene = Scene::set(disk, "ext4")?;
    let server = Server::start(&backing(&scene)?)?;
    let volume = server.log_in()?;
    let tracing = Tracing::start("iscsi", &[])?;
    let reading = readers(&Path::new("/dev").join(&volume))?;
    let took = trim_in_between(&scene)?;
    drop(reading);
    let report = tracing.stop()?;
    let told = report.device(&volume)?;
    ensure!(
        told["transport"] == "iscsi",
        "{volume} is attached by {}",
        told["transport"]
    );
    ensure!(
        told["iscsi_target"] == TARGET,
        "its target is {}",
        told["iscsi_target"]
    );
    let both = [told["vendor"].as_str(), told["model"].as_str()];
    ensure!(
        both == [Some("IET"), Some("VIRTUAL-DISK")],
        "it is {both:?}"
    );
    let slowest = Duration::from_nanos(report.count(&volume, "read", "/total/max_ns")?);
    ensure!(slowest > SLOW, "the volume was not slow: {slowest:?}");
    ensure!(
        report.count(&volume, "discard", "/ops")? == 0,
        "the trim is not the volume's"
    );
    names_the_trim(&report, disk, took)
}

/// What is in a volume, not sparse.
fn backing(scene: &Scene) -> Result<PathBuf> {
    let path = scene.mount().join("volume.img");
    fs::write(&path, vec![3; VOLUME_BYTES]).context("writing the volume")?;
    File::open(&path)?.sync_all()?;
    Ok(path)
}

/// tgtd; killed when dropped.
struct Server(Spawned);

impl Server {
    fn start(backing: &Path) -> Result<Self> {
        loopback_up()?;
        fs::create_dir_all("/var/run")?;
        fs::create_dir_all("/etc")?;
        let log = File::create("/run/tgtd.log")?;
        let mut command = Command::new("/usr/sbin/tgtd");
        command.args(["--foreground", "--iscsi", "portal=127.0.0.1:3260"]);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let server = Self(Spawned::start(&mut command)?);
        let answers = || said_by(&mut tgtadm(&["--op", "show", "--mode", "target"])).is_ok();
        ensure!(
            wait_until(THERE_WITHIN, answers),
            "tgtd does not answer: {}",
            log_of_tgtd()
        );
        let backing = backing.to_str().context("a path that is text")?;
        for words in [
            &[
                "--op", "new", "--mode", "target", "--tid", "1", "-T", TARGET,
            ][..],
            &[
                "--op",
                "new",
                "--mode",
                "logicalunit",
                "--tid",
                "1",
                "--lun",
                "1",
                "--bstype",
                "aio",
                "-b",
                backing,
            ],
            &[
                "--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL",
            ],
        ] {
            said_by(&mut tgtadm(words)).with_context(log_of_tgtd)?;
        }
        Ok(server)
    }

    /// The volume's disk, once it is there.
    fn log_in(&self) -> Result<String> {
        let mut command = Command::new("/sbin/iscsistart");
        command.args([
            "-i",
            INITIATOR,
            "-t",
            TARGET,
            "-g",
            "1",
            "-a",
            "127.0.0.1",
            "-p",
            "3260",
        ]);
        said_by(&mut command)?;
        let mut disk = None;
        wait_until(THERE_WITHIN, || {
            disk = disk_of("vendor", "IET");
            disk.as_ref()
                .is_some_and(|disk| Path::new("/dev").join(disk).exists())
        });
        disk.with_context(|| format!("tgtd ({}) has no disk here", self.0.pid()))
    }
}

fn tgtadm(words: &[&str]) -> Command {
    let mut command = Command::new("/usr/sbin/tgtadm");
    command.args(["--lld", "iscsi"]).args(words);
    command
}

fn log_of_tgtd() -> String {
    fs::read_to_string("/run/tgtd.log").unwrap_or_default()
}
