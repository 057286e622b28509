//! How to stop who discards: as a unit where it is one, else the process.

use super::case::Case;
use super::plain;
use super::step::{self, Step};
use stall_report::model::{Culprit, Origin, Process};

/// The commands are for the first few: who is beyond these is in the report.
const SHOWN: usize = 3;
const ENDS: &str =
    "a process in D ends when the discard in flight does: wait for that, kill -9 is no faster";

/// Those of the culprits that are programs of this host and still there.
pub(super) fn all(case: &Case<'_>) -> Vec<Step> {
    case.culprits.iter().filter_map(one).take(SHOWN).collect()
}

fn one(culprit: &Culprit) -> Option<Step> {
    if let Some(unit) = unit(culprit) {
        return Some(
            step::now("stop the trim; it ends when the discard in flight does")
                .command(format!("systemctl stop {unit}"))
                .changes(
                    "ends this run; what it has not trimmed stays untrimmed until the next one",
                )
                .risk(format!("none for data; {ENDS}"))
                .undo(format!("systemctl start {unit}"))
                .source(
                    "systemctl(1); fs/ext4/mballoc.c: a trim looks for a signal between ranges",
                ),
        );
    }
    let process = alive(culprit)?;
    Some(
        step::now("stop it; it ends when the discard in flight does")
            .command(format!("kill {}", process.pid))
            .changes("ends this process; what it has not discarded stays as it is")
            .risk(format!(
                "the number may be another process's by now, see ps -fp {} first; {ENDS}",
                process.pid
            ))
            .source("kill(1), fstrim(8)"),
    )
}

/// Threads of the kernel are not to be stopped, nor are guests for what they asked for.
fn alive(culprit: &Culprit) -> Option<&Process> {
    let process = culprit.process.as_ref()?;
    (!process.kernel_thread && process.exited.is_none()).then_some(process)
}

/// Its service, when it has one whose name is nothing but a name.
pub(super) fn unit(culprit: &Culprit) -> Option<&str> {
    let unit = culprit.process.as_ref()?.unit.as_deref()?;
    let is_trim = culprit.origin == Some(Origin::FilesystemTrim);
    (is_trim && unit.ends_with(".service"))
        .then(|| plain::word(unit))
        .flatten()
}
