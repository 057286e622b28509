//! Everything one run observed, as plain data.
//!
//! A [`Capture`] is made by `trace`, can be saved, and is all that analysis sees: no rule of the
//! verdict reads a file or asks the kernel. Times named `_ns` without more are nanoseconds of
//! `CLOCK_MONOTONIC`; durations too are in nanoseconds. What is not known is `None`, never 0.

#![forbid(unsafe_code)]

pub mod command;
mod cost;
mod disk;
pub mod fit;
mod host_wait;
mod interval;
mod inventory;
mod packed;
mod request;
pub mod sample;
mod task;

use std::io::Read;
use std::sync::LazyLock;

use fit::{Differences, Misfit};

pub use cost::{Confinement, Lacking, Loss, Overhead, ProgramCost};
pub use disk::{Contents, DeviceState, Disk, DiskFacts, DiskStat, InFlight, Mount, Partition};
pub use host_wait::{
    CgroupLimit, CpuWait, Dirtied, FrozenFilesystem, HostWaits, MemoryPressure, ServerMount,
    UnseenDisk, UnseenKind,
};
pub use interval::{
    Interval, IntervalDiscards, IntervalDisk, IntervalSeries, IntervalUse, IntervalWaited,
};
pub use inventory::{
    FstabEntry, Inventory, NameGap, OemFile, TrimSchedule, UnitState, View, Volume,
};
pub use packed::Packed;
pub use request::{
    Discards, EndedRequest, Histogram, Op, Owner, Series, UnfinishedRequest, Use, is_discard,
    is_waited_for,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use task::{
    Actor, Blocked, EndedSleep, Frame, Holder, OpenDisk, Pod, Process, ReplicaDirectory, Stack,
    Task, UnfinishedSleep, VolumeMeta, Waker,
};

/// Name of the format, the first field of a saved capture.
pub const FORMAT: &str = "stall-agent-capture";
/// Version of the format. Fields are added with a default; a change of meaning takes a new one. Version 1 did not tell
/// [`Op::AsyncWrite`] and [`Op::ReadAhead`] apart; it is still read.
pub const VERSION: u32 = 2;
/// The first version.
pub const OLDEST: u32 = 1;

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Capture {
    /// [`FORMAT`]
    pub format: String,
    /// [`VERSION`]
    pub version: u32,
    /// Version of the program that made it.
    pub agent_version: String,
    pub host: Host,
    pub settings: Settings,
    pub window: Window,
    /// One row per hook of the plan.
    pub hooks: Vec<Hook>,
    /// Fields the kernel does not have, and what is not known for want of them.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    pub disks: Vec<Disk>,
    /// Processes that submitted requests; `id`s are unique, tgids need not be.
    pub actors: Vec<Actor>,
    /// Actor x disk x operation.
    pub uses: Vec<Use>,
    /// For whom threads of the kernel did what they did.
    #[serde(default)]
    pub owners: Vec<Owner>,
    /// Disk x operation.
    pub series: Vec<Series>,
    /// Discards by submitter, disk and stack.
    pub discards: Vec<Discards>,
    /// The slow requests that were recorded one by one, in order of completion.
    pub slow_requests: Vec<EndedRequest>,
    /// The discards that were recorded one by one, in order of completion.
    pub discard_requests: Vec<EndedRequest>,
    pub unfinished_requests: Vec<UnfinishedRequest>,
    /// Threads that were in D.
    pub tasks: Vec<Task>,
    /// Ended sleeps, by task and stack.
    pub blocked: Vec<Blocked>,
    /// The long sleeps that were recorded one by one, in order of wake-up.
    pub long_sleeps: Vec<EndedSleep>,
    /// Tasks in D at the end of the window.
    pub unfinished_sleeps: Vec<UnfinishedSleep>,
    /// Kernel stacks, referred to by index.
    pub stacks: Vec<Stack>,
    pub intervals: Vec<Interval>,
    pub loss: Vec<Loss>,
    pub overhead: Overhead,
    /// `None` in a capture of a version that did not confine itself.
    #[serde(default)]
    pub confinement: Option<Confinement>,
    #[serde(default)]
    pub inventory: Inventory,
    /// Waits that no request shows.
    #[serde(default)]
    pub host_waits: HostWaits,
}

/// The machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    pub hostname: Option<String>,
    /// `uname -r`
    pub kernel_release: String,
    /// `uname -v`
    pub kernel_version: String,
    /// `uname -m`
    pub machine: String,
    /// `PRETTY_NAME` of os-release.
    pub os: Option<String>,
    /// `/proc/sys/kernel/random/boot_id`
    pub boot_id: Option<String>,
    pub cpus: u32,
    pub memory_bytes: Option<u64>,
    /// `/proc/loadavg` at the end of the window: 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
}

/// What the run was asked to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// `None` is until interrupted.
    pub duration_ns: Option<u64>,
    pub interval_ns: u64,
    pub slow_ns: u64,
    /// Sleeps from this length on have their stack taken.
    pub stack_min_ns: u64,
    /// As given by `--device`; empty is all.
    pub devices: Vec<String>,
}

/// The time observed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// All hooks attached.
    pub start_ns: u64,
    /// The first hook is about to be detached.
    pub end_ns: u64,
    /// Wall clock at `start_ns`, nanoseconds since the epoch.
    pub start_unix_ns: i64,
    /// `CLOCK_BOOTTIME - CLOCK_MONOTONIC` at the start: time spent suspended.
    pub suspended_ns: u64,
    /// Ended by a signal, or by leaving the view, before the duration was over.
    pub interrupted: bool,
}

impl Window {
    #[must_use]
    pub const fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// Whether a hook of the plan could be used.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// Name of the program.
    pub program: String,
    /// Name of the tracepoint or iterator.
    pub hook: String,
    pub state: HookState,
    /// In one sentence, why it is not attached, and what the report lacks for it.
    pub reason: Option<String>,
    /// What the report lacks for it; part of `reason`.
    #[serde(default)]
    pub lack: Option<String>,
}

/// Fields of the kernel's structures that serve one purpose, and are not all there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// Which: a name of `kernel::layout::PARTS`.
    pub part: String,
    /// The fields, comma-separated.
    pub missing: String,
    /// What the report lacks.
    pub lack: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookState {
    Attached,
    /// Another one serves on this kernel.
    NotNeeded,
    /// The kernel does not have it.
    Missing,
    /// It was there and the kernel refused.
    Failed,
}

/// Why a file is not a capture that can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it is not a capture of stall-agent")]
    Foreign,
    #[error(
        "it has format version {0}, but this program reads {OLDEST} to {VERSION}: use the version that made it"
    )]
    Version(u64),
    #[error("it is damaged or cut short ({0})")]
    Damaged(String),
    #[error("it cannot be read ({0})")]
    Io(#[from] std::io::Error),
}

impl Capture {
    /// Reads a saved capture.
    ///
    /// # Errors
    ///
    /// When the input is not one, is of another version, or is incomplete.
    pub fn read(mut input: impl Read) -> Result<Self, ReadError> {
        let mut text = Vec::new();
        input.read_to_end(&mut text)?;
        let value: Value = match serde_json::from_slice(&text) {
            Err(error) if is_one(&text) => return Err(ReadError::Damaged(error.to_string())),
            Err(_) => return Err(ReadError::Foreign),
            Ok(value) => value,
        };
        if value["format"] != FORMAT {
            return Err(ReadError::Foreign);
        }
        match value["version"].as_u64() {
            Some(version) if Self::reads(version) => {}
            other => return Err(ReadError::Version(other.unwrap_or(0))),
        }
        let fitted = Self::fit(value);
        let (capture, _) = fitted.map_err(|misfit| ReadError::Damaged(misfit.to_string()))?;
        Ok(capture)
    }

    /// Whether captures of a version of the format are read.
    #[must_use]
    pub fn reads(version: u64) -> bool {
        (u64::from(OLDEST)..=u64::from(VERSION)).contains(&version)
    }

    /// One of this version, of JSON that was written as one.
    ///
    /// # Errors
    ///
    /// What is damaged.
    pub fn fit(value: Value) -> Result<(Self, Differences), Misfit> {
        static SCHEMA: LazyLock<Value> = LazyLock::new(fit::schema::<Capture>);
        fit::fit(value, &SCHEMA, &["host", "settings", "window"])
    }

    /// Whether a program was wanted, and did not run.
    #[must_use]
    pub fn lacks_program(&self, name: &str) -> bool {
        let mut hooks = self.hooks.iter().filter(|hook| hook.program == name);
        hooks.any(|hook| match hook.state {
            HookState::Missing | HookState::Failed => true,
            HookState::Attached | HookState::NotNeeded => false,
        })
    }

    /// Whether the kernel does not have the fields of a part.
    #[must_use]
    pub fn lacks_part(&self, name: &str) -> bool {
        self.gaps.iter().any(|gap| gap.part == name)
    }

    /// The disk of an index used in this capture.
    #[must_use]
    pub fn disk(&self, index: u16) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.index == Some(index))
    }

    /// The actor of an id used in this capture.
    #[must_use]
    pub fn actor(&self, id: u32) -> Option<&Actor> {
        self.actors.iter().find(|actor| actor.id == id)
    }

    /// The task of an id used in this capture.
    #[must_use]
    pub fn task(&self, id: u32) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }
}

/// Tells a capture that is cut or damaged from something else.
#[must_use]
pub fn is_one(text: &[u8]) -> bool {
    let name = FORMAT.as_bytes();
    text.windows(name.len()).any(|part| part == name)
}
