//! Devices on devices: requests are the disk's below, once, and the report says what is made of what.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::outcome::Outcome;
use super::rules::equals_kernel;
use super::system::{load_with, said_by};
use super::trace::Tracing;
use crate::block_io::load::Load;
use crate::spawned::wait_until;
use crate::staged::KernelCounters;

const READS: u64 = 80;
const THERE_WITHIN: Duration = Duration::from_secs(60);
/// Of 256 bits, twice, as XTS wants it.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

/// A mapping of the device mapper; removed when dropped.
pub(super) struct Mapping(&'static str);

impl Mapping {
    pub(super) fn new(name: &'static str, uuid: &str, table: &str) -> Result<Self> {
        let mut command = dmsetup(&["create", name, "--uuid", uuid, "--table", table]);
        said_by(&mut command)?;
        Ok(Self(name))
    }

    /// Gives it another name.
    pub(super) fn rename(&mut self, name: &'static str) -> Result<()> {
        said_by(&mut dmsetup(&["rename", self.0, name]))?;
        self.0 = name;
        Ok(())
    }

    /// Its name in the kernel.
    pub(super) fn disk(&self) -> Result<String> {
        let path = Path::new("/dev/mapper").join(self.0);
        ensure!(
            wait_until(THERE_WITHIN, || path.exists()),
            "there is no {}",
            path.display()
        );
        let said = said_by(&mut dmsetup(&[
            "info",
            "--columns",
            "--noheadings",
            "-o",
            "minor",
            self.0,
        ]))?;
        Ok(format!("dm-{}", said.trim()))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Err(error) = said_by(&mut dmsetup(&["remove", self.0])) {
            eprintln!("{error:#}");
        }
    }
}

/// Nothing answers for udev here.
fn dmsetup(words: &[&str]) -> Command {
    let mut command = Command::new("/sbin/dmsetup");
    command
        .args(["--noudevsync", "--noudevrules", "--verifyudev"])
        .args(words);
    command
}

/// Reads of a mapping on a mapping are the disk's, as often as they were asked for; both layers are told.
///
/// # Errors
///
/// When the report says otherwise.
pub fn mapped(disk: &'static str) -> Result<Outcome> {
    // What `xts` is made of on older kernels; on later ones they are built in.
    for module in ["aes_generic", "ecb"] {
        load_with(module, "")?;
    }
    for module in ["dm_mod", "dm_crypt", "xts"] {
        if !load_with(module, "")? {
            return Ok(Outcome::Skipped(format!("this kernel has no {module}")));
        }
    }
    let sectors = 1 << 19;
    let lower = Mapping::new(
        "plain",
        "LVM-lab",
        &format!("0 {sectors} linear /dev/{disk} 2048"),
    )?;
    let table = format!("0 {sectors} crypt aes-xts-plain64 {KEY} 0 /dev/mapper/plain 0");
    let upper = Mapping::new("secret", "CRYPT-PLAIN-lab", &table)?;
    let (below, above) = (lower.disk()?, upper.disk()?);
    let tracing = Tracing::start("mapped", &[])?;
    let before = KernelCounters::read(disk)?;
    let step = format!("read:0:4096:{READS}:65536");
    Load::run("exact", Path::new("/dev/mapper/secret"), &[&step])?;
    let counted = KernelCounters::read(disk)?.since(&before);
    let report = tracing.stop()?;
    ensure!(
        counted.reads.ios == READS,
        "the kernel counted {counted}, not {READS} reads"
    );
    equals_kernel(&report, disk, &counted)?;
    let devices = report
        .rows("devices")
        .filter_map(|one| one["name"].as_str());
    let mut reads = 0;
    for device in devices {
        reads += report.count(device, "read", "/ops")?;
    }
    ensure!(reads == READS, "{reads} reads on all disks, not {READS}");
    for (device, made_of) in [(&above, below.as_str()), (&below, disk)] {
        let told = report
            .device(device)
            .with_context(|| "a layer is missing")?;
        ensure!(told["layer"] == "stacked", "{device} is {}", told["layer"]);
        ensure!(
            told["made_of"] == serde_json::json!([made_of]),
            "{device} is made of {}",
            told["made_of"]
        );
        ensure!(
            told["bottom"] == serde_json::json!([disk]),
            "{device} stands on {}",
            told["bottom"]
        );
    }
    Ok(Outcome::Passed(format!(
        "{READS} reads of {above} on {below} on {disk}, counted once"
    )))
}
