//! What to do next. Commands are made of the program's own words, numbers, and unit names that are nothing
//! but a unit name: what another process is called never becomes part of a command.

use super::{Ruling, confidence};
use crate::analysis::Findings;
use crate::report::model::{Advice, AdviceWhen, Culprit, Kind, Origin};

pub(super) fn advice(
    findings: &Findings,
    ruling: &Ruling<'_>,
    culprits: &[Culprit],
) -> Vec<Advice> {
    match ruling.kind {
        Kind::HostTrim => host_trim(findings, ruling, culprits),
        Kind::OtherDiscards | Kind::GuestTrim => other_discards(ruling, culprits),
        Kind::HeavyNeighbour => heavy_neighbour(ruling),
        Kind::Flushes => flushes(ruling),
        Kind::SlowDevice => slow_device(ruling),
        Kind::NoStall => no_stall(),
        Kind::Inconclusive => inconclusive(findings),
        Kind::LockHolder | Kind::AboveTheDisk => Vec::new(),
    }
}

fn host_trim(findings: &Findings, ruling: &Ruling<'_>, culprits: &[Culprit]) -> Vec<Advice> {
    let mut advice: Vec<Advice> = culprits.iter().filter_map(stop).take(3).collect();
    advice.push(confirm(ruling));
    if culprits
        .iter()
        .any(|culprit| unit(culprit) == Some("fstrim.service"))
    {
        advice.push(command(
            AdviceWhen::ForGood,
            "keep the timer from starting it again, until the disk takes discards well",
            "systemctl mask --now fstrim.timer fstrim.service",
        ));
        if is_immutable(findings) {
            advice.push(words(AdviceWhen::ForGood, OEM));
        }
    }
    advice.push(words(AdviceWhen::ForGood, SPREAD));
    advice
}

const OEM: &str = "Harvester restores /etc at boot: put 'stages: {initramfs: [{systemctl: {mask: [fstrim.timer]}}]}' into \
                   /oem/99_fstrim.yaml, or a CloudInit resource, as well";
const SPREAD: &str = "trim at a quiet hour and in pieces: fstrim --offset, --length";

/// A unit is stopped as one; a process in D ends when its discard does.
fn stop(culprit: &Culprit) -> Option<Advice> {
    if let Some(unit) = unit(culprit) {
        let text = "stop the trim; it ends when the discard in flight does";
        return Some(command(
            AdviceWhen::Now,
            text,
            &format!("systemctl stop {unit}"),
        ));
    }
    let process = culprit
        .process
        .as_ref()
        .filter(|process| !process.kernel_thread && process.exited.is_none())?;
    let text = "stop it; it ends when the discard in flight does";
    Some(command(
        AdviceWhen::Now,
        text,
        &format!("kill {}", process.pid),
    ))
}

/// Its service, when it has one whose name is nothing but a name.
fn unit(culprit: &Culprit) -> Option<&str> {
    let unit = culprit.process.as_ref()?.unit.as_deref()?;
    let is_plain = unit
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "@._-".contains(c))
        && !unit.starts_with('-');
    (is_plain && unit.ends_with(".service") && culprit.origin == Some(Origin::FilesystemTrim))
        .then_some(unit)
}

fn confirm(ruling: &Ruling<'_>) -> Advice {
    let device = ruling
        .cause
        .and_then(|cause| cause.device.as_deref())
        .filter(|id| is_plain_device(id));
    let option = device.map_or_else(String::new, |id| format!(" --device {id}"));
    let text = "when it has ended, trace again: the slow requests must be gone";
    command(
        AdviceWhen::ToConfirm,
        text,
        &format!("stall-agent trace --duration 60s{option} > after.json"),
    )
}

fn is_plain_device(id: &str) -> bool {
    id.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && !id.starts_with('-')
}

fn is_immutable(findings: &Findings) -> bool {
    findings
        .os
        .as_ref()
        .is_some_and(|os| os.contains("Harvester"))
}

fn other_discards(ruling: &Ruling<'_>, culprits: &[Culprit]) -> Vec<Advice> {
    let origin = culprits
        .first()
        .and_then(|culprit| culprit.origin)
        .unwrap_or(Origin::Unknown);
    let mut advice = Vec::new();
    advice.extend(by_origin(origin).map(|text| words(AdviceWhen::Now, text)));
    if origin_is_process(origin) {
        advice.extend(culprits.iter().filter_map(stop).take(3));
    }
    advice.push(confirm(ruling));
    advice
}

const fn by_origin(origin: Origin) -> Option<&'static str> {
    match origin {
        Origin::OnlineDiscard => {
            Some("mount the filesystem without discard, and trim it at a quiet hour instead")
        }
        Origin::Guest => Some("in the guest: stop fstrim and its timer, mount without discard"),
        Origin::Swap => Some("turn that swap space off, or swap on without discard"),
        Origin::LoopDevice => Some("look who discards on the loop device"),
        Origin::StackedDevice => {
            Some("look who discards on the device above; lvm.conf: issue_discards = 0")
        }
        Origin::StorageTarget => Some("look for a trim on the machines this one exports to"),
        Origin::FilesystemTrim
        | Origin::Blkdiscard
        | Origin::Mkfs
        | Origin::OtherProgram
        | Origin::Unknown => None,
    }
}

const fn origin_is_process(origin: Origin) -> bool {
    match origin {
        Origin::FilesystemTrim | Origin::Blkdiscard | Origin::OtherProgram => true,
        Origin::Mkfs
        | Origin::OnlineDiscard
        | Origin::Guest
        | Origin::Swap
        | Origin::LoopDevice
        | Origin::StackedDevice
        | Origin::StorageTarget
        | Origin::Unknown => false,
    }
}

fn heavy_neighbour(ruling: &Ruling<'_>) -> Vec<Advice> {
    let now = "have it do less: end or pause that job, or limit its cgroup (io.max of the unified hierarchy; of a VM, \
               iotune in its definition)";
    let for_good = "give it a disk of its own, or a limit that leaves room for the others";
    vec![
        words(AdviceWhen::Now, now),
        confirm(ruling),
        words(AdviceWhen::ForGood, for_good),
    ]
}

fn flushes(ruling: &Ruling<'_>) -> Vec<Advice> {
    let now =
        "look at what those who ask for flushes commit so often: each waits for the whole device";
    let for_good = "put logs that are synced often on a device with a protected write cache, or on one of their own";
    vec![
        words(AdviceWhen::Now, now),
        confirm(ruling),
        words(AdviceWhen::ForGood, for_good),
    ]
}

fn slow_device(ruling: &Ruling<'_>) -> Vec<Advice> {
    let now = "no process on this host is to blame: see the kernel's log, the device's health (smartctl -a, nvme smart-log) \
               and what lies behind it, a controller, a network or a server";
    vec![words(AdviceWhen::Now, now), confirm(ruling)]
}

fn no_stall() -> Vec<Advice> {
    vec![command(
        AdviceWhen::ToConfirm,
        "trace while it is slow; if the guests are slow then and this stays so, look above the disks",
        "stall-agent trace --duration 60s > stall.json",
    )]
}

fn inconclusive(findings: &Findings) -> Vec<Advice> {
    let mut advice = Vec::new();
    if confidence::missing(&findings.hooks).next().is_some() {
        advice.push(command(
            AdviceWhen::Now,
            "see what this kernel lacks",
            "stall-agent check",
        ));
    }
    if !findings.discards.is_empty() {
        let text = "stop whoever discards (see `discards`) and trace again: if it stays slow, it was not that";
        advice.push(words(AdviceWhen::Now, text));
    }
    advice.push(words(
        AdviceWhen::Now,
        "see `actors` for who used the slow device most, `blocked` for who waited for what",
    ));
    advice.push(command(
        AdviceWhen::ToConfirm,
        "trace longer, so that there is time with and without",
        "stall-agent trace --duration 5m > longer.json",
    ));
    advice
}

fn words(when: AdviceWhen, text: &str) -> Advice {
    Advice {
        when,
        text: text.to_owned(),
        command: None,
    }
}

fn command(when: AdviceWhen, text: &str, command: &str) -> Advice {
    Advice {
        when,
        text: text.to_owned(),
        command: Some(command.to_owned()),
    }
}
