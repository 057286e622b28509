//! A real virtual machine, called as KubeVirt calls them, on a volume that lies as a file on the slow disk, while the
//! host trims the filesystem there: it is named, and what it waited is what it measured itself.
//!
//! The witness is the guest: it times each read by its own clock and says so on its console, which is read here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use stall_agent::capture::Op as Seen;
use stall_agent::report::model::{Kind, LayerKind, Vm, VmDisk, VmLayer};
use stall_tests::cgroup::IoGroup;
use stall_tests::clock::monotonic_ns;
use stall_tests::guest::reader::READ;
use stall_tests::loop_device::LoopDevice;
use stall_tests::slow_disk::{Delay, LockMode, Op};
use stall_tests::spawned::{Spawned, wait_until};
use stall_tests::staged::trim::Trim;
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::seen::Trace;
use crate::harness::skip::{Need, Skip};
use crate::harness::test::Test;
use crate::harness::{close, note};

pub(crate) const TESTS: &[Test] =
    &[
        Test::new("a_machine_is_named_with_what_it_measured_itself", named)
            .needs(&[Need::FileSystem(FileSystem::Ext4)]),
    ];

/// Describes the machine, or says why there is none; `cargo xtask test` sets one of them.
const MACHINE: &str = "STALL_MACHINE";
const NO_MACHINE: &str = "STALL_NO_MACHINE";
const READS_WITHIN: Duration = Duration::from_secs(120);
const LEAD: Duration = Duration::from_millis(1_500);
const WINDOW: &str = "8s";
const VOLUME_BYTES: u64 = 64 << 20;
const SLOW_NS: u64 = 10_000_000;
/// What the way through the emulator may add to a read: it runs on the processors the test runs on.
const EMULATED_NS: u64 = 3_000_000;

/// As `cargo xtask test` describes it.
#[derive(Deserialize)]
struct Machine {
    program: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    kernel: PathBuf,
    initramfs: PathBuf,
}

impl Machine {
    fn known() -> Result<Self> {
        let Ok(text) = std::env::var(MACHINE) else {
            let why = std::env::var(NO_MACHINE);
            let why = why.unwrap_or_else(|_| format!("{MACHINE} is not set: run cargo xtask test"));
            return Err(Skip(format!("no virtual machine: {why}")).into());
        };
        serde_json::from_str(&text).context("what describes the machine")
    }

    /// With the options KubeVirt gives a block volume: past the page cache, native asynchronous I/O.
    fn command(&self, volume: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(&self.environment).args(&self.arguments);
        command.args(["-name", "guest=default_vm1,debug-threads=on"]);
        command.args(["-machine", "pc,accel=tcg", "-cpu", "max", "-m", "256"]);
        command.args(["-nodefaults", "-no-reboot", "-display", "none"]);
        command.args(["-serial", "stdio"]);
        command.arg("-kernel").arg(&self.kernel);
        command.arg("-initrd").arg(&self.initramfs);
        command.args(["-append", "console=ttyS0 quiet panic=-1 rdinit=/reader"]);
        let disk = format!(
            "driver=host_device,filename={},node-name=disk,aio=native,cache.direct=on,discard=unmap",
            volume.display()
        );
        command.args(["-blockdev", &disk]);
        command.args(["-device", "virtio-blk-pci,drive=disk,id=ua-disk"]);
        command
    }
}

/// A read, by the guest's account.
#[derive(Clone, Copy, Debug)]
struct Read {
    /// When its line came, by the host's clock.
    told_ns: u64,
    took_ns: u64,
}

/// A machine that runs; ended when dropped.
struct Guest {
    process: Spawned,
    reads: Arc<Mutex<Vec<Read>>>,
}

impl Guest {
    fn start(machine: &Machine, volume: &LoopDevice) -> Result<Self> {
        let (console, output) = std::io::pipe()?;
        let mut command = machine.command(&volume.path());
        command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::inherit());
        let process = Spawned::start(&mut command)?;
        // Ours of the two ends: else the console would never end.
        drop(command);
        let reads = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&reads);
        thread::spawn(move || listen(console, &told));
        let guest = Self { process, reads };
        let begun = wait_until(READS_WITHIN, || guest.reads().len() > 20);
        ensure!(begun, "the guest does not read");
        Ok(guest)
    }

    fn reads(&self) -> Vec<Read> {
        let reads = self.reads.lock();
        reads.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn listen(console: PipeReader, to: &Mutex<Vec<Read>>) {
    for line in BufReader::new(console).lines().map_while(Result::ok) {
        let told_ns = monotonic_ns();
        let took_ns = line.trim().strip_prefix(READ);
        if let Some(took_ns) = took_ns.and_then(|text| text.parse().ok()) {
            let read = Read { told_ns, took_ns };
            to.lock().unwrap_or_else(PoisonError::into_inner).push(read);
        }
    }
}

/// What lies where. The fields drop in this order: nobody may use what goes.
struct Stage {
    guest: Guest,
    volume: LoopDevice,
    group: Option<IoGroup>,
    disk: StagedDisk,
}

impl Stage {
    fn set(machine: &Machine) -> Result<Self> {
        let disk = StagedDisk::builder()
            .file_system(FileSystem::Ext4)
            .lock(LockMode::DiscardExclusive)
            .delay(Op::Discard, Delay::uniform(35_000, 65_000))
            .delay(Op::Read, Delay::uniform(200, 400))
            .start()?;
        let image = disk.mount().join("volume");
        std::fs::write(&image, vec![7; VOLUME_BYTES as usize])?;
        File::open(&image)?.sync_all()?;
        let volume = LoopDevice::attach(&image, 4096)?;
        Ok(Self {
            guest: Guest::start(machine, &volume)?,
            group: IoGroup::new("stall-machine")?,
            volume,
            disk,
        })
    }

    fn trace(&self) -> Result<Trace> {
        let agent = Agent::on(&self.disk).with("--device", self.volume.name());
        let tracing = agent.with("--duration", WINDOW).start()?;
        thread::sleep(LEAD);
        let trim = self.group.as_ref();
        let trim = trim.map_or_else(Trim::new, |own| Trim::new().group(own));
        let _trimming = trim.start(&self.disk)?;
        tracing.finish()
    }
}

/// Check that the machine is named with its disk, that the trim below is to blame, and that what its reads met on the host
/// is what it measured.
fn named() -> Result<()> {
    let machine = Machine::known()?;
    let stage = Stage::set(&machine)?;
    let trace = stage.trace()?;
    let vm = only_machine(&trace, &stage)?;
    let disk = its_disk(vm, &stage)?;
    for layer in &disk.layers {
        note!("{layer:?}");
    }
    let reads = layer(disk, LayerKind::Guest, Seen::Read)?;
    agrees(&trace, &stage, reads)?;
    let below = layer(disk, LayerKind::Physical, Seen::Read)?;
    ensure!(
        below.slow_ops > 0,
        "nothing was slow on the physical disk: {below:?}"
    );
    let verdict = &trace.report.verdict;
    note!("{:?}: {}", verdict.kind, verdict.sentence);
    ensure!(verdict.kind == Kind::HostTrim, "{}", verdict.sentence);
    ensure!(
        verdict.device.as_deref() == Some(stage.disk.name()),
        "on {:?}",
        verdict.device
    );
    Ok(())
}

fn only_machine<'a>(trace: &'a Trace, stage: &Stage) -> Result<&'a Vm> {
    let pid = stage.guest.process.pid().as_raw().cast_unsigned();
    let mut vms = trace.report.vms.iter();
    let vm = vms.find(|vm| vm.pid == pid);
    let vm = vm.with_context(|| format!("no machine of pid {pid} in {:?}", trace.report.vms))?;
    ensure!(vm.label == "default/vm1", "it is called {}", vm.label);
    Ok(vm)
}

fn its_disk<'a>(vm: &'a Vm, stage: &Stage) -> Result<&'a VmDisk> {
    let mut disks = vm.disks.iter();
    let disk = disks.find(|disk| disk.device.as_deref() == Some(stage.volume.name()));
    let disk = disk.with_context(|| format!("its disk is not in {:?}", vm.disks))?;
    ensure!(
        disk.physical == [stage.disk.name()],
        "it lies on {:?}",
        disk.physical
    );
    Ok(disk)
}

fn layer(disk: &VmDisk, kind: LayerKind, op: Seen) -> Result<&VmLayer> {
    let op = serde_json::to_value(op)?;
    let mut layers = disk.layers.iter();
    layers
        .find(|layer| {
            layer.layer == kind && serde_json::to_value(layer.op).is_ok_and(|seen| seen == op)
        })
        .with_context(|| format!("no {kind:?} among {:?}", disk.layers))
}

/// Number of reads, of slow ones, the time these took, and the slowest.
fn agrees(trace: &Trace, stage: &Stage, seen: &VmLayer) -> Result<()> {
    let window = &trace.capture.window;
    let reads = stage.guest.reads();
    let within = |read: &&Read| (window.start_ns..window.end_ns).contains(&read.told_ns);
    let reads: Vec<&Read> = reads.iter().filter(within).collect();
    let slow = reads.iter().filter(|read| read.took_ns >= SLOW_NS);
    let (slow_ops, slow_ns) = slow.fold((0, 0), |(ops, ns), read| (ops + 1, ns + read.took_ns));
    ensure!(
        slow_ops > 10,
        "{slow_ops} slow reads: no trap was set ({} reads)",
        reads.len()
    );
    // At both ends of the window some may be told on the other side: the console is read when it is.
    close("reads (guest)", seen.ops, reads.len() as u64, 0.02, 2)?;
    close("slow reads (guest)", seen.slow_ops, slow_ops, 0.1, 2)?;
    let pid = stage.guest.process.pid();
    let own = trace.actor(pid)?.id;
    let volume = trace.disk_called(stage.volume.name())?.index;
    let recorded = trace.capture.slow_requests.iter();
    let recorded = recorded.filter(|one| one.actor == own && Some(one.disk) == volume);
    let waited: u64 = recorded.map(|one| one.completed_ns - one.queued_ns).sum();
    let added = slow_ops * EMULATED_NS;
    close("time in slow reads (guest)", waited, slow_ns, 0.1, added)?;
    let slowest = reads.iter().map(|read| read.took_ns).max().unwrap_or(0);
    close(
        "slowest read (guest)",
        seen.slowest_ns,
        slowest,
        0.1,
        EMULATED_NS,
    )
}
