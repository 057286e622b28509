//! An Event of Kubernetes (events.k8s.io/v1) as YAML, for `kubectl create -f -`: the agent itself talks to no API.

use sha2::{Digest as _, Sha256};

use crate::Report;
use crate::incident::incident;
use crate::model::{Incident, Kind, PartyKind, Severity, Workload};
use crate::text::{cut, escape};

/// Characters of a note: at most 1 kB.
const NOTE: usize = 1_000;
/// Of the other texts.
const TEXT: usize = 128;

/// The Event, about the first VM that was affected, else the first pod, else the node. Every text is quoted as JSON, which
/// YAML reads.
#[must_use]
pub fn k8s_event(report: &Report) -> String {
    let incident = incident(report);
    let node = incident
        .node
        .clone()
        .unwrap_or_else(|| "unknown".to_owned());
    let of = |kind| incident.affected.iter().find(move |one| one.kind == kind);
    let about = of(PartyKind::Vm).or_else(|| of(PartyKind::Pod));
    let about = about.filter(|one| one.namespace.as_deref().is_some_and(is_name));
    let namespace = about.and_then(|one| one.namespace.as_deref());
    let namespace = namespace.unwrap_or("default");
    let time = incident.started_at.as_ref().unwrap_or(&report.window.end);
    let kind = if incident.severity == Severity::Ok {
        "Normal"
    } else {
        "Warning"
    };
    format!(
        "apiVersion: events.k8s.io/v1\nkind: Event\nmetadata:\n  name: {}\n  namespace: {}\neventTime: {}\n\
         reportingController: stall-agent.io/stall-agent\nreportingInstance: {}\naction: Traced\nreason: {}\n\
         type: {kind}\nnote: {}\nregarding:\n{}related:\n{}",
        quoted(&name(&incident)),
        quoted(namespace),
        quoted(&micro(time)),
        quoted(&cut(&node, TEXT)),
        reason(report.verdict.kind),
        quoted(&note(&incident)),
        about.map_or_else(|| of_node(&node), regarding),
        of_node(&node)
    )
}

/// As Kubernetes names namespaces.
fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 63 && text.chars().all(is_plain)
}

/// The same for each rendering of the same run.
fn name(incident: &Incident) -> String {
    let digest = Sha256::digest(format!("{}\n{}", incident.id, incident.fingerprint));
    let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    format!("stall-agent.{}", digits.collect::<String>())
}

fn note(incident: &Incident) -> String {
    let mut note = cut(&incident.summary, NOTE);
    // Bytes count, and a character may have four.
    while note.len() > NOTE {
        note.pop();
    }
    note
}

fn regarding(one: &Workload) -> String {
    let (version, kind) = match one.kind {
        PartyKind::Vm => ("kubevirt.io/v1", "VirtualMachineInstance"),
        _ => ("v1", "Pod"),
    };
    let namespace = one.namespace.as_deref().unwrap_or("default");
    format!(
        "  apiVersion: {version}\n  kind: {kind}\n  namespace: {}\n  name: {}\n",
        quoted(namespace),
        quoted(&one.name)
    )
}

fn of_node(node: &str) -> String {
    format!("  apiVersion: v1\n  kind: Node\n  name: {}\n", quoted(node))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(escape(text)).to_string()
}

/// `MicroTime` has six digits, no more and no fewer.
fn micro(rfc3339: &str) -> String {
    let (seconds, rest) = rfc3339.split_once('.').unwrap_or((rfc3339, ""));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    format!("{}.{digits:0<6.6}Z", seconds.trim_end_matches('Z'))
}

const fn reason(kind: Kind) -> &'static str {
    match kind {
        Kind::HostTrim => "DiskStalledByHostTrim",
        Kind::GuestTrim => "DiskStalledByGuestTrim",
        Kind::OtherDiscards => "DiskStalledByDiscards",
        Kind::NoisyNeighbor => "DiskStalledByNoisyNeighbor",
        Kind::Flushes => "DiskStalledByFlushes",
        Kind::LockHolder => "StalledByLockHolder",
        Kind::OwnLoad => "DiskStalledByOwnLoad",
        Kind::Overload => "DiskOverloaded",
        Kind::SlowDevice => "DiskSlow",
        Kind::DeviceHang => "DiskHangs",
        Kind::ArrayResync => "DiskStalledByResync",
        Kind::CgroupLimit => "IOLimited",
        Kind::Frozen => "FilesystemFrozen",
        Kind::Suspended => "DeviceSuspended",
        Kind::DirtyThrottling => "WritersThrottled",
        Kind::Memory => "MemoryPressure",
        Kind::UpstreamStorage => "UpstreamStorageSlow",
        Kind::Cpu => "CPUStarved",
        Kind::NotVisible => "StorageNotVisible",
        Kind::NoStall => "NoStall",
        Kind::Inconclusive => "StallInconclusive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_six_digits() {
        for time in ["2026-11-24T03:19:55.715Z", "2026-11-24T03:19:55.715000123Z"] {
            assert_eq!(micro(time), "2026-11-24T03:19:55.715000Z");
        }
        assert_eq!(micro("2026-11-24T03:19:55Z"), "2026-11-24T03:19:55.000000Z");
    }
}
