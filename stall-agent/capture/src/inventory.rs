//! What the host has, beside those who did I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Process;

/// Names and facts of the host, read while the window was open.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inventory {
    /// Virtual machines, and the processes of Longhorn, iSCSI and trims, whether they did I/O or not.
    pub processes: Vec<Process>,
    /// Processes of all kinds that were looked at.
    pub processes_seen: u64,
    pub volumes: Vec<Volume>,
    pub trim: TrimSchedule,
    /// YAML files of `/oem`; `None` when there is no such directory, or it had not answered.
    pub oem: Option<Vec<OemFile>>,
    pub view: View,
    /// Names that could not be had.
    pub name_gaps: Vec<NameGap>,
}

/// A Longhorn volume that is attached here, by its node in `/dev/longhorn`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Volume {
    pub name: String,
    pub major: u32,
    pub minor: u32,
}

/// What files say of the host's own trim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrimSchedule {
    pub timer: UnitState,
    pub service: UnitState,
    /// When the timer last elapsed (`stamp-fstrim.timer`), nanoseconds since the epoch; also the time of the
    /// first boot when it never did.
    pub last_run_unix_ns: Option<i64>,
    /// `/etc/fstab`
    pub fstab: Vec<FstabEntry>,
}

/// A file that Elemental's cloud-init applies at boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OemFile {
    pub name: String,
    /// Whether the word `fstrim` is in it; `None` when it was not in memory, or could not be read.
    pub mentions_fstrim: Option<bool>,
}

/// A systemd unit, as its files have it; the default when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitState {
    pub file: Option<String>,
    pub masked: bool,
    /// Wanted by a unit that is.
    pub enabled: bool,
    /// Has processes; `None` for a timer.
    pub running: Option<bool>,
    pub exec_start: Option<String>,
    pub on_calendar: Option<String>,
    pub randomized_delay: Option<String>,
    pub persistent: Option<String>,
}

/// A line of `/etc/fstab`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FstabEntry {
    pub source: String,
    pub mount_point: String,
    pub filesystem: String,
    pub options: String,
}

/// From where the host was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct View {
    /// Where the host's `/` was.
    pub host_root: String,
    /// The agent ran in the host's own pid namespace.
    pub pid_namespace_is_hosts: Option<bool>,
    /// The agent ran in the mount namespace of the first process below `host_root`.
    pub mount_namespace_is_hosts: Option<bool>,
    /// `/proc` below `host_root` shows the host's processes, by the host's pids.
    pub proc_is_hosts: Option<bool>,
}

/// Names of one kind that could not be had for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameGap {
    pub what: String,
    pub reason: String,
    pub count: u64,
}
