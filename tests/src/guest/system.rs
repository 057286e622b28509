//! The machine: filesystems of the kernel, modules, disks, reset.

use std::ffi::CString;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MsFlags, mount};

use crate::spawned::wait_until;

/// Modules that are loaded at once, in that order, one path per line; beside it a list for each that is loaded on demand.
const MODULES: &str = "/modules.list";
const DISKS_WITHIN: Duration = Duration::from_secs(60);

/// Mounts what the agent reads, loads the modules, waits for the disks.
pub fn set_up(disks: &[&str]) -> Result<()> {
    for (kind, at) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("securityfs", "/sys/kernel/security"),
        ("devtmpfs", "/dev"),
    ] {
        mount_at(kind, kind, Path::new(at))?;
    }
    for at in ["/tmp", "/run", "/var"] {
        mount_at("tmpfs", "tmpfs", Path::new(at))?;
    }
    load_list(MODULES, "")?;
    for disk in disks {
        let there = || Path::new("/dev").join(disk).exists();
        ensure!(wait_until(DISKS_WITHIN, there), "there is no /dev/{disk}");
    }
    Ok(())
}

/// A word `name=value` of the kernel's command line.
pub fn word(name: &str) -> Option<String> {
    let line = fs::read_to_string("/proc/cmdline").ok()?;
    let mut words = line
        .split_whitespace()
        .filter_map(|word| word.split_once('='));
    words.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
}

/// Mounts a filesystem.
pub fn mount_at(source: &str, kind: &str, at: &Path) -> Result<()> {
    fs::create_dir_all(at)?;
    mount(Some(source), at, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("mounting {source} at {}", at.display()))
}

/// Loads a module after what it needs, with parameters of its own; false when this kernel does not have it.
pub fn load_with(module: &str, parameters: &str) -> Result<bool> {
    load_list(&format!("/modules/{module}.list"), parameters)?;
    Ok(Path::new("/sys/module").join(module).exists())
}

/// The parameters are the last one's.
fn load_list(list: &str, parameters: &str) -> Result<()> {
    let text = fs::read_to_string(list).with_context(|| format!("reading {list}"))?;
    let paths: Vec<&str> = text.lines().collect();
    for (index, path) in paths.iter().enumerate() {
        let last = index + 1 == paths.len();
        load(path, if last { parameters } else { "" })
            .with_context(|| format!("loading {path}"))?;
    }
    Ok(())
}

/// One that is built in, or loaded already, is no error.
fn load(path: &str, parameters: &str) -> Result<()> {
    let file = File::open(path)?;
    let parameters = CString::new(parameters)?;
    match nix::kmod::finit_module(&file, &parameters, nix::kmod::ModuleInitFlags::empty()) {
        Ok(()) | Err(nix::Error::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The SCSI disk whose vendor or model is this.
pub fn disk_of(what: &str, is: &str) -> Option<String> {
    let mut disks = fs::read_dir("/sys/block").ok()?.flatten();
    let disk = disks.find(|disk| {
        let text = fs::read_to_string(disk.path().join("device").join(what));
        text.is_ok_and(|text| text.trim() == is)
    })?;
    disk.file_name().into_string().ok()
}

/// What a program says; an error, with what it says, when it fails.
pub fn said_by(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("{name} does not start"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{name}: {}: {}",
        output.status,
        error.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Brings the loopback interface up (netdevice(7)).
pub fn loopback_up() -> Result<()> {
    let mut request = Interface {
        name: [0; libc::IFNAMSIZ],
        flags: libc::IFF_UP as libc::c_short,
        rest: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: the request is as large as `struct ifreq`, and alive during the call.
    unsafe { set_flags(std::os::fd::AsRawFd::as_raw_fd(&socket), &raw const request) }
        .context("bringing the loopback interface up")?;
    Ok(())
}

/// `struct ifreq` with `ifr_flags`.
#[repr(C)]
struct Interface {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, Interface);

/// Resets the machine at once: powering off would wait for disks.
///
/// # Errors
///
/// When the kernel refuses.
pub fn reset() -> Result<()> {
    // The console is slow, and the last line is to be seen.
    thread::sleep(Duration::from_millis(300));
    fs::write("/proc/sysrq-trigger", "b").context("resetting the machine")?;
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
