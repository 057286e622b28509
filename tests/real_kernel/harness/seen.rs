//! What the agent saw, and how to find things in it.

use anyhow::{Context as _, Result};
use nix::unistd::Pid;
use stall_agent::capture::{
    Actor, Blocked, Capture, Discards, Disk, Op, Series, Task, UnfinishedRequest, UnfinishedSleep,
    Use,
};
use stall_agent::report::Report;
use stall_agent::report::model::{BlockedTask, Device, DiscardGroup, Operation};
use stall_tests::staged::StagedDisk;

/// One run of the agent.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) capture: Capture,
    pub(crate) report: Report,
}

impl Trace {
    /// The disk in the capture.
    pub(crate) fn disk(&self, disk: &StagedDisk) -> Result<&Disk> {
        self.disk_called(disk.name())
    }

    /// The disk of a name in the capture.
    pub(crate) fn disk_called(&self, name: &str) -> Result<&Disk> {
        let mut disks = self.capture.disks.iter();
        disks
            .find(|disk| disk.name == name)
            .with_context(|| format!("{name} is not in the capture"))
    }

    /// The disk's index in the capture; none of a disk without requests.
    pub(crate) fn index(&self, disk: &StagedDisk) -> Option<u16> {
        self.disk(disk).ok()?.index
    }

    /// Everything of one operation on the disk.
    pub(crate) fn series(&self, disk: &StagedDisk, op: Op) -> Option<&Series> {
        let index = self.index(disk)?;
        let mut rows = self.capture.series.iter();
        rows.find(|row| row.disk == index && row.op == op)
    }

    /// Everything of one operation on the disk, which must have been seen.
    pub(crate) fn seen(&self, disk: &StagedDisk, op: Op) -> Result<&Series> {
        self.series(disk, op)
            .with_context(|| format!("no {op:?} was seen on {}", disk.name()))
    }

    /// The requests of one operation that ended.
    pub(crate) fn ops(&self, disk: &StagedDisk, op: Op) -> u64 {
        self.series(disk, op).map_or(0, |row| row.ops)
    }

    /// The requests of several operations that ended.
    pub(crate) fn ops_of(&self, disk: &StagedDisk, ops: &[Op]) -> u64 {
        ops.iter().map(|op| self.ops(disk, *op)).sum()
    }

    /// Their bytes.
    pub(crate) fn bytes_of(&self, disk: &StagedDisk, ops: &[Op]) -> u64 {
        let rows = ops.iter().filter_map(|op| self.series(disk, *op));
        rows.map(|row| row.bytes).sum()
    }

    /// What was done on the disk, by whom.
    pub(crate) fn uses(&self, disk: &StagedDisk) -> impl Iterator<Item = &Use> {
        let index = self.index(disk);
        let rows = self.capture.uses.iter();
        rows.filter(move |row| Some(row.disk) == index)
    }

    /// What one process did on the disk with one operation.
    pub(crate) fn use_of(&self, disk: &StagedDisk, pid: Pid, op: Op) -> Result<&Use> {
        let actor = self.actor(pid)?.id;
        self.uses(disk)
            .find(|row| row.actor == actor && row.op == op)
            .with_context(|| format!("process {pid} did no {op:?} on {}", disk.name()))
    }

    /// The actor that a process is.
    pub(crate) fn actor(&self, pid: Pid) -> Result<&Actor> {
        let is_it = |actor: &&Actor| {
            let process = actor.process.as_ref();
            process.is_some_and(|process| process.pid == pid.as_raw().cast_unsigned())
        };
        let mut actors = self.capture.actors.iter();
        actors
            .find(is_it)
            .with_context(|| format!("process {pid} is no actor"))
    }

    /// The discards on the disk by who sent them.
    pub(crate) fn discards(&self, disk: &StagedDisk) -> impl Iterator<Item = &Discards> {
        let index = self.index(disk);
        let rows = self.capture.discards.iter();
        rows.filter(move |row| Some(row.disk) == index)
    }

    /// The discards on the disk in the report.
    pub(crate) fn groups(&self, disk: &StagedDisk) -> impl Iterator<Item = &DiscardGroup> {
        let rows = self.report.discards.iter();
        rows.filter(|row| row.device == disk.name())
    }

    /// The disk's requests that had not ended.
    pub(crate) fn unfinished(&self, disk: &StagedDisk) -> Vec<&UnfinishedRequest> {
        let index = self.index(disk);
        let rows = self.capture.unfinished_requests.iter();
        rows.filter(|row| Some(row.disk) == index).collect()
    }

    /// A thread that was in D.
    pub(crate) fn task(&self, tid: Pid) -> Option<&Task> {
        let tid = tid.as_raw().cast_unsigned();
        self.capture.tasks.iter().find(|task| task.tid == tid)
    }

    /// A thread's sleeps that ended.
    pub(crate) fn blocked(&self, tid: Pid) -> Vec<&Blocked> {
        let task = self.task(tid).map(|task| task.id);
        let rows = self.capture.blocked.iter();
        rows.filter(|row| Some(row.task) == task).collect()
    }

    /// A thread's sleep that had not ended.
    pub(crate) fn asleep(&self, tid: Pid) -> Option<&UnfinishedSleep> {
        let task = self.task(tid)?.id;
        let mut rows = self.capture.unfinished_sleeps.iter();
        rows.find(|row| row.task == task)
    }

    /// How often something was lost.
    pub(crate) fn lost(&self, cause: &str) -> Result<u64> {
        let mut rows = self.capture.loss.iter();
        rows.find(|row| row.cause == cause)
            .map(|row| row.count)
            .with_context(|| format!("nothing is called `{cause}` among the losses"))
    }

    /// Whether the end of a request or of a sleep was kept from it.
    pub(crate) fn missed_events(&self) -> bool {
        let causes = [
            "missed_completions",
            "missed_partial_completions",
            "missed_wakeups",
        ];
        causes.iter().any(|cause| self.lost(cause).unwrap_or(0) > 0)
    }

    /// The disk in the report.
    pub(crate) fn device(&self, name: &str) -> Result<&Device> {
        let mut devices = self.report.devices.iter();
        devices
            .find(|device| device.name == name)
            .with_context(|| format!("{name} is not in the report"))
    }

    /// One operation on the disk in the report.
    pub(crate) fn operation(&self, disk: &StagedDisk, op: Op) -> Result<&Operation> {
        let mut operations = self.device(disk.name())?.operations.iter();
        operations
            .find(|operation| operation.op == op)
            .with_context(|| format!("no {op:?} of {} is in the report", disk.name()))
    }

    /// A thread that was in D, in the report.
    pub(crate) fn blocked_task(&self, tid: Pid) -> Result<&BlockedTask> {
        let number = tid.as_raw().cast_unsigned();
        let mut tasks = self.report.blocked.iter();
        tasks
            .find(|task| task.tid == number)
            .with_context(|| format!("thread {tid} is not in the report"))
    }
}
