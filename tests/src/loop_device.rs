//! A loop device of our own: attached with direct I/O, never one that somebody else uses.
//!
//! Contract: the number comes from LOOP_CTL_GET_FREE and is retried when another process takes it
//! first. The device detaches itself when its last user closes it (LO_FLAGS_AUTOCLEAR).

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::errno::Errno;

use crate::spawned::wait_until;

const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;
const ATTEMPTS: u32 = 200;
const DETACH_WITHIN: Duration = Duration::from_secs(3);

/// `struct loop_info64` of `<linux/loop.h>`.
#[repr(C)]
struct LoopInfo64 {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    sizelimit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of `<linux/loop.h>`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo64,
    reserved: [u64; 8],
}

nix::ioctl_none_bad!(loop_ctl_get_free, 0x4C82);
nix::ioctl_write_int_bad!(loop_ctl_add, 0x4C80);
nix::ioctl_write_int_bad!(loop_ctl_remove, 0x4C81);
nix::ioctl_none_bad!(loop_clr_fd, 0x4C01);
nix::ioctl_write_ptr_bad!(loop_configure, 0x4C0A, LoopConfig);

/// An attached loop device.
#[derive(Debug)]
pub struct LoopDevice {
    name: String,
    dev: u64,
    /// Keeps the device; the last close detaches it.
    file: Option<File>,
}

impl LoopDevice {
    /// Attaches a free loop device to the file.
    pub fn attach(backing: &Path, block_size: u32) -> Result<Self> {
        let backing_file = open(backing)?;
        let control = open(Path::new("/dev/loop-control"))?;
        for _ in 0..ATTEMPTS {
            // SAFETY: the request takes no argument; the descriptor is open.
            let number = unsafe { loop_ctl_get_free(control.as_raw_fd()) }
                .context("asking for a free loop device")?;
            if let Some(device) = Self::try_attach(number, &backing_file, block_size)? {
                return device.checked(backing);
            }
        }
        bail!("no loop device stayed free long enough to be attached")
    }

    /// Makes the device of a number that there is none of yet, and attaches it.
    pub fn make(number: i32, backing: &Path, block_size: u32) -> Result<Self> {
        let control = open(Path::new("/dev/loop-control"))?;
        // SAFETY: the argument is a number; the descriptor is open.
        unsafe { loop_ctl_add(control.as_raw_fd(), number) }
            .with_context(|| format!("making loop{number}"))?;
        let device = Self::try_attach(number, &open(backing)?, block_size)?;
        device
            .with_context(|| format!("loop{number} is in use"))?
            .checked(backing)
    }

    /// Detaches and does away with the device itself, which there is none of then.
    pub fn unmake(mut self) -> Result<()> {
        self.detach()?;
        self.forget()?
            .with_context(|| format!("doing away with {}", self.name))
    }

    /// What the kernel says to being asked to forget it.
    fn forget(&self) -> Result<nix::Result<()>> {
        let number = self.name.trim_start_matches("loop").parse();
        let number = number.context("a loop device has a number")?;
        let control = open(Path::new("/dev/loop-control"))?;
        // SAFETY: the request takes a number; the descriptor is open.
        Ok(unsafe { loop_ctl_remove(control.as_raw_fd(), number) }.map(drop))
    }

    /// Attaches this number; `None` when somebody else was faster.
    fn try_attach(number: i32, backing: &File, block_size: u32) -> Result<Option<Self>> {
        let name = format!("loop{number}");
        let file = open(&device_path(&name))?;
        let config = config(backing, block_size);
        // SAFETY: `config` is a whole `struct loop_config`, alive during the call.
        match unsafe { loop_configure(file.as_raw_fd(), &raw const config) } {
            Ok(_) => {}
            Err(Errno::EBUSY) => return Ok(None),
            Err(errno) => return Err(errno).with_context(|| format!("attaching {name}")),
        }
        let dev = file.metadata().context("asking for its number")?.rdev();
        Ok(Some(Self {
            name,
            dev,
            file: Some(file),
        }))
    }

    fn checked(self, backing: &Path) -> Result<Self> {
        let path = format!("/sys/block/{}/loop/dio", self.name);
        let direct = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        ensure!(
            direct.trim() == "1",
            "{} does no direct I/O on {}",
            self.name,
            backing.display()
        );
        Ok(self)
    }

    /// `loop3`
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `/dev/loop3`
    pub fn path(&self) -> PathBuf {
        device_path(&self.name)
    }

    /// The device number, as in `st_rdev`.
    pub fn dev(&self) -> u64 {
        self.dev
    }

    /// Detaches and waits until the device is free.
    pub fn detach(&mut self) -> Result<()> {
        if let Some(file) = self.file.take() {
            clear(&file, &self.name)?;
            drop(file);
            wait_until_free(&self.name)?;
        }
        Ok(())
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if let Err(error) = self.detach() {
            eprintln!("staged disk: {error:#}");
        }
    }
}

/// All that the kernel has, attached or not.
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/block").into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("loop")).collect()
}

/// Has the kernel forget a detached device, unless somebody else has taken it since.
pub fn remove(device: &LoopDevice) -> Result<()> {
    match device.forget()? {
        Ok(()) | Err(Errno::EBUSY | Errno::ENODEV) => Ok(()),
        Err(errno) => Err(errno).with_context(|| format!("removing {}", device.name)),
    }
}

/// Detaches a loop device by path, as soon as its last user is gone.
pub fn detach(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    clear(&open(path)?, &name)
}

/// Paths of the loop devices whose backing file lies below a folder, as sysfs says; the file may be gone.
pub fn backed_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir("/sys/block").context("listing the disks")?;
    let is_ours = |name: &String| {
        let path = format!("/sys/block/{name}/loop/backing_file");
        std::fs::read_to_string(path).is_ok_and(|file| Path::new(file.trim()).starts_with(folder))
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names
        .filter(is_ours)
        .map(|name| device_path(&name))
        .collect())
}

fn clear(file: &File, name: &str) -> Result<()> {
    // SAFETY: the request takes no argument; the descriptor is open.
    match unsafe { loop_clr_fd(file.as_raw_fd()) } {
        Ok(_) | Err(Errno::ENXIO) => Ok(()),
        Err(errno) => Err(errno).with_context(|| format!("detaching {name}")),
    }
}

fn wait_until_free(name: &str) -> Result<()> {
    let attached = PathBuf::from(format!("/sys/block/{name}/loop"));
    ensure!(
        wait_until(DETACH_WITHIN, || !attached.exists()),
        "{name} is still in use"
    );
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}

fn device_path(name: &str) -> PathBuf {
    Path::new("/dev").join(name)
}

fn config(backing: &File, block_size: u32) -> LoopConfig {
    LoopConfig {
        fd: backing.as_raw_fd().cast_unsigned(),
        block_size,
        info: LoopInfo64 {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            sizelimit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
            file_name: [0; 64],
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        },
        reserved: [0; 8],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<LoopInfo64>(), 232);
        assert_eq!(size_of::<LoopConfig>(), 304);
    }
}
