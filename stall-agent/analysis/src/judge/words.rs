//! The verdict in one sentence: cause, victim, how sure, proof. Foreign names in it are as they were found; a terminal
//! gets them escaped.

use crate::histogram::Buckets;
use crate::total::Total as _;
use std::collections::BTreeMap;

use stall_capture::is_waited_for;
use stall_report::model::{Confidence, Evidence, Fact, Hypothesis, Kind, Origin, Standing, Unit};
use stall_report::{duration, share, thousands};

use super::disk::{Cause, Work};
use super::finding::Finding;
use super::{Judged, confidence, people, rules};

pub(super) fn sentence(
    judged: &Judged<'_>,
    finding: &Finding,
    confidence: Option<Confidence>,
) -> String {
    let id = people::device(judged, finding).unwrap_or_else(|| "storage".to_owned());
    let doing = |sure: &str, hedged: &str| match confidence {
        Some(Confidence::High) => sure.to_owned(),
        Some(Confidence::Medium) => format!("probably {hedged}"),
        Some(Confidence::Low) | None => format!("may {}", bare(hedged)),
    };
    let who = names(judged, finding);
    let victims = victims(judged, finding);
    let part = finding.share.map_or_else(|| "?".to_owned(), share);
    let lost = duration(finding.victims.first().map_or(0, |(_, lost)| *lost));
    let since = duration(finding.end_ns.saturating_sub(finding.start_ns));
    let what = finding.what.as_deref();
    let others = beside(judged, finding);
    match finding.kind {
        Kind::HostTrim | Kind::GuestTrim | Kind::OtherDiscards if finding.goes_on => format!(
            "{who} {} {id} with {}: a discard has been in flight for {since} and nothing else completes; {victims}",
            doing("holds up", "holds up"),
            of_origin(finding.origin)
        ),
        Kind::HostTrim | Kind::GuestTrim | Kind::OtherDiscards => format!(
            "{who} {} {id} with {}: {part} of what others waited there, the disk was busy with its discards; {victims}{others}",
            doing("holds up", "holds up"),
            of_origin(finding.origin)
        ),
        Kind::NoisyNeighbor => format!(
            "{who} {} {id}: {part} of the time others waited, the disk was serving it; {victims}{others}",
            doing("saturates", "saturates")
        ),
        Kind::Flushes => format!(
            "cache flushes for {who} {} {id}: {part} of the time others waited, the disk was flushing; {victims}{others}",
            doing("hold up", "hold up")
        ),
        Kind::OwnLoad => format!(
            "{victims}, {} for its own requests on {id}: {part} of the wait is behind requests it sent itself",
            doing("waiting", "waiting")
        ),
        Kind::Overload => format!(
            "{id} {} overloaded by all its users together: {}; {victims}",
            doing("is", "is"),
            crowd(judged, finding)
        ),
        Kind::SlowDevice => format!(
            "{id} itself {} slow: {part} of the wait is the disk's own service time, not queueing behind others; {victims}, and no process is to blame",
            doing("is", "is")
        ),
        Kind::DeviceHang => format!(
            "{id} has stopped answering: nothing has completed for {since}; {victims}, and no process is to blame"
        ),
        Kind::ArrayResync => format!(
            "a resync or check of an array {} {id} busy: {part} of the wait; {victims}",
            doing("keeps", "keeps")
        ),
        Kind::CgroupLimit => format!(
            "{victims}: held back by an I/O limit of its control group{}, not by a disk",
            what.map_or_else(String::new, |what| format!(", {what}"))
        ),
        Kind::Frozen => format!(
            "{} frozen: writers wait until it is thawed; {victims}",
            what.map_or_else(
                || "a filesystem is".to_owned(),
                |what| format!("the filesystem on {what} is")
            )
        ),
        Kind::Suspended => format!(
            "{} is suspended: all I/O to it waits until it is resumed; {victims}",
            what.unwrap_or(&id)
        ),
        Kind::DirtyThrottling if who.is_empty() => {
            format!("{victims}: held until its own dirty pages are written back")
        }
        Kind::DirtyThrottling => {
            format!("{victims}: held until dirty pages are written back, most of them {who}'s")
        }
        Kind::Memory => {
            format!("{victims}: waiting for memory (reclaim or swap), not for a slow disk")
        }
        Kind::UpstreamStorage if finding.see_below_first => format!(
            "{id} is slow as well: {part} of the wait is at the server behind it, which may lie on a disk of this host that is slow: see there first; {victims}"
        ),
        Kind::UpstreamStorage if finding.disk.is_some() => format!(
            "{id} {} slow, and no disk of this host is: {part} of the wait is at the server behind it{}; {victims}",
            doing("is", "is"),
            what.map_or_else(String::new, |what| format!(" ({what})"))
        ),
        Kind::UpstreamStorage => format!(
            "a storage server {} slow{}: no disk of this host is; {victims}",
            doing("is", "is"),
            what.map_or_else(String::new, |what| format!(" ({what})"))
        ),
        Kind::LockHolder => format!(
            "{who} {} a lock that others wait for: {part} of their lock waits end at it; {victims}{}",
            doing("holds", "holds"),
            meanwhile(judged, finding)
        ),
        Kind::Cpu => {
            format!("{victims}: ready to run, without a CPU for {lost}; its disks are not slow")
        }
        Kind::NotVisible => format!(
            "{victims} in uninterruptible sleep for storage that no request of this host's disks shows: look at the layer between (device mapper, limits, a server)"
        ),
        Kind::NoStall | Kind::Inconclusive => inconclusive(judged, finding, &id, &victims),
    }
}

/// What a lock's holder waits for while it holds it.
fn meanwhile(judged: &Judged<'_>, finding: &Finding) -> String {
    let bases = finding.culprits.iter().flat_map(|one| &one.bases);
    let bases: Vec<_> = bases.copied().collect();
    let is_its = |pid: u32| {
        judged
            .workloads
            .of_pid(pid)
            .is_some_and(|base| bases.contains(&base))
    };
    let chains = judged.found.chains.iter();
    let mut links = chains
        .filter_map(|chain| chain.links.last())
        .filter(|link| is_its(link.pid));
    let Some(reason) = links.find_map(|link| link.reason) else {
        return String::new();
    };
    let reason = serde_json::to_value(reason).ok();
    let word = reason
        .as_ref()
        .and_then(serde_json::Value::as_str)
        .unwrap_or("something");
    format!("; meanwhile it waits for: {}", word.replace('_', " "))
}

/// `holds up` after `may`.
fn bare(verb: &str) -> String {
    let (first, rest) = verb
        .split_once(' ')
        .map_or((verb, ""), |(first, rest)| (first, rest));
    let first = match first {
        "is" => "be",
        "saturates" => "saturate",
        other => other.strip_suffix('s').unwrap_or(other),
    };
    if rest.is_empty() {
        first.to_owned()
    } else {
        format!("{first} {rest}")
    }
}

fn inconclusive(judged: &Judged<'_>, finding: &Finding, id: &str, victims: &str) -> String {
    let top = people::culprit_parties(judged, finding);
    let parts: Vec<String> = top
        .iter()
        .take(3)
        .filter_map(|party| Some(format!("{} {}", party.label, share(party.share?))))
        .collect();
    if parts.is_empty() {
        format!("{victims} on {id}; nobody accounts for half of it")
    } else {
        format!(
            "{victims} on {id}; nobody accounts for half of it, most do {}",
            parts.join(", ")
        )
    }
}

/// Further parties with a part, and the disk's own.
fn beside(judged: &Judged<'_>, finding: &Finding) -> String {
    let parties = people::culprit_parties(judged, finding);
    let more: Vec<String> = parties
        .iter()
        .skip(1)
        .filter_map(|party| Some(format!("{} {}", party.label, share(party.share?))))
        .collect();
    if more.is_empty() {
        String::new()
    } else {
        format!("; besides, {}", more.join(", "))
    }
}

fn names(judged: &Judged<'_>, finding: &Finding) -> String {
    let parties = people::culprit_parties(judged, finding);
    let Some(first) = parties.first() else {
        return String::new();
    };
    match &first.through {
        Some(through) => format!("{} (through {through})", first.label),
        None => first.label.clone(),
    }
}

fn crowd(judged: &Judged<'_>, finding: &Finding) -> String {
    let parties = people::culprit_parties(judged, finding);
    let shown = parties.iter().take(4).map(|party| {
        let part = party
            .share
            .map_or_else(String::new, |part| format!(" {}", share(part)));
        format!("{}{part}", party.label)
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if parties.len() > 4 {
        text += &format!(" and {} more", parties.len() - 4);
    }
    text
}

/// `postgres (pid 7) lost 3.2 s`, `etcd (pid 9) and 2 more lost up to 3.2 s`.
fn victims(judged: &Judged<'_>, finding: &Finding) -> String {
    let parties = people::victim_parties(judged, finding);
    let Some(first) = parties.first() else {
        return "nobody known waited".to_owned();
    };
    let lost = duration(first.lost_ns.unwrap_or(0));
    match parties.len() {
        1 => format!("{} waited {lost}", first.label),
        more => format!("{} and {} more waited up to {lost}", first.label, more - 1),
    }
}

const fn of_origin(origin: Option<Origin>) -> &'static str {
    match origin {
        Some(Origin::FilesystemTrim) => "a filesystem trim",
        Some(Origin::OnlineDiscard) => "the discards of a filesystem mounted with discard",
        Some(Origin::Blkdiscard) => "blkdiscard",
        Some(Origin::Mkfs) => "the discards of making a filesystem",
        Some(Origin::Guest) => "the discards of a guest",
        Some(Origin::OtherProgram) => "discards it sends to the device",
        Some(Origin::Swap) => "discards of swap space",
        Some(Origin::LoopDevice) => "discards a loop device passes down",
        Some(Origin::StackedDevice) => "discards of device mapper or RAID",
        Some(Origin::StorageTarget) => "discards of a machine it exports to",
        Some(Origin::Unknown) | None => "discards of unknown origin",
    }
}

/// Nobody waited.
pub(super) fn calm(judged: &Judged<'_>, blind: bool) -> String {
    let found = judged.found;
    if blind {
        return match confidence::missing(&found.hooks).next() {
            Some(hook) => format!(
                "nothing slow was seen, but the hook {} was not there to see all",
                hook.hook
            ),
            None => {
                let lost = share(found.losses.request_share);
                format!("nothing slow was seen, but {lost} of the requests were lost")
            }
        };
    }
    let slow = duration(found.settings.slow_ns);
    let ops: u64 = waited_for(judged).map(|used| used.ops).total();
    let slow_ops = slow_requests(judged);
    let mut text = match (ops, slow_ops) {
        (0, _) => "nobody used a disk".to_owned(),
        (_, 0) => format!("none of {} requests took {slow} or longer", thousands(ops)),
        _ => format!(
            "{} of {} requests took {slow} or longer, and nobody lost time worth telling",
            thousands(slow_ops),
            thousands(ops)
        ),
    };
    let unseen = &judged.capture.host_waits.unseen_disks;
    if let Some(first) = unseen.first() {
        text += &format!("; not visible from this host: {}", first.what);
    }
    format!("nothing was slow: {text}")
}

fn waited_for<'a>(judged: &'a Judged<'_>) -> impl Iterator<Item = &'a stall_capture::Use> {
    judged
        .capture
        .uses
        .iter()
        .filter(|used| is_waited_for(used.op))
}

pub(super) fn slow_requests(judged: &Judged<'_>) -> u64 {
    waited_for(judged).map(|used| used.slow_ops).total()
}

/// Time of requests that took five times as long as the middle one of their disk and operation, and half of the slow limit,
/// on the disk where it is most: too short to be slow each, and somebody may wait for many.
pub(super) fn below_the_limit(judged: &Judged<'_>) -> u64 {
    let mut by_disk = BTreeMap::<u16, u64>::new();
    let series = judged.capture.series.iter();
    for series in series.filter(|series| is_waited_for(series.op)) {
        let total = Buckets::new(&series.total);
        let middle = total.quantile(500).unwrap_or(0);
        let from_ns = middle
            .saturating_mul(5)
            .max(judged.capture.settings.slow_ns / 2);
        let sum = by_disk.entry(series.disk).or_default();
        *sum = sum.saturating_add(total.sum_from(from_ns));
    }
    by_disk.into_values().max().unwrap_or(0)
}

/// Part of the waiting on a disk that is discards'.
fn discard_share(judged: &Judged<'_>, index: u16) -> f64 {
    let Some(disk) = judged.disks.iter().find(|disk| disk.index == index) else {
        return 0.0;
    };
    let (mut theirs, mut all) = (0.0, 0.0);
    for wait in &disk.waits {
        let ns = wait.to_ns.saturating_sub(wait.from_ns) as f64 * wait.weight;
        all += ns;
        for (cause, part) in &wait.parts {
            if matches!(cause, Cause::By(_, Work::Discard)) {
                theirs += ns * part;
            }
        }
    }
    if all > 0.0 { theirs / all } else { 0.0 }
}

/// Said when something else is the cause: whoever reads it suspects the trim.
pub(super) fn acquittal(judged: &Judged<'_>, kind: Kind) -> String {
    if matches!(kind, Kind::HostTrim | Kind::GuestTrim | Kind::OtherDiscards) {
        return String::new();
    }
    let first = judged.all.first().and_then(|one| one.disk);
    let trims = judged.found.discards.iter();
    let mut trims = trims.filter(|group| group.origin == Origin::FilesystemTrim);
    match first {
        None => trims.next().map_or_else(String::new, |group| {
            format!("; the filesystem trim on {} delayed nobody", group.device)
        }),
        Some(index) => {
            let id = judged.names.device(index);
            let there = trims.any(|group| group.device == id);
            if there
                && judged
                    .all
                    .first()
                    .is_some_and(|one| judged.is_contested(one))
            {
                return "; whether the filesystem trim there slows it, one window cannot tell"
                    .to_owned();
            }
            let part = discard_share(judged, index);
            if there && part < rules::INNOCENT {
                format!(
                    "; the filesystem trim there did not do it: {} of the wait was behind its discards",
                    share(part)
                )
            } else {
                String::new()
            }
        }
    }
}

/// Filesystem trims on judged disks that did not do it.
pub(super) fn acquitted(judged: &Judged<'_>) -> Vec<Hypothesis> {
    let mut by_device = BTreeMap::new();
    for group in &judged.found.discards {
        let named = judged.all.iter().any(|one| {
            people::device(judged, one).as_ref() == Some(&group.device)
                && matches!(
                    one.kind,
                    Kind::HostTrim | Kind::GuestTrim | Kind::OtherDiscards
                )
        });
        if !named {
            by_device
                .entry((group.device.clone(), group.origin))
                .or_insert(group.actor);
        }
    }
    let refuted = |((device, origin), actor): ((String, Origin), u32)| {
        let disk = judged
            .disks
            .iter()
            .find(|disk| judged.names.device(disk.index) == device);
        let part = disk.map_or(0.0, |disk| discard_share(judged, disk.index));
        let mut on_it = judged
            .all
            .iter()
            .filter(|one| one.disk == disk.map(|disk| disk.index));
        let is_contested = disk.is_some() && on_it.any(|one| judged.is_contested(one));
        Hypothesis {
            kind: super::hang::kind_of(origin),
            device: Some(device),
            origin: Some(origin),
            actors: vec![actor],
            standing: if part < rules::INNOCENT && !is_contested {
                Standing::Refuted
            } else {
                Standing::Undecided
            },
            confidence: None,
            score: Some(crate::number::significant(part)),
            rule: None,
            evidence_for: Vec::new(),
            evidence_against: vec![of_share(
                Fact::BlamedShare,
                part,
                "of what others waited was behind its discards",
            )],
        }
    };
    by_device.into_iter().map(refuted).collect()
}

/// A second cause that also cost somebody time.
pub(super) fn besides(judged: &Judged<'_>) -> String {
    let mut more = judged.all.iter().skip(1).filter(|one| {
        one.confidence >= Some(Confidence::Medium) && !matches!(one.kind, Kind::OwnLoad)
    });
    let Some(second) = more.next() else {
        return String::new();
    };
    let place = people::device(judged, second).map_or_else(String::new, |id| format!(" on {id}"));
    let who = names(judged, second);
    let who = if who.is_empty() {
        who
    } else {
        format!(" by {who}")
    };
    format!(
        "; besides, {}{who}{place} from {}",
        stall_report::kind_in_words(second.kind),
        judged.names.clock.wall(second.start_ns)
    )
}

pub(super) fn of_share(fact: Fact, value: f64, of_what: &str) -> Evidence {
    Evidence {
        fact,
        value: Some(crate::number::significant(value)),
        bound: None,
        unit: Unit::Share,
        text: format!("{} {of_what}", share(value)),
    }
}

/// How many requests were slow with a discard in flight and without, as counts: a ratio of nothing says nothing.
fn exposed(judged: &Judged<'_>, finding: &Finding) -> Option<Evidence> {
    let id = people::device(judged, finding)?;
    let mut devices = judged.found.devices.iter();
    let device = devices.find(|device| device.id == id)?;
    let exposure = device.exposure.as_ref()?;
    let (with, without) = (&exposure.exposed, &exposure.unexposed);
    (with.ops > 0).then(|| Evidence {
        fact: Fact::ExposedSlow,
        value: Some(with.slow_ops as f64),
        bound: None,
        unit: Unit::Count,
        text: format!(
            "{} of {} requests with a discard in flight were slow, {} of {} without",
            thousands(with.slow_ops),
            thousands(with.ops),
            thousands(without.slow_ops),
            thousands(without.ops)
        ),
    })
}

/// What speaks for a finding.
pub(super) fn evidence(judged: &Judged<'_>, finding: &Finding) -> Vec<Evidence> {
    let mut all = Vec::new();
    for party in people::culprit_parties(judged, finding) {
        if let Some(part) = party.share {
            let text = format!("of what others waited is charged to {}", party.label);
            all.push(of_share(Fact::BlamedShare, part, &text));
        }
    }
    if finding.culprits.is_empty()
        && let Some(part) = finding.share
    {
        let of_what = match finding.kind {
            Kind::OwnLoad => "of the wait is behind its own requests",
            Kind::SlowDevice => "of the wait is the disk's own service time",
            _ => "of the wait is accounted for",
        };
        all.push(of_share(Fact::ExplainedShare, part, of_what));
    }
    let disk = judged
        .disks
        .iter()
        .find(|disk| Some(disk.index) == finding.disk);
    let discards = disk.map(|disk| disk.discards.clone()).unwrap_or_default();
    let by_discards = finding.culprits.iter().any(|one| one.work == Work::Discard);
    if by_discards && !finding.goes_on {
        if let Some(ratio) = discards.contrast {
            let text = if ratio >= 1_000.0 {
                "nobody waited while no discard was in flight".to_owned()
            } else {
                format!(
                    "{ratio:.1} times as much waiting while a discard was in flight as while none was"
                )
            };
            all.push(Evidence {
                fact: Fact::WaitRatio,
                value: Some(crate::number::significant(ratio)),
                bound: Some(rules::CONTRAST),
                unit: Unit::Ratio,
                text,
            });
        }
        if let Some(often) = discards.consistency {
            all.push(of_share(
                Fact::Consistency,
                often,
                "of the requests that met a discard were slow",
            ));
        }
    }
    if by_discards && let Some(counts) = exposed(judged, finding) {
        all.push(counts);
    }
    if finding.requests > 0.0 {
        all.push(Evidence {
            fact: Fact::SlowRequests,
            value: Some(finding.requests.round()),
            bound: None,
            unit: Unit::Count,
            text: format!(
                "{} slow or stuck requests",
                thousands(finding.requests.round() as u64)
            ),
        });
    }
    all
}
