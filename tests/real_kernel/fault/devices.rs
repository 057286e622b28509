//! Disks that go and come while the window is open: what was done on them stays, under their name.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::Op as Seen;
use stall_tests::loop_device::LoopDevice;
use stall_tests::scratch::Scratch;

use crate::harness::agent::Agent;
use crate::harness::load::Load;
use crate::harness::seen::Trace;
use crate::harness::test::Test;
use crate::harness::{note, same};

pub(crate) const TESTS: &[Test] = &[
    Test::new("one_that_goes_keeps_its_counts", goes),
    Test::new("one_that_comes_is_counted", comes),
    Test::new("one_made_again_under_its_name_is_added_up", again),
];

const FIRST: u64 = 10;
const SECOND: u64 = 20;

/// Check that what was read from a disk that is gone at the end of the window is told, and who read.
fn goes() -> Result<()> {
    let made = Made::new()?;
    let device = made.device(0)?;
    let name = device.name().to_owned();
    let tracing = Agent::everywhere().start()?;
    let done = Load::run("reader", &device.path(), &[&read(FIRST)])?;
    device.unmake()?;
    ensure!(
        !Path::new("/sys/block").join(&name).exists(),
        "no trap was set: {name} is still there"
    );
    let trace = tracing.stop()?;
    same("reads", reads(&trace, &name), FIRST)?;
    let actor = trace.actor(done.pid)?.id;
    let index = trace.disk_called(&name)?.index;
    let mut uses = trace.capture.uses.iter();
    let used = uses.find(|used| used.actor == actor && Some(used.disk) == index);
    same("its reader's", used.context("nobody read")?.ops, FIRST)?;
    trace.device(&name).map(drop)
}

/// Check that a disk which is made when the window is open is told, with what the host says of it.
fn comes() -> Result<()> {
    let made = Made::new()?;
    let tracing = Agent::everywhere().start()?;
    let device = made.device(0)?;
    Load::run("reader", &device.path(), &[&read(FIRST)])?;
    let trace = tracing.stop()?;
    let name = device.name();
    same("reads", reads(&trace, name), FIRST)?;
    let size = trace.device(name)?.size_bytes;
    device.unmake()?;
    same("its size", size.context("it is not known")?, SIZE)
}

/// Check that reads of a disk and of another one made under its name and number later are all there, whether the kernel
/// keeps it at the same address or not.
fn again() -> Result<()> {
    let made = Made::new()?;
    let tracing = Agent::everywhere().start()?;
    let mut name = String::new();
    for (image, count) in [(0, FIRST), (1, SECOND)] {
        let device = made.device(image)?;
        Load::run("reader", &device.path(), &[&read(count)])?;
        device.name().clone_into(&mut name);
        device.unmake()?;
    }
    let trace = tracing.stop()?;
    let rows = trace.capture.disks.iter().filter(|disk| disk.name == name);
    note!("{name} is told {} times", rows.count());
    same("reads", reads(&trace, &name), FIRST + SECOND)?;
    let told = trace.report.devices.iter().filter(|it| it.name == name);
    let operations = told.flat_map(|device| &device.operations);
    let told = operations.filter(|it| it.op == Seen::Read).map(|it| it.ops);
    same("reads in the report", told.sum(), FIRST + SECOND)
}

const SIZE: u64 = 16 << 20;

/// Loop devices of a number that there is no other of.
struct Made {
    folder: Scratch,
    number: i32,
}

impl Made {
    fn new() -> Result<Self> {
        let is_free = |number: &i32| !Path::new(&format!("/sys/block/loop{number}")).exists();
        let number = (1_000..2_000).find(is_free);
        Ok(Self {
            folder: Scratch::new()?,
            number: number.context("there are a thousand loop devices")?,
        })
    }

    fn device(&self, image: u32) -> Result<LoopDevice> {
        let path: PathBuf = self.folder.path().join(format!("image-{image}"));
        File::create(&path)?.set_len(SIZE)?;
        LoopDevice::make(self.number, &path, 4096)
    }
}

fn read(count: u64) -> String {
    format!("read:0:4096:{count}")
}

/// Of all disks of that name.
fn reads(trace: &Trace, name: &str) -> u64 {
    let disks = trace.capture.disks.iter().filter(|it| it.name == name);
    let indices: Vec<u16> = disks.filter_map(|disk| disk.index).collect();
    let rows = trace.capture.series.iter();
    let rows = rows.filter(|row| row.op == Seen::Read && indices.contains(&row.disk));
    rows.map(|row| row.ops).sum()
}
