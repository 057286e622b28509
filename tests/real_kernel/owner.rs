//! For whom threads of the kernel work: the control group that their requests are charged to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use stall_agent::capture::{Op as Seen, Owner};
use stall_tests::cgroup::IoGroup;
use stall_tests::fio::{Job, Pattern};
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent::Agent;
use crate::harness::compare::traced;
use crate::harness::on_file::{OnFile, charged};
use crate::harness::seen::Trace;
use crate::harness::skip::Need;
use crate::harness::test::Test;
use crate::harness::{note, same};

pub(crate) const TESTS: &[Test] =
    &[
        Test::new("a_loop_devices_worker_writes_for_others", loop_worker)
            .needs(&[Need::FileSystem(FileSystem::Ext4)]),
    ];

const WRITES: u64 = 300;

/// Check that what a loop device's worker writes to the disk below is told to be for the control
/// group of the process that wrote to the loop device, by its path; and that a process that writes
/// by itself, in the same group, is nobody's servant.
fn loop_worker() -> Result<()> {
    let group = charged("stall-owner")?;
    let OnFile { disk, upper } = OnFile::stage()?;
    let agent = Agent::on(&disk).with("--device", upper.name());
    let act = || {
        let job = |file: &Path| Job::new(Pattern::RandWrite, file).size(8 << 20);
        let above = job(&upper.path()).requests(WRITES);
        above.start_in(Some(&group))?.wait()?;
        let own = job(&disk.mount().join("own")).requests(WRITES);
        own.start_in(Some(&group))?.wait()
    };
    let (trace, _, _) = traced(&disk, &agent, act)?;
    let (rows, others) = rows(&trace, &disk, &group)?;
    note!("{rows:?}; for others {others:?}");
    let writes = || rows.iter().filter(|row| row.op == Seen::Write);
    same(
        "writes for the group",
        writes().map(|row| row.ops).sum(),
        WRITES,
    )?;
    let bytes = writes().map(|row| row.bytes).sum();
    same("bytes of writes for it", bytes, WRITES * 4096)?;
    rows.iter()
        .try_for_each(|row| is_part_of_a_servants(&trace, &disk, row))?;
    let name = group.path().file_name().context("it has a name")?;
    let path = format!("/{}", name.to_string_lossy());
    ensure!(
        rows.iter().all(|row| row.cgroup.as_deref() == Some(&path)),
        "{rows:?} are not of {path}"
    );
    let uses = trace.report.actors.iter().flat_map(|actor| &actor.uses);
    let owners = uses.flat_map(|used| used.owners.iter().flatten());
    let told = owners.filter(|owner| owner.cgroup.as_deref() == Some(&path));
    same(
        "requests for it in the report",
        told.map(|owner| owner.ops).sum(),
        rows.iter().map(|row| row.ops).sum(),
    )
}

fn is_part_of_a_servants(trace: &Trace, disk: &StagedDisk, row: &Owner) -> Result<()> {
    let actor = trace.capture.actor(row.actor);
    let process = actor.and_then(|actor| actor.process.as_ref());
    let process = process.context("an owner's servant is not known")?;
    ensure!(process.kernel_thread, "{} works for itself", process.comm);
    let used = trace
        .uses(disk)
        .find(|used| (used.actor, used.op) == (row.actor, row.op));
    let used = used.context("there is no use it is a part of")?;
    ensure!(
        row.ops <= used.ops && row.total_ns <= used.total_ns,
        "{row:?} of {used:?}"
    );
    Ok(())
}

/// What was done on the disk for the group, and for others.
fn rows(trace: &Trace, disk: &StagedDisk, group: &IoGroup) -> Result<(Vec<Owner>, Vec<Owner>)> {
    let id = fs::metadata(group.path())?.ino();
    let index = trace.index(disk);
    let rows = trace.capture.owners.iter().cloned();
    let rows = rows.filter(|row| Some(row.disk) == index);
    Ok(rows.partition(|row| row.cgroup_id == id))
}
