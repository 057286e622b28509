//! What is known of trims: schedule, runs, filesystems mounted with `discard`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RoleKind;

/// What is known of trims on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrimFacts {
    /// `fstrim.timer`
    pub timer: TrimUnit,
    /// `fstrim.service`
    pub service: TrimUnit,
    /// Wall clock when the timer last elapsed, as far as files tell.
    pub last_run: Option<String>,
    /// `fstrim` processes that were seen.
    pub runs: Vec<TrimRun>,
    /// Filesystems mounted with `discard`.
    pub online_discard: Vec<TrimTarget>,
    /// Files of `/oem` that are applied at boot; `null` when there is no `/oem`, or it had not answered.
    pub oem: Option<Vec<OemFile>>,
}

/// A file of `/oem` (cloud-init of Elemental and Harvester).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OemFile {
    /// Name of the file.
    pub name: String,
    /// Whether the word `fstrim` is in it; `null` when it was not in memory.
    pub mentions_fstrim: Option<bool>,
}

/// A systemd unit, by its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrimUnit {
    /// Its file; `null` when there is none.
    pub file: Option<String>,
    /// Linked to `/dev/null`.
    pub masked: bool,
    /// Wanted by another unit.
    pub enabled: bool,
    /// Has processes now.
    pub running: Option<bool>,
    /// What it runs.
    pub command: Option<String>,
    /// When, as systemd.time(7) has it.
    pub calendar: Option<String>,
    /// `RandomizedDelaySec=` of the timer.
    pub randomized_delay: Option<String>,
    /// Runs what was missed.
    pub persistent: Option<String>,
}

/// A running `fstrim`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrimRun {
    /// Process id of fstrim.
    pub pid: u32,
    /// Id of the actor it is.
    pub actor: Option<u32>,
    /// Name of the process, for people.
    pub label: String,
    /// Whose it is.
    pub kind: RoleKind,
    /// Where it was told to start.
    pub offset: Option<String>,
    /// How much it was told to trim.
    pub length: Option<String>,
    /// The smallest free range it was told to trim.
    pub minimum: Option<String>,
    /// The file that lists its filesystems.
    pub listed_in: Option<String>,
    /// Filesystems it was asked to trim.
    pub targets: Vec<TrimTarget>,
}

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrimTarget {
    /// Where it is mounted.
    pub mount_point: String,
    /// Id of its device.
    pub device: Option<String>,
}
