//! What was not measured, and what measuring cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// `stall_common::loss::Loss::name`, or a name of user space's own.
    pub cause: String,
    pub count: u64,
}

/// What the agent itself cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Overhead {
    /// From the start of the process to the last hook attached.
    pub attach_ns: u64,
    /// From the end of the window to the capture being complete.
    pub finish_ns: u64,
    pub cpu_user_ns: u64,
    pub cpu_system_ns: u64,
    /// `VmHWM`
    pub peak_rss_bytes: u64,
    /// Sum over the maps of what the kernel charges for them.
    pub map_memory_bytes: u64,
    pub programs: Vec<ProgramCost>,
    /// How long the kernel counted and timed the programs, from the start of the window on; all of it where it is not
    /// said.
    #[serde(default)]
    pub timed_ns: Option<u64>,
}

/// What the kernel measured of one program.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ProgramCost {
    pub program: String,
    pub runs: u64,
    pub run_ns: u64,
    /// Runs the kernel skipped because the program was running on the same CPU.
    pub recursion_misses: u64,
    pub verified_instructions: Option<u32>,
}

/// What the agent gave up when its hooks were attached, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confinement {
    /// Capabilities it kept, by name.
    pub capabilities: Vec<String>,
    /// Of those it uses, the ones it did not have, each with what the report lacks for it.
    pub lacking: Vec<Lacking>,
    /// `PR_SET_NO_NEW_PRIVS`
    pub no_new_privileges: bool,
    /// seccomp(2)
    pub system_call_filter: bool,
    /// Its memory stays in memory.
    pub memory_locked: bool,
    /// Bytes of it that were locked and in memory at the end.
    pub memory_locked_bytes: Option<u64>,
    /// What the kernel refused, in words.
    pub refused: Vec<String>,
}

/// A capability that was not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lacking {
    pub capability: String,
    /// What the report lacks.
    pub lack: String,
}
