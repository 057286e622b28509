//! A machine's disks: copies of empty filesystems, served so that discards are slow, and that stand still when told to.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::emulators::Emulators;
use super::running::Running;
use crate::process;

/// Of each disk, bytes.
const BYTES: u64 = 640 << 20;
/// How long each discard takes.
const DISCARD: &str = "500ms";
const WITHIN: Duration = Duration::from_secs(60);

/// How a disk is attached, what the guest's kernel calls it, what is on it; in the order in which the kernel finds them.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) guest: &'static str,
    filesystem: &'static str,
}

pub(super) const KINDS: [Kind; 4] = [
    Kind {
        name: "virtio",
        guest: "vda",
        filesystem: "ext4",
    },
    Kind {
        name: "xfs",
        guest: "vdb",
        filesystem: "xfs",
    },
    Kind {
        name: "nvme",
        guest: "nvme0n1",
        filesystem: "ext4",
    },
    Kind {
        name: "scsi",
        guest: "sda",
        filesystem: "ext4",
    },
];

/// Empty filesystems, one file each.
pub(super) struct Images {
    folder: PathBuf,
}

impl Images {
    /// Made when they are not there: sparse files, without features that old kernels lack.
    pub(super) fn make(lab: &Path) -> Result<Self> {
        let images = Self {
            folder: lab.to_path_buf(),
        };
        let ext4 = ["-q", "-F", "-O", "^orphan_file,^metadata_csum_seed"];
        let lazy = ["-E", "lazy_itable_init=0,lazy_journal_init=0"];
        images.format("ext4", &[&ext4[..], &lazy].concat())?;
        images.format("xfs", &["-q", "-f"])?;
        Ok(images)
    }

    fn path(&self, filesystem: &str) -> PathBuf {
        self.folder.join(format!("{filesystem}.img"))
    }

    fn format(&self, filesystem: &str, options: &[&str]) -> Result<()> {
        let path = self.path(filesystem);
        if path.exists() {
            return Ok(());
        }
        let partial = path.with_extension("partial");
        File::create(&partial)?.set_len(BYTES)?;
        let mkfs = format!("mkfs.{filesystem}");
        let mkfs = process::find(&mkfs).with_context(|| format!("{mkfs} is not there"))?;
        process::run(Command::new(mkfs).args(options).arg(&partial))?;
        fs::rename(&partial, &path)?;
        Ok(())
    }
}

/// A disk, served until dropped; its file goes with it.
pub(super) struct Disk {
    pub(super) kind: &'static Kind,
    file: PathBuf,
    _server: Running,
}

impl Disk {
    /// A copy for one machine; sparse, as the original. The server does one operation at a time, and each discard takes its
    /// time. (A throttle of the emulator's own lets a discard pass, and has those after it wait for it when it is gone.)
    pub(super) fn serve(
        images: &Images,
        emulators: &Emulators,
        machine: &str,
        kind: &'static Kind,
    ) -> Result<Self> {
        let file = images.folder.join(format!("{machine}-{}.img", kind.name));
        let original = images.path(kind.filesystem);
        process::run(
            Command::new("cp")
                .arg("--sparse=always")
                .args([&original, &file]),
        )?;
        let (socket, control) = (socket(&file), control(&file));
        for left in [&socket, &control] {
            let _absent = fs::remove_file(left);
        }
        let mut command = emulators.disk_server();
        command
            .arg("--unix")
            .arg(&socket)
            .arg(emulators.file_plugin())
            .arg(&file);
        command.arg(format!("delay-trim={DISCARD}"));
        command.arg(format!("pause-control={}", control.display()));
        command.stdin(Stdio::null());
        let server = Running(command.spawn().context("nbdkit does not start")?);
        let disk = Self {
            kind,
            file,
            _server: server,
        };
        let end = Instant::now() + WITHIN;
        while !socket.exists() || !control.exists() {
            ensure!(
                Instant::now() < end,
                "nbdkit does not serve {}",
                disk.file.display()
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(disk)
    }

    /// Where it is served.
    pub(super) fn socket(&self) -> PathBuf {
        socket(&self.file)
    }

    /// From now on it takes requests and answers none, once what it does has ended; or it goes on (nbdkit-pause-filter(1)).
    pub(super) fn stand_still(&self, still: bool) -> Result<()> {
        let (word, answer) = if still { (b'p', b'P') } else { (b'r', b'R') };
        let mut control = UnixStream::connect(control(&self.file))?;
        control.set_read_timeout(Some(WITHIN))?;
        control.write_all(&[word])?;
        let mut said = [0];
        control.read_exact(&mut said)?;
        ensure!(said[0] == answer, "nbdkit answers {said:?}");
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for file in [self.file.clone(), socket(&self.file), control(&self.file)] {
            // It may be gone.
            let _ = fs::remove_file(file);
        }
    }
}

fn socket(file: &Path) -> PathBuf {
    file.with_extension("socket")
}

fn control(file: &Path) -> PathBuf {
    file.with_extension("pause")
}
