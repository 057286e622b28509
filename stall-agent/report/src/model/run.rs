//! The run itself: program, machine, window, settings, hooks, losses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The program that made the report, and what it cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// Version of the program that traced.
    pub version: String,
    /// Version of the program that judged: another one when a saved capture is analysed.
    pub judged_by: String,
    /// From the start of the process to the last hook attached.
    pub attach_ns: u64,
    /// From the end of the window to the capture being complete.
    pub finish_ns: u64,
    /// CPU time of the process in user mode.
    pub cpu_user_ns: u64,
    /// CPU time of the process in the kernel.
    pub cpu_system_ns: u64,
    /// Largest resident set.
    pub peak_rss_bytes: u64,
    /// What the kernel charges for the maps.
    pub map_memory_bytes: u64,
    /// How long the kernel counted and timed the programs, from the start of the window on.
    #[serde(default)]
    pub programs_timed_ns: u64,
    /// Sum of the programs' `run_ns`.
    pub programs_run_ns: u64,
    /// The same as a share of that time on all CPUs.
    pub programs_cpu_share: Option<f64>,
    /// Each BPF program.
    pub programs: Vec<Program>,
    /// What it gave up when its hooks were attached; `null` in a capture of a version that gave up nothing.
    pub confinement: Option<Confinement>,
}

/// What the agent gave up when its hooks were attached, and what it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confinement {
    /// Capabilities it kept, by name.
    pub capabilities: Vec<String>,
    /// Capabilities it uses and did not have.
    pub lacking: Vec<Lacking>,
    /// It cannot get new privileges by executing a program.
    pub no_new_privileges: bool,
    /// System calls that it does not need are refused.
    pub system_call_filter: bool,
    /// Its memory stays in memory, so that it waits for no disk to read its own program from.
    pub memory_locked: bool,
    /// Bytes of it that were locked and in memory at the end.
    pub memory_locked_bytes: Option<u64>,
    /// What the kernel refused, in words.
    pub refused: Vec<String>,
}

/// A capability that the agent uses and did not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lacking {
    /// Name of the capability.
    pub capability: String,
    /// What the report lacks for it.
    pub lack: String,
}

/// What the kernel measured of one BPF program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    /// Name of the BPF program.
    pub name: String,
    /// Times it ran while it was timed.
    pub runs: u64,
    /// Time it then ran.
    pub run_ns: u64,
    /// Average of one run.
    pub mean_run_ns: Option<f64>,
    /// Runs the kernel skipped because it was running on the same CPU.
    pub recursion_misses: u64,
    /// Instructions the verifier looked at.
    pub verified_instructions: Option<u32>,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Name of the host.
    pub hostname: Option<String>,
    /// `uname -r`
    pub kernel_release: String,
    /// `uname -v`
    pub kernel_version: String,
    /// `uname -m`
    pub machine: String,
    /// `PRETTY_NAME` of os-release.
    pub os: Option<String>,
    /// Changes with every boot.
    pub boot_id: Option<String>,
    /// CPUs online.
    pub cpus: u32,
    /// Memory of the host.
    pub memory_bytes: Option<u64>,
    /// Load average over 1, 5 and 15 minutes at the end of the window.
    pub load: Option<[f64; 3]>,
    /// From where it was seen.
    pub view: View,
}

/// From where the host was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct View {
    /// Where the host's `/` was.
    pub host_root: String,
    /// The agent ran in the host's pid namespace.
    pub pid_namespace_is_hosts: Option<bool>,
    /// The agent ran in the host's mount namespace.
    pub mount_namespace_is_hosts: Option<bool>,
    /// `/proc` below `host_root` shows all processes of the host.
    pub proc_is_hosts: Option<bool>,
    /// What the report lacks because of it, in words.
    pub costs: Vec<String>,
}

/// Names of one kind that could not be had for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameGap {
    /// What has no name.
    pub what: String,
    /// Why names are missing.
    pub reason: String,
    /// How often this occurred.
    pub count: u64,
}

/// The time observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// Wall clock when all hooks were attached, RFC 3339, UTC.
    pub start: String,
    /// Wall clock when the first hook was about to be detached.
    pub end: String,
    /// `CLOCK_MONOTONIC` at the start.
    pub start_ns: u64,
    /// `CLOCK_MONOTONIC` at the end.
    pub end_ns: u64,
    /// Difference of the two.
    pub length_ns: u64,
    /// Time the machine was suspended since boot, at the start.
    pub suspended_ns: u64,
    /// Ended by a signal, or by leaving the view, before the duration was over.
    pub interrupted: bool,
}

/// What the run was asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// `null` is until interrupted.
    pub duration_ns: Option<u64>,
    /// Snapshot interval.
    pub interval_ns: u64,
    /// Requests from this length on are slow.
    pub slow_ns: u64,
    /// Sleeps from this length on have their stack taken.
    pub stack_min_ns: u64,
    /// Devices asked for; empty is all.
    pub devices: Vec<String>,
}

/// Whether a hook of the plan could be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// Name of the program.
    pub program: String,
    /// Name of the tracepoint or iterator.
    pub hook: String,
    /// Whether it was used.
    pub state: HookState,
    /// Why it is not attached, and what the report lacks for it.
    pub reason: Option<String>,
}

/// Something this kernel does not tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageGap {
    /// The hook, or the part of the kernel's structures.
    pub of: String,
    /// Why: the kernel does not have it, or refused it.
    pub reason: String,
    /// What the report lacks.
    pub lack: String,
}

/// Whether a hook was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookState {
    /// It was.
    Attached,
    /// Another one serves on this kernel.
    NotNeeded,
    /// The kernel does not have it.
    Missing,
    /// It was there and the kernel refused.
    Failed,
}

/// What was not measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Losses {
    /// Requests lost or not counted somewhere, as a share of all requests.
    pub request_share: f64,
    /// Records lost because the ring buffer was full, as a share of all records.
    pub record_share: f64,
    /// Sleeps and stacks lost, as a share of all sleeps.
    pub sleep_share: f64,
    /// By cause, those that happened.
    pub causes: Vec<Loss>,
}

/// One cause of loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// Name of the cause.
    pub cause: String,
    /// Times it happened.
    pub count: u64,
}
