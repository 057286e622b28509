//! Many disks: each is measured, however late it comes.

use std::fs::File;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::Op as Seen;
use stall_tests::loop_device::{self, LoopDevice};
use stall_tests::scratch::Scratch;
use stall_tests::slow_disk::Op;
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::load::Load;
use crate::harness::test::Test;
use crate::harness::{note, same};

pub(crate) const TESTS: &[Test] = &[Test::new("the_last_of_many_hangs", last_hangs)];

/// Twice as many as there was room for once.
const DISKS: usize = 130;

/// Check that where many disks are at work the one that comes last is measured, with what hangs there.
fn last_hangs() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let folder = Scratch::below("/dev/shm".as_ref())?;
    let devices = (0..DISKS).map(|number| {
        let backing = folder.path().join(number.to_string());
        File::create(&backing)?.set_len(4 << 20)?;
        LoopDevice::attach(&backing, 4096)
    });
    let devices = devices.collect::<Result<Vec<_>>>()?;
    let traced = hanging(&disk, &devices);
    for mut device in devices {
        device.detach()?;
        loop_device::remove(&device)?;
    }
    traced
}

fn hanging(disk: &StagedDisk, devices: &[LoopDevice]) -> Result<()> {
    let tracing = Agent::everywhere().start()?;
    for device in devices {
        Load::run("early", &device.path(), &["read:0:4096:4"])?;
    }
    disk.control().hang(Op::Read, Some(1))?;
    let late = Load::start("late", &disk.device(), &["read:8192:4096"])?;
    thread::sleep(Duration::from_millis(1_500));
    let trace = tracing.stop()?;
    disk.control().release(None)?;
    late.wait()?;
    let seen = |name: &str| {
        let index = trace.disk_called(name)?.index.context("it has no index")?;
        let mut rows = trace.capture.series.iter();
        let row = rows.find(|row| row.disk == index && row.op == Seen::Read);
        Ok::<_, anyhow::Error>(row.map_or(0, |row| row.ops))
    };
    for device in devices {
        same(device.name(), seen(device.name())?, 4)?;
    }
    let stuck = trace.unfinished(disk);
    same("unfinished requests of the last", stuck.len() as u64, 1)?;
    let index = trace.index(disk);
    note!("it has index {index:?}");
    ensure!(index >= Some(DISKS as u16), "it did not come last");
    same("disks without room", trace.lost("disks_map_full")?, 0)?;
    same("series without room", trace.lost("series_map_full")?, 0)
}
