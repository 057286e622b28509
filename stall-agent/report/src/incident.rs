//! The answer for tools, made of the verdict and the table of who delayed whom.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::kind::kind as in_words;
use super::model::{
    AdviceWhen, BlameRow, CauseShare, Episode, Incident, Kind, Party, PartyKind, Severity, Waiter,
    Workload,
};
use super::text::{cut, escape};
use super::who::{Who, Workloads};
use super::{Report, share};

/// Of a list.
const MOST: usize = 100;
const CAUSES: usize = 3;
/// A smaller part says nothing.
const LEAST: f64 = 0.01;
const TITLE: usize = 99;
const SUMMARY: usize = 1_000;

/// The answer for tools.
#[must_use]
pub fn incident(report: &Report) -> Incident {
    let verdict = &report.verdict;
    let episode = verdict.episodes.first();
    let node = report.host.hostname.clone();
    let mut affected: Vec<Workload> = parties(episode, &verdict.waiters)
        .iter()
        .map(|party| workload(party, node.as_ref()))
        .collect();
    affected.sort_by_key(|one| one.kind != PartyKind::Vm);
    let culprits = verdict.culprits.iter().map(|culprit| {
        let party = named(&culprit.party, &culprit.label);
        Workload {
            share: culprit.share,
            ..workload(&party, node.as_ref())
        }
    });
    let mut culprits: Vec<Workload> = culprits.collect();
    let affected_omitted = shorten(&mut affected, MOST);
    let culprits_omitted = shorten(&mut culprits, MOST);
    Incident {
        id: id(report),
        fingerprint: fingerprint(report),
        title: title(report),
        summary: summary(report, &affected),
        severity: severity(report, &affected),
        kind: Some(verdict.kind),
        confidence: verdict.confidence,
        device: verdict.device.clone(),
        started_at: episode.map(|episode| episode.started_at.clone()),
        ended_at: episode.and_then(|episode| episode.ended_at.clone()),
        causes: causes(report),
        node,
        affected,
        affected_omitted,
        culprits,
        culprits_omitted,
    }
}

/// How many are left out.
pub(crate) fn shorten<T>(list: &mut Vec<T>, most: usize) -> u64 {
    let omitted = list.len().saturating_sub(most);
    list.truncate(most);
    omitted as u64
}

/// A report of version 1 has no episodes, and of those that waited nothing but what they are called.
fn parties(episode: Option<&Episode>, waiters: &[Waiter]) -> Vec<Party> {
    match episode {
        Some(episode) => episode.victims.clone(),
        None => waiters
            .iter()
            .map(|waiter| named(&waiter.party, &waiter.label))
            .collect(),
    }
}

fn named(party: &Party, label: &str) -> Party {
    let mut party = party.clone();
    if party.name.is_empty() {
        label.clone_into(&mut party.name);
        label.clone_into(&mut party.label);
    }
    party
}

fn workload(party: &Party, node: Option<&String>) -> Workload {
    Workload {
        kind: party.kind,
        name: party.name.clone(),
        namespace: party.namespace.clone(),
        node: node.cloned(),
        label: escape(&party.label),
        unit: party.unit.clone(),
        pid: party.main_pid,
        share: party.share,
        lost_ns: party.lost_ns,
    }
}

fn host(report: &Report) -> &str {
    let host = &report.host;
    let name = host.hostname.as_deref().or(host.boot_id.as_deref());
    name.unwrap_or("unknown-host")
}

/// A name that goes into any log, file or URL.
fn id(report: &Report) -> String {
    let start: String = report.window.start.replace(['-', ':'], "");
    let id = format!("{}-{start}", host(report));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    id.chars()
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect()
}

fn fingerprint(report: &Report) -> String {
    let verdict = &report.verdict;
    let culprit = verdict.culprits.first().map(|culprit| &culprit.party);
    let culprit = culprit.map(|party| (party.kind, &party.namespace, &party.name));
    let text = format!(
        "{}\n{:?}\n{:?}\n{culprit:?}",
        host(report),
        verdict.kind,
        verdict.device
    );
    let digest = Sha256::digest(text);
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What happened where. A long name gives way, since the end says on which node.
fn title(report: &Report) -> String {
    let verdict = &report.verdict;
    let node = cut(
        &escape(report.host.hostname.as_deref().unwrap_or("this host")),
        40,
    );
    let disk = verdict.device.as_deref().map_or_else(
        || format!("on {node}"),
        |device| format!("{} on {node}", cut(&escape(device), 24)),
    );
    let what = in_words(verdict.kind);
    let said = match (verdict.kind, verdict.culprits.first()) {
        (Kind::NoStall, _) => return format!("no stall on {node}"),
        (Kind::Inconclusive, _) if verdict.stalled.is_none() => {
            return format!("too little was seen to judge the disks of {node}");
        }
        (Kind::Inconclusive, _) => return format!("slow, and nobody stands out: {disk}"),
        (_, Some(culprit)) => {
            let room = TITLE.saturating_sub(disk.len() + what.len() + 14);
            let label = cut(&escape(&culprit.label), room);
            format!("{label} is stalling {disk}: {what}")
        }
        (_, None) => format!("{what}: {disk}"),
    };
    cut(&said, TITLE)
}

fn summary(report: &Report, affected: &[Workload]) -> String {
    let mut text = escape(&report.verdict.sentence);
    text.push('.');
    let vms: Vec<&str> = affected
        .iter()
        .filter(|one| one.kind == PartyKind::Vm)
        .map(|one| one.label.as_str())
        .take(5)
        .collect();
    if !vms.is_empty() {
        text += &format!(" VMs affected: {}.", vms.join(", "));
    }
    let mut advice = report.verdict.advice.iter();
    if let Some(now) = advice.find(|one| one.when == AdviceWhen::Now) {
        text += &format!(" Now: {}", escape(&now.text));
        if let Some(command) = &now.command {
            text += &format!(": {}", escape(command));
        }
    }
    cut(&text, SUMMARY)
}

fn severity(report: &Report, affected: &[Workload]) -> Severity {
    let verdict = &report.verdict;
    let hangs = matches!(
        verdict.kind,
        Kind::DeviceHang | Kind::Frozen | Kind::Suspended
    );
    match verdict.stalled {
        None => Severity::Unknown,
        Some(false) => Severity::Ok,
        Some(true) if affected.iter().any(|one| one.kind == PartyKind::Vm) => Severity::Critical,
        Some(true) => {
            let goes_on = verdict
                .episodes
                .first()
                .is_some_and(|one| one.ended_at.is_none());
            if hangs && goes_on {
                Severity::Critical
            } else {
                Severity::Warning
            }
        }
    }
}

/// What those that waited waited for: the culprits as the verdict has them, then what the table of who delayed whom
/// has of the rest.
pub(crate) fn causes(report: &Report) -> Vec<CauseShare> {
    let verdict = &report.verdict;
    let workloads = Workloads::new(report);
    let mut causes: Vec<CauseShare> = Vec::new();
    for culprit in &verdict.culprits {
        if let Some(share) = culprit.share {
            let label = escape(&culprit.label);
            causes.push(CauseShare { label, share });
        }
    }
    let is_through = verdict
        .culprits
        .iter()
        .any(|culprit| culprit.party.through.is_some());
    let told: Vec<&Who> = verdict
        .hypotheses
        .first()
        .filter(|_| !causes.is_empty())
        .into_iter()
        .flat_map(|one| &one.actors)
        .filter_map(|actor| workloads.of(*actor))
        .collect();
    let mut left = 1.005 - causes.iter().map(|one| one.share).sum::<f64>();
    let rest = charged(report, &workloads, |who| {
        told.contains(&who) || (is_through && who.kind == PartyKind::KernelWorker)
    });
    for cause in rest {
        if cause.share <= left {
            left -= cause.share;
            causes.push(cause);
        }
    }
    causes.retain(|one| one.share >= LEAST);
    causes.sort_by(|one, other| other.share.total_cmp(&one.share));
    causes.truncate(CAUSES);
    causes
}

/// Parts of what the verdict's waiters waited in slow requests on its disk, without those of whom `is_told`.
fn charged(
    report: &Report,
    workloads: &Workloads<'_>,
    is_told: impl Fn(&Who) -> bool,
) -> Vec<CauseShare> {
    let waiting: Vec<&Who> = report
        .verdict
        .waiters
        .iter()
        .filter_map(|waiter| workloads.of(waiter.actor?))
        .collect();
    let device = report.verdict.device.as_ref();
    let tables = report.blame.iter();
    let rows: Vec<&BlameRow> = tables
        .filter(|blame| Some(&blame.device) == device)
        .flat_map(|blame| &blame.victims)
        .filter(|row| {
            workloads
                .of(row.actor)
                .is_some_and(|who| waiting.contains(&who))
        })
        .collect();
    let all: u64 = rows.iter().fold(0u64, |all, row| {
        all.saturating_add(row.waited_ns.saturating_sub(row.fast_ns))
    });
    if all == 0 {
        return Vec::new();
    }
    let mut parts: BTreeMap<String, u64> = BTreeMap::new();
    let mut add = |label: String, ns: u64| {
        let sum = parts.entry(label).or_default();
        *sum = sum.saturating_add(ns);
    };
    for row in rows {
        add("the disk itself".to_owned(), row.device_ns);
        add("their own other requests".to_owned(), row.own_ns);
        add("not explained".to_owned(), row.unexplained_ns);
        for cell in &row.by {
            match workloads.of(cell.actor) {
                Some(who) if is_told(who) => {}
                Some(who) => add(escape(&workloads.label(who)), cell.waited_ns),
                None => add(escape(&cell.label), cell.waited_ns),
            }
        }
    }
    let mut parts: Vec<CauseShare> = parts
        .into_iter()
        .map(|(label, ns)| CauseShare {
            label,
            share: rounded(ns as f64 / all as f64),
        })
        .collect();
    parts.sort_by(|one, other| other.share.total_cmp(&one.share));
    parts
}

/// To six digits, as every share of the report.
fn rounded(share: f64) -> f64 {
    format!("{share:.5e}").parse().unwrap_or(share)
}

/// `51 % bulk-loader (pid 7), 42 % fstrim (pid 9), 5 % the disk itself`
pub(crate) fn causes_in_words(causes: &[CauseShare]) -> String {
    let parts = causes
        .iter()
        .map(|one| format!("{} {}", share(one.share), one.label));
    parts.collect::<Vec<_>>().join(", ")
}
