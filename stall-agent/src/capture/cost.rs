//! What was not measured, and what measuring cost.

use serde::{Deserialize, Serialize};

/// Something that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// `stall_common::loss::Loss::name`, or a name of user space's own.
    pub cause: String,
    pub count: u64,
}

/// What the agent itself cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
}

/// What the kernel measured of one program.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProgramCost {
    pub program: String,
    pub runs: u64,
    pub run_ns: u64,
    /// Runs the kernel skipped because the program was running on the same CPU.
    pub recursion_misses: u64,
    pub verified_instructions: Option<u32>,
}
