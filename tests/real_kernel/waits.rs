//! Waits that no request shows: who wrote what a flusher sends, limits, frozen filesystems, servers, CPUs, memory, disks inside of
//! virtual machines.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use stall_agent::capture::{CgroupLimit, FrozenFilesystem, UnseenKind};
use stall_tests::cgroup::{Controller, IoGroup};
use stall_tests::clock::monotonic_ns;
use stall_tests::scratch::Scratch;
use stall_tests::slow_disk::FILE_NAME;
use stall_tests::spawned::{Spawned, find_program, wait_for_d_state};
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::seen::Trace;
use crate::harness::skip::{Need, Skip};
use crate::harness::test::Test;
use crate::harness::{between, note, same};

const EXT4: &[Need] = &[Need::FileSystem(FileSystem::Ext4)];

pub(crate) const TESTS: &[Test] = &[
    Test::new("who_wrote_what_a_flusher_sends_is_known", writers).needs(EXT4),
    Test::new("a_frozen_filesystem_is_told_with_its_age", frozen).needs(EXT4),
    Test::new(
        "a_frozen_filesystem_is_known_without_an_open_file",
        frozen_path,
    )
    .needs(EXT4),
    Test::new("a_limit_of_block_io_is_told", limited),
    Test::new("who_waits_for_a_server_is_known", server),
    Test::new("a_wait_for_a_cpu_is_told", cpu),
    Test::new("memory_that_is_read_back_is_counted", memory).needs(EXT4),
    Test::new("a_disk_inside_of_a_machine_is_told", machine),
];

const MIB: u64 = 1 << 20;
const MS: u64 = 1_000_000;
const IN_D_WITHIN: Duration = Duration::from_secs(5);

fn disk() -> Result<StagedDisk> {
    let builder = StagedDisk::builder().size(1 << 30);
    builder.file_system(FileSystem::Ext4).start()
}

/// Major and minor of the filesystem that has a file.
fn device_of(path: &Path) -> Result<(u32, u32)> {
    let dev = fs::metadata(path)?.dev();
    let (major, minor) = (nix::sys::stat::major(dev), nix::sys::stat::minor(dev));
    Ok((major as u32, minor as u32))
}

/// Writes to a file what it is sent, until it is sent no more.
struct Writer {
    child: Child,
}

impl Writer {
    fn start(file: &Path) -> Result<Self> {
        let child = Command::new("dd")
            .arg(format!("of={}", file.display()))
            .args(["bs=64k", "iflag=fullblock"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child })
    }

    fn write(&mut self, mib: u64) -> Result<()> {
        let to = self.child.stdin.as_mut().context("it has a pipe")?;
        for _ in 0..mib {
            to.write_all(&[7; MIB as usize])?;
        }
        // It takes the rest out of the pipe.
        thread::sleep(Duration::from_millis(200));
        Ok(())
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It has nothing more to write.
        let _ended = self.child.wait();
    }
}

/// Check that a process that writes through the page cache is told with what it wrote in the window, and where: one that lives on,
/// without what it wrote before, and one that begins and ends inside of it.
fn writers() -> Result<()> {
    let disk = disk()?;
    let place = device_of(disk.mount())?;
    let mut writer = Writer::start(&disk.mount().join("living"))?;
    writer.write(30)?;
    let tracing = Agent::everywhere().start()?;
    writer.write(20)?;
    // It still has the file open when it ends.
    let mut short = Command::new("sh");
    short
        .args(["-c", "exec 5>\"$0\"; exec head -c 41943040 /dev/zero >&5"])
        .arg(disk.mount().join("ended"));
    let mut short = Spawned::start(&mut short)?;
    let ended = short.pid();
    ensure!(short.wait()?.success(), "head failed");
    let trace = tracing.stop()?;
    let rows = &trace.capture.host_waits.dirtied;
    note!(
        "{:?}",
        rows.iter()
            .map(|row| (&row.process.comm, row.process.pid, row.bytes))
            .collect::<Vec<_>>()
    );
    let row = |pid: u32| {
        let mut rows = rows.iter();
        rows.find(|row| row.process.pid == pid)
            .with_context(|| format!("{pid} wrote nothing"))
    };
    let living = row(writer.pid())?;
    between("written by who lives", living.bytes, &(20 * MIB..21 * MIB))?;
    ensure!(
        !living.process.args.is_empty(),
        "its command line is not known"
    );
    ensure!(living.devices.contains(&place), "{:?}", living.devices);
    let ended = row(ended.as_raw().cast_unsigned())?;
    between("written by who ended", ended.bytes, &(40 * MIB..41 * MIB))?;
    same(
        "its parent",
        ended.process.parent_pid.unwrap_or(0).into(),
        std::process::id().into(),
    )?;
    ensure!(ended.process.comm == "head", "{}", ended.process.comm);
    ensure!(ended.devices.contains(&place), "{:?}", ended.devices);
    Ok(())
}

/// Thaws when it goes.
struct Freeze<'a>(&'a Path);

impl<'a> Freeze<'a> {
    fn of(mount: &'a Path) -> Result<Self> {
        fsfreeze("--freeze", mount)?;
        Ok(Self(mount))
    }
}

impl Drop for Freeze<'_> {
    fn drop(&mut self) {
        if let Err(error) = fsfreeze("--unfreeze", self.0) {
            eprintln!("{} stays frozen: {error:#}", self.0.display());
        }
    }
}

fn fsfreeze(what: &str, mount: &Path) -> Result<()> {
    let status = Command::new("fsfreeze").arg(what).arg(mount).status()?;
    ensure!(status.success(), "fsfreeze {what} failed");
    Ok(())
}

fn frozen_row<'a>(trace: &'a Trace, disk: &StagedDisk) -> Result<&'a FrozenFilesystem> {
    let place = device_of(disk.mount())?;
    let mut rows = trace.capture.host_waits.frozen.iter();
    rows.find(|row| (row.major, row.minor) == place)
        .context("it is not said to be frozen")
}

/// Check that a filesystem that was frozen before the trace is told, with its mount and since when a writer has waited for it; and
/// that nothing is said of it when it takes writes.
fn frozen() -> Result<()> {
    let disk = disk()?;
    let mut writer = Writer::start(&disk.mount().join("file"))?;
    writer.write(1)?;
    let freeze = Freeze::of(disk.mount())?;
    let since = monotonic_ns();
    let pid = Pid::from_raw(writer.pid().cast_signed());
    // What it takes to fill the pipe.
    writer
        .child
        .stdin
        .as_mut()
        .context("it has a pipe")?
        .write_all(&[7; 64 << 10])?;
    wait_for_d_state(pid, IN_D_WITHIN)?;
    thread::sleep(Duration::from_millis(700));
    let tracing = Agent::everywhere().with("--interval", "200ms").start()?;
    thread::sleep(Duration::from_millis(700));
    let trace = tracing.stop()?;
    drop(freeze);
    drop(writer);
    let row = frozen_row(&trace, &disk)?;
    note!("{row:?}");
    ensure!(row.at_end, "it was frozen at the end");
    ensure!(
        row.mount_points
            .iter()
            .any(|mount| Path::new(mount) == disk.mount())
    );
    let told = row.since_ns.context("since when is not known")?;
    between(
        "frozen since, against the writer's start",
        told + 100 * MS - since,
        &(80 * MS..400 * MS),
    )?;
    let task = trace.task(pid).context("the writer is not told")?;
    note!("{} waits on {:?}", task.comm, task.waits_on);
    let tracing = Agent::everywhere().start()?;
    fs::write(disk.mount().join("another"), "text")?;
    let trace = tracing.stop()?;
    ensure!(
        frozen_row(&trace, &disk).is_err(),
        "it is said to be frozen"
    );
    Ok(())
}

/// Check that the same is known of who makes a directory there, and of who makes a file by its path, which is no open file's doing.
fn frozen_path() -> Result<()> {
    let disk = disk()?;
    let mut in_it = Command::new("mkdir");
    in_it.arg("made").current_dir(disk.mount());
    let mut from_afar = Command::new("mkdir");
    from_afar.arg(disk.mount().join("made")).current_dir("/");
    for mut maker in [in_it, from_afar] {
        let freeze = Freeze::of(disk.mount())?;
        let mut maker = Spawned::start(&mut maker)?;
        wait_for_d_state(maker.pid(), IN_D_WITHIN)?;
        let trace = Agent::everywhere().start()?.stop()?;
        drop(freeze);
        maker.wait()?;
        fs::remove_dir(disk.mount().join("made"))?;
        frozen_row(&trace, &disk)?;
    }
    Ok(())
}

/// Check that a limit of a reader's control group is told with the file that has it, and its value.
fn limited() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let group = IoGroup::new("stall-limited")?;
    let none = || Skip("this machine has no control groups for I/O".to_owned());
    let group = group.ok_or_else(none)?;
    let (major, minor) = disk.major_minor();
    let (file, line) = if group.path().join("io.max").exists() {
        ("io.max", format!("{major}:{minor} riops=10"))
    } else {
        (
            "blkio.throttle.read_iops_device",
            format!("{major}:{minor} 10"),
        )
    };
    fs::write(group.path().join(file), line)?;
    let mut reader = Command::new("dd");
    reader
        .arg(format!("if={}", disk.device().display()))
        .args(["of=/dev/null", "bs=4096", "count=1000", "iflag=direct"])
        .stderr(Stdio::null());
    group.place(&mut reader)?;
    let mut reader = Spawned::start(&mut reader)?;
    let tracing = Agent::everywhere().start()?;
    thread::sleep(Duration::from_secs(1));
    let trace = tracing.stop()?;
    reader.kill();
    let name = group.path().file_name().context("it has a name")?;
    let is_its = |row: &&CgroupLimit| row.cgroup.ends_with(&*name.to_string_lossy());
    let mut rows = trace.capture.host_waits.limits.iter();
    let row = rows.find(is_its).context("its limit is not told")?;
    note!("{row:?}");
    ensure!(row.file == file && row.value.contains("10"), "{row:?}");
    same("major", row.major.into(), major)?;
    same("minor", row.minor.into(), minor)
}

/// Check that a process in D that reads a file of a filesystem in user space is said to wait on it, and that its mount is told as one
/// that a server serves.
fn server() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let file = backing_file(&disk)?;
    let place = device_of(&file)?;
    // To open it is a wait that a signal ends, and that is not D.
    let opened = File::open(&file)?;
    let frozen = disk.control().freeze();
    let mut reader = Command::new("dd");
    reader
        .args(["of=/dev/null", "bs=4096", "count=1", "skip=5000"])
        .stdin(opened)
        .stderr(Stdio::null());
    let reader = Spawned::start(&mut reader)?;
    wait_for_d_state(reader.pid(), IN_D_WITHIN)?;
    let trace = Agent::everywhere().start()?.stop()?;
    drop(frozen);
    let task = trace.task(reader.pid()).context("the reader is not told")?;
    note!("{} waits on {:?}", task.comm, task.waits_on);
    ensure!(
        task.waits_on == [place],
        "{:?} is not {place:?}",
        task.waits_on
    );
    let mut servers = trace.capture.host_waits.servers.iter();
    let server = servers.find(|row| (row.major, row.minor) == place);
    let server = server.context("its server is not told")?;
    note!("{server:?}");
    ensure!(file.starts_with(&server.mount_point), "{server:?}");
    Ok(())
}

/// The file that a staged disk's loop device is on.
fn backing_file(disk: &StagedDisk) -> Result<PathBuf> {
    let path = format!("/sys/block/{}/loop/backing_file", disk.name());
    let file = PathBuf::from(fs::read_to_string(path)?.trim());
    ensure!(file.ends_with(FILE_NAME), "{} is another", file.display());
    Ok(file)
}

/// Check that of two processes that share a CPU, each is said to have waited for what the other ran.
fn cpu() -> Result<()> {
    let scratch = Scratch::new()?;
    let program = scratch.copy(&find_program("sh")?, "etcd")?;
    let spin = || -> Result<Spawned> {
        let mut command = Command::new(&program);
        let spinner = Spawned::start(command.args(["-c", "while :; do :; done"]))?;
        let mut cpus = CpuSet::new();
        cpus.set(0)?;
        sched_setaffinity(spinner.pid(), &cpus)?;
        Ok(spinner)
    };
    let both = [spin()?, spin()?];
    let tracing = Agent::everywhere().start()?;
    thread::sleep(Duration::from_secs(2));
    let trace = tracing.stop()?;
    let window = trace.capture.window.length_ns();
    for spinner in &both {
        let pid = spinner.pid().as_raw().cast_unsigned();
        let mut rows = trace.capture.host_waits.cpu.iter();
        let row = rows
            .find(|row| row.process.pid == pid)
            .context("it is not told")?;
        note!("{row:?}");
        same("threads", row.threads.into(), 1)?;
        // It does nothing else than run and wait to.
        between(
            "ran and waited",
            row.ran_ns + row.waited_ns,
            &(window * 9 / 10..window * 12 / 10),
        )?;
        between("waited", row.waited_ns, &(window * 3 / 10..window * 9 / 10))?;
    }
    Ok(())
}

/// Check that pages of a file that do not fit into a control group's memory are counted when they are read again, and that its limit is
/// told with what is used of it.
fn memory() -> Result<()> {
    let disk = disk()?;
    let group = IoGroup::of(Controller::Memory, "stall-memory")?;
    let none = || Skip("this machine has no control groups for memory".to_owned());
    let group = group.ok_or_else(none)?;
    group.limit_memory(16 * MIB)?;
    let file = disk.mount().join("file");
    fs::write(&file, vec![7; 64 * MIB as usize])?;
    File::open(&file)?.sync_all()?;
    let mut reader = Command::new("sh");
    reader
        .args(["-c", "while :; do cat \"$0\" >/dev/null; done"])
        .arg(&file);
    group.place(&mut reader)?;
    // Its pages are to be the group's.
    fs::write("/proc/sys/vm/drop_caches", "1")?;
    let mut reader = Spawned::start(&mut reader)?;
    thread::sleep(Duration::from_millis(500));
    let tracing = Agent::everywhere().start()?;
    thread::sleep(Duration::from_secs(2));
    let trace = tracing.stop()?;
    reader.kill();
    let waits = &trace.capture.host_waits;
    let pressure = waits.memory_pressure.context("nothing is told of memory")?;
    note!("{pressure:?}");
    ensure!(pressure.pages_refaulted > 1000, "{pressure:?}");
    let name = group.path().file_name().context("it has a name")?;
    let rows = waits.limits.iter();
    let rows: Vec<_> = rows
        .filter(|row| row.cgroup.ends_with(&*name.to_string_lossy()))
        .collect();
    note!("{rows:?}");
    ensure!(
        rows.iter().any(|row| row.value == (16 * MIB).to_string()),
        "the limit is not told"
    );
    same("rows of the group", rows.len() as u64, 2)
}

/// Check that a virtual machine's limit on its command line, and an image on a filesystem with a server, are told.
fn machine() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let scratch = Scratch::new()?;
    let program = scratch.copy(&find_program("sh")?, "qemu-system-x86_64")?;
    let image = backing_file(&disk)?;
    let mut machine = Command::new(program);
    machine
        .args(["-c", "sleep 60; :"])
        .args(["-drive", "file=/img,throttling.iops-total=5"])
        .stdin(File::open(&image)?);
    let machine = Spawned::start(&mut machine)?;
    let trace = Agent::everywhere().start()?.stop()?;
    let pid = machine.pid().as_raw().cast_unsigned();
    let rows = trace.capture.host_waits.unseen_disks.iter();
    let rows: Vec<_> = rows.filter(|row| row.pid == pid).collect();
    note!("{rows:?}");
    let has = |kind: UnseenKind, what: &str| {
        rows.iter()
            .any(|row| row.kind == kind && row.what.contains(what))
    };
    ensure!(
        has(UnseenKind::Throttled, "throttling.iops-total=5"),
        "{rows:?}"
    );
    ensure!(has(UnseenKind::ServedFile, FILE_NAME), "{rows:?}");
    Ok(())
}
