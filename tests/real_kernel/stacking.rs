//! Partitions and devices on devices: each disk with its own numbers, related, never added up.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use stall_agent::capture::Op as Seen;
use stall_agent::report::model::Layer;
use stall_tests::loop_device::LoopDevice;
use stall_tests::mounted::unmount;
use stall_tests::scratch::Scratch;
use stall_tests::staged::{FileSystem, KernelCounters, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::load::Load;
use crate::harness::on_file::OnFile;
use crate::harness::test::Test;
use crate::harness::{note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_partition_counts_on_its_disk", partition),
    Test::new("a_loop_device_on_a_file_is_another_disk", on_a_file),
    Test::new("a_loop_device_on_a_device_is_another_disk", on_a_device),
];

const MIB: u64 = 1 << 20;

/// Check that I/O of a filesystem on a partition is counted on the whole disk, once, that the
/// partition is told with its mount, and that the mount is a name for the disk.
fn partition() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let part = Partition::add(&disk, MIB, 512 * MIB)?;
    let mounted = Mounted::new(&part.node)?;
    let file = mounted.folder.path().join("mount/file");
    fs::write(&file, vec![1; 4 << 20])?;
    nix::unistd::sync();
    let path = mounted.mount.display().to_string();
    let agent = Agent::everywhere().with("--device", &path);
    let steps = ["read:0:4096:100", "write:0:4096:50", "sync"];
    let act = || Load::run("on-partition", &file, &steps);
    let (trace, counted, done) = traced(&disk, &agent, act)?;
    note!("the kernel counted {counted} on the disk");
    equals_kernel(&trace, &disk, &counted)?;
    same("reads", trace.use_of(&disk, done.pid, Seen::Read)?.ops, 100)?;
    let seen = trace
        .capture
        .disks
        .iter()
        .filter(|seen| seen.index.is_some());
    let names: Vec<&str> = seen.map(|seen| seen.name.as_str()).collect();
    ensure!(
        names == [disk.name()],
        "{names:?} are traced, not the disk alone"
    );
    let device = trace.device(disk.name())?;
    let told = device.partitions.iter().find(|told| told.name == part.name);
    let told = told.context("the partition is not told")?;
    same("its start", told.start_bytes.unwrap_or(0), MIB)?;
    ensure!(
        told.mounts.iter().any(|mount| mount.mount_point == path),
        "its mount is not told"
    );
    Ok(())
}

/// `struct blkpg_partition` of `<linux/blkpg.h>`.
#[repr(C)]
struct BlkpgPartition {
    start: i64,
    length: i64,
    number: i32,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// `struct blkpg_ioctl_arg` of `<linux/blkpg.h>`.
#[repr(C)]
struct BlkpgArgument {
    op: i32,
    flags: i32,
    length: i32,
    data: *const BlkpgPartition,
}

const BLKPG_ADD_PARTITION: i32 = 1;
const BLKPG_DEL_PARTITION: i32 = 2;
/// Of our partition.
const NUMBER: i32 = 3;

nix::ioctl_write_ptr_bad!(blkpg, nix::request_code_none!(0x12, 105), BlkpgArgument);

/// A partition of a staged disk, without a table; it goes when dropped.
struct Partition {
    disk: File,
    name: String,
    node: PathBuf,
    _folder: Scratch,
}

impl Partition {
    fn add(disk: &StagedDisk, start: u64, length: u64) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(disk.device())?;
        // The kernel keeps partitions of whatever the loop device was before.
        for number in 1..16 {
            if Path::new(&format!("/sys/block/{0}/{0}p{number}", disk.name())).exists() {
                change(&file, BLKPG_DEL_PARTITION, number, 0, 0)?;
            }
        }
        change(&file, BLKPG_ADD_PARTITION, NUMBER, start, length).context("adding a partition")?;
        let name = format!("{}p{NUMBER}", disk.name());
        let folder = Scratch::new()?;
        let node = folder.path().join(&name);
        let partition = Self {
            disk: file,
            node,
            _folder: folder,
            name,
        };
        partition.make_node(disk)?;
        Ok(partition)
    }

    /// A node of its own: not every /dev makes one.
    fn make_node(&self, disk: &StagedDisk) -> Result<()> {
        let path = format!("/sys/block/{}/{}/dev", disk.name(), self.name);
        let number = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let (major, minor) = number.trim().split_once(':').context("no number")?;
        let number = makedev(major.parse()?, minor.parse()?);
        mknod(
            &self.node,
            SFlag::S_IFBLK,
            Mode::S_IRUSR | Mode::S_IWUSR,
            number,
        )?;
        Ok(())
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        if let Err(errno) = change(&self.disk, BLKPG_DEL_PARTITION, NUMBER, 0, 0) {
            eprintln!("{} stays: {errno}", self.name);
        }
    }
}

fn change(disk: &File, op: i32, number: i32, start: u64, length: u64) -> nix::Result<()> {
    let partition = BlkpgPartition {
        start: start.cast_signed(),
        length: length.cast_signed(),
        number,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let argument = BlkpgArgument {
        op,
        flags: 0,
        length: size_of::<BlkpgPartition>() as i32,
        data: &raw const partition,
    };
    // SAFETY: both structures are whole, and alive during the call.
    unsafe { blkpg(disk.as_raw_fd(), &raw const argument) }.map(drop)
}

/// A mounted ext4 of our own; unmounted when dropped.
struct Mounted {
    mount: PathBuf,
    folder: Folder,
}

/// A folder to mount in, which is never removed with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Mounted {
    fn new(node: &Path) -> Result<Self> {
        FileSystem::Ext4.make(node)?;
        let folder = tempfile::Builder::new()
            .prefix("stall-part-")
            .tempdir()?
            .keep();
        let mount = folder.join("mount");
        fs::create_dir(&mount)?;
        let mounted = Self {
            folder: Folder(folder),
            mount,
        };
        FileSystem::Ext4.mount(node, &mounted.mount, "")?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.mount, Duration::from_secs(5)) {
            eprintln!("{error:#}");
        }
        // Empty by now; with something in it, it stays.
        let _ = fs::remove_dir(&self.mount);
        let _ = fs::remove_dir(&self.folder.0);
    }
}

/// A loop device on a file or device, its counters, and both disks in one trace.
fn both(disk: &StagedDisk, upper: &LoopDevice) -> Agent {
    Agent::on(disk).with("--device", upper.name())
}

/// Check that requests to a loop device on a file, which become requests to the disk the file is on,
/// are counted once on each, and that the one is told to be made of a file.
fn on_a_file() -> Result<()> {
    let OnFile { disk, upper } = OnFile::stage()?;
    let before = KernelCounters::read(upper.name())?;
    let act = || Load::run("on-top", &upper.path(), &["read:0:4096:100"]);
    let (trace, counted, done) = traced(&disk, &both(&disk, &upper), act)?;
    let above = KernelCounters::read(upper.name())?.since(&before);
    equals_kernel(&trace, &disk, &counted)?;
    let index = trace.disk_called(upper.name())?.index;
    let rows = || {
        trace
            .capture
            .series
            .iter()
            .filter(|row| Some(row.disk) == index)
    };
    same(
        "reads above",
        rows().map(|row| row.ops).sum(),
        above.reads.ios,
    )?;
    same("reads above", above.reads.ios, 100)?;
    let actor = trace.actor(done.pid)?.id;
    let below = trace.uses(&disk).filter(|used| used.actor == actor).count() as u64;
    same("operations of the reader below", below, 0)?;
    let device = trace.device(upper.name())?;
    ensure!(
        device.layer == Layer::Stacked,
        "{:?} is not stacked",
        device.layer
    );
    let told = device.backing_file.as_deref();
    ensure!(
        told == OnFile::backing(&disk).to_str(),
        "{told:?} is not the file behind it"
    );
    Ok(())
}

/// Check that a discard to a loop device on a device is told above with who sent it. Below it comes
/// out as a hole in a device: the kernel zeroes it there, in the loop device's worker.
fn on_a_device() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let upper = LoopDevice::attach(&disk.device(), 4096)?;
    let act = || Load::run("on-top", &upper.path(), &["discard:0:1048576:8"]);
    let (trace, counted, done) = traced(&disk, &both(&disk, &upper), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    let above: Vec<_> = {
        let rows = trace.report.discards.iter();
        rows.filter(|row| row.device == upper.name()).collect()
    };
    same("groups above", above.len() as u64, 1)?;
    same("discards above", above[0].ops, 8)?;
    same(
        "their actor",
        above[0].actor.into(),
        trace.actor(done.pid)?.id.into(),
    )?;
    same("zeroings below", trace.ops(&disk, Seen::WriteZeroes), 8)?;
    for used in trace.uses(&disk) {
        let actor = trace
            .capture
            .actor(used.actor)
            .and_then(|actor| actor.process.as_ref());
        let process = actor.context("a zeroing is nobody's")?;
        ensure!(
            process.kernel_thread,
            "{} is said to zero below",
            process.comm
        );
    }
    Ok(())
}
